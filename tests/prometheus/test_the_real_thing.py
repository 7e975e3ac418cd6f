"""Every expression of every board and rule, on a real Prometheus that saw the real processes in trouble."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from faxline_local.processes import wait_for
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local
from tests.prometheus.checking import Expression, complaints, of_boards, of_rules
from tests.prometheus.programs import Prometheus, program, promtool, scraping
from tests.troubles.course import provoke, running
from tests.troubles.reading import counted, page

EXPRESSIONS = [*of_boards(), *of_rules()]
PROCESSES = ("dispatcher-1", "dispatcher-2", "worker-3", "worker-4", "webhook-5", "archive-6", "console-1")


@pytest.fixture(scope="module")
def watched(
    server_binary: ServerBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Local, Prometheus]]:
    def wait(condition: Callable[[], Any], *, timeout: float) -> None:
        assert wait_for(lambda: bool(condition()), timeout, every=0.2), condition

    program("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        running(tmp_path_factory.mktemp("local"), server_binary) as local,
        scraping(local, folder, at_once=True) as server,
    ):
        wait(lambda: len(server.query("up == 1")) == len(local.metrics), timeout=60)
        provoke(local, wait)
        delivered = counted(local)["fax_outcomes_total", "default", "delivered"]
        wait(
            lambda: server.query(f'sum(fax_outcomes_total{{outcome="delivered"}}) == {delivered}'), timeout=30
        )
        wait(lambda: server.query('ALERTS{alertstate="firing", alertname="FaxDuplicates"}'), timeout=30)
        yield local, server


@pytest.fixture
def local(watched: tuple[Local, Prometheus]) -> Local:
    return watched[0]


@pytest.fixture
def server(watched: tuple[Local, Prometheus]) -> Prometheus:
    return watched[1]


@pytest.mark.parametrize("process", PROCESSES)
def test_what_a_process_exposes_follows_the_conventions(local: Local, process: str) -> None:
    assert set(local.metrics) == set(PROCESSES)
    code, said = promtool("check", "metrics", text=page(local, process))
    assert (code, said) == (0, "")


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda expression: expression.place)
def test_every_expression_finds_what_it_names_and_gives_a_number(
    server: Prometheus, expression: Expression
) -> None:
    assert complaints(server, expression) == []


@pytest.mark.parametrize(
    ("place", "right", "wrong"),
    [
        ("FaxDoubtsHeld", "fax_doubts_held", "fax_doubt_held"),
        ("In doubt", "fax_doubts_held", "fax_doubt_held"),
        ("FaxBadSignatures", 'result="bad_signature"', 'result="bad_signatures"'),
        ("FaxUrgentWaits", 'priority="urgent"', 'priority="high"'),
        ("Parts C", 'job="faxline-webhook"', 'job="faxline-webhooks"'),
        ("FaxWebhookMissing", 'job="faxline-webhook"', 'job="faxline-webhooks"'),
        ("FaxNoneSubmitted", "sum by (account)", "sum by (state)"),
        ("iFax's limits in use C", "max by (account, limit) (fax_limit_capacity", "max (fax_limit_capacity"),
    ],
)
def test_a_mistake_in_an_expression_is_noticed(
    server: Prometheus, place: str, right: str, wrong: str
) -> None:
    found = [one for one in EXPRESSIONS if place in one.place and right in one.text]
    assert found
    for expression in found:
        assert complaints(server, expression) == []
        assert complaints(server, replace(expression, text=expression.text.replace(right, wrong)))


def test_no_rule_fails_and_what_was_provoked_is_told(server: Prometheus) -> None:
    rules = [rule for group in server.get("rules")["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    firing = {rule["name"] for rule in rules if rule.get("state") == "firing"}
    assert firing >= {
        *("FaxAccountPaused", "FaxRateLimited", "FaxDoubtsHeld", "FaxDuplicates", "FaxDeadReceipts"),
        *("FaxUnconfirmed", "FaxPartialDeliveries"),
    }
    assert not firing & {"FaxDispatcherMissing", "FaxWorkerMissing", "FaxWebhookMissing", "FaxProcessDown"}
    assert not firing & {"FaxRedisAway", "FaxRedisNotDurable", "FaxRedisAofFailing", "FaxRedisMemoryHigh"}


def test_two_dispatchers_do_not_double_what_a_board_shows(local: Local, server: Prometheus) -> None:
    assert len(local.names("dispatcher")) == 2
    paused = next(e for e in EXPRESSIONS if e.place.startswith("Faxline/overview.json: Paused"))
    assert [one["value"][1] for one in server.query(paused.text)] == ["1"]
