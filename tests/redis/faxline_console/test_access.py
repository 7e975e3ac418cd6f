"""The hostile suite: every page and action without a session, with a lesser role, of others, forged."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from faxline_local.redis_server import RedisServer
from tests.access import ATTEMPTS, OPEN, ROLES, STRANGERS, TWISTS, Outcome, Trial
from tests.access_stage import NUMBER, named, stage
from tests.access_table import PAGE, page, trial
from tests.consoles import Console

ROUTES = sorted(ATTEMPTS)
POSTS = [route for route in ROUTES if route[0] == "POST"]
Rows = dict[tuple[str, str], dict[str, Outcome]]


@pytest.fixture(scope="module")
def tried(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with trial(redis_server.url(0), tmp_path_factory.mktemp("access")) as tried:
        yield tried


@pytest.fixture(scope="module", params=[pytest.param("everybody", marks=pytest.mark.slow)])
def rows(tried: Trial) -> Rows:
    return {route: tried.row(*route) for route in ROUTES}


def test_every_page_and_action_of_the_console_is_tried(tried: Trial) -> None:
    assert sorted(tried.routes()) == ROUTES


def test_the_table_of_the_docs_is_what_was_tried(rows: Rows) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(rows), "make access"


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_what_is_refused_changes_nothing_and_tells_nothing(rows: Rows, route: tuple[str, str]) -> None:
    for who, outcome in rows[route].items():
        if not outcome.let_in:
            assert (who, outcome.changed, outcome.told) == (who, False, False)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_without_a_session_there_is_the_sign_in_and_nothing_else(rows: Rows, route: tuple[str, str]) -> None:
    outcome = rows[route]["no session"]
    if route[1] in OPEN:
        assert (outcome.changed, outcome.told) == (False, False)
    else:
        assert (outcome.let_in, outcome.status) == (False, 303 if route[0] == "GET" else 403)


@pytest.mark.parametrize("route", POSTS, ids=" ".join)
def test_a_forged_form_is_refused(rows: Rows, route: tuple[str, str]) -> None:
    twists = ["other site"] if route[1] == "/sign-in" else TWISTS
    assert {twist: rows[route][twist].status for twist in twists} == dict.fromkeys(twists, 403)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_another_accounts_and_another_departments_faxes_are_not_there(
    rows: Rows, route: tuple[str, str]
) -> None:
    for who in STRANGERS:
        outcome = rows[route][who]
        assert not outcome.told
        if "{account}" in route[1]:
            assert outcome.status in ({403, 404} if who == "other department" else {404})


@pytest.mark.parametrize("route", POSTS, ids=" ".join)
def test_what_is_done_bears_the_name_of_who_did_it_for_the_audit(rows: Rows, route: tuple[str, str]) -> None:
    for role in ROLES:
        outcome = rows[route][role]
        assert outcome.by == ({role} if ATTEMPTS[route].acts and outcome.let_in else frozenset())


@pytest.mark.slow
def test_no_number_is_shown_as_long_as_nobody_notes_the_reveal_in_the_audit(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    url = redis_server.url(2)  # of whose orders nobody is told
    with redis.Redis.from_url(url) as client, Console(url, tmp_path) as console:
        client.flushdb()
        stage(client)
        answer = console.person("admin").act("/faxes/north/now/reveal")
        assert (named(client), NUMBER in answer.text) == (frozenset({"admin"}), False)
