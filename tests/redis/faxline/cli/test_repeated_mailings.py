"""`faxline send --csv` once more: what goes out again, and what is refused because intake would reject it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline_worker.state.store import Store
from tests.stage.command_line import KEYS, NUMBER, OTHER, PLAIN, THIRD, Cli
from tests.stage.daemon import make_intake, usual_settings
from tests.stage.intake import create_group, read_intake


@pytest.fixture
def take(redis_client: redis.Redis) -> Callable[[], list[tuple[str, str]]]:
    """Let intake take what was pushed, and tell all events so far."""
    client: Any = redis_client
    store = Store(client, usual_settings(), "default")
    create_group(store)
    intake = make_intake(store)

    def work() -> list[tuple[str, str]]:
        intake.take(read_intake(client, store))
        return [
            (fields[b"event"].decode(), fields[b"job"].decode()) for _, fields in client.xrange(KEYS.events)
        ]

    return work


@pytest.mark.parametrize("group", [(), ("--group", "letters")])
def test_another_letter_to_the_same_file_is_refused_and_not_lost(
    mail: Cli, take: Callable[[], list[tuple[str, str]]], group: tuple[str, ...]
) -> None:
    Path("letter.txt").write_text("The letter of June")
    assert mail(PLAIN, *group).code == 0
    before = take()
    assert [event for event, _ in before] == ["fax.queued"] * 2
    Path("letter.txt").write_text("The letter of July")
    done = mail(PLAIN, *group)
    assert (done.code, done.out) == (2, "")
    assert "line 2: id: " in done.err
    assert "1 is the id of a fax with other content" in done.err
    assert "nothing was pushed: a mailing with another letter or other options went under" in done.err
    assert take() == before
    assert mail(PLAIN, "--group", "july").code == 0
    assert take()[2:] == [("fax.queued", "july.1"), ("fax.queued", "july.2")]


def test_the_same_command_again_is_no_other_mailing_and_sends_nothing_twice(
    mail: Cli, take: Callable[[], list[tuple[str, str]]]
) -> None:
    options = ("--priority", "urgent", "--subject", "News", "--metadata", '{"n": 1}')
    for _ in range(2):
        assert mail(f"to,to_name,id\n{NUMBER},Ann,\n{OTHER},Bob,b-1\n", *options).code == 0
        assert len(take()) == 2
    assert mail(f"to,to_name,id\n{NUMBER},Ann,\n{OTHER},Bob,b-1\n", "--priority", "bulk").code == 2


def test_of_a_file_that_was_changed_the_new_rows_are_pushed_and_the_changed_ones_are_told(
    mail: Cli, take: Callable[[], list[tuple[str, str]]]
) -> None:
    assert mail(f"to\n{NUMBER}\n{OTHER}\n", "--group", "june").code == 0
    take()
    done = mail(f"to\n{NUMBER}\n{THIRD}\n{OTHER}\n", "--group", "june", "--skip-bad", "--json")
    assert (done.code, done.lines[-1]) == (1, {"group": "june", "pushed": 2, "skipped": 1})
    assert "line 3: id: june.2 is the id of a fax with other content" in done.err
    assert take()[2:] == [("fax.queued", "june.3")]


def test_whatever_is_pushed_under_the_id_of_a_fax_whose_content_was_lost_is_a_repeat(
    mail: Cli, redis_client: redis.Redis
) -> None:
    redis_client.hset(KEYS.job("june.1"), mapping={"state": "delivered", "digest": "*"})
    assert mail(PLAIN, "--group", "june").code == 0


def test_a_producer_that_may_not_read_jobs_pushes_all_the_same(
    mail: Cli, redis_client: redis.Redis, redis_url: str
) -> None:
    rights = [
        "+@connection",
        "+multi",
        "+exec",
        "+xadd",
        "+set",
        "+pexpire",
        "+acl|whoami",
        "+time",
        "+hgetall",
    ]
    redis_client.acl_setuser("bare", enabled=True, nopass=True, keys=["*"], commands=rights)
    try:
        url = redis_url.replace("redis://", "redis://bare:x@")
        done = mail(PLAIN, "--group", "june", "--redis", url)
    finally:
        redis_client.acl_deluser("bare")
    assert done.code == 0, done.err
    entries: Any = redis_client.xrange(KEYS.intake)
    assert [json.loads(fields[b"send"])["id"] for _, fields in entries] == ["june.1", "june.2"]


def test_a_fax_whose_id_another_has_is_told_as_that_and_a_repeat_is_not(
    cli: Cli, take: Callable[[], list[tuple[str, str]]], tmp_path: Path
) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Hello")
    for _ in range(2):
        done = cli("send", "--to", NUMBER, str(letter), "--id", "hello")
        assert (done.code, done.out, done.err) == (0, "hello\n", "")
        take()
    done = cli("send", "--to", OTHER, str(letter), "--id", "hello", quiet=False)
    assert (done.code, done.out) == (2, "")
    assert "hello is the id of a fax with other content" in done.err
    assert ("fax.rejected", "hello") in take()
