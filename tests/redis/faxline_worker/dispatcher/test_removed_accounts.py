"""An account that was removed is drained by every process for as long as one of its faxes is under way."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import redis

from faxline.contract.redis_keys import ACCOUNTS, RedisKeys
from faxline_worker.config.live_accounts import LiveAccounts
from faxline_worker.config.secrets import Secrets
from faxline_worker.config.settings import read_settings
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.dispatcher.served import Served
from faxline_worker.processes.draining import drain_by_redis
from faxline_worker.state.store import Store
from tests.stage.daemon import make_dispatcher

KEYS = RedisKeys("west")
LATER = 200 * 86_400.0
"""Seconds after which a fax goes out that iFax keeps for a date."""


@pytest.fixture
def served(redis_client: redis.Redis) -> Served:
    settings = read_settings({"FAXLINE_ACCOUNTS": "west"})
    return Served({"west": Store(redis_client, settings, "west")})


@pytest.fixture
def dispatcher(redis_client: redis.Redis, served: Served) -> Dispatcher:
    """A dispatcher that has begun with its accounts, and whose threads do not run."""
    made = make_dispatcher(redis_client, served, metrics=Mock())
    made.intake._follow(Mock())
    return made


def is_listed(client: redis.Redis) -> bool:
    return bool(client.sismember(ACCOUNTS, "west"))


def test_a_webhook_keeps_the_secrets_until_the_dispatcher_finds_nothing_under_way(
    redis_client: redis.Redis, served: Served, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    for name in ("west", "east"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "webhook_secrets").write_text(f'["a-secret-of-{name}"]')
    now = [0.0]
    settings = read_settings({"FAXLINE_ACCOUNTS_DIR": str(tmp_path)})
    live = LiveAccounts(settings, "webhook", Mock(), clock=lambda: now[0])
    secrets = Secrets(live.settings, [], Mock(), Mock(), live)
    drain_by_redis(live, redis_client, Mock())
    redis_client.zadd(KEYS.submitted, {"dated": 4e15})
    (tmp_path / "west").rename(tmp_path / ".west")
    for _ in range(2):
        live.look()
    served.serve(["west"], draining=["west"])
    for now[0] in (LATER, 2 * LATER):
        dispatcher.timers._tidy("west")
        live.look()
        assert "west" in secrets.webhooks
    redis_client.zrem(KEYS.submitted, "dated")
    dispatcher.timers._tidy("west")
    live.look()
    assert list(secrets.webhooks) == ["east"]


def test_an_account_that_comes_back_is_listed_again_and_none_is_while_it_is_drained(
    redis_client: redis.Redis, served: Served, dispatcher: Dispatcher
) -> None:
    assert is_listed(redis_client)
    served.serve(["west"], draining=["west"])
    dispatcher.timers._tidy("west")
    for names in ([], ["west"]):  # its unit goes to another dispatcher, and comes again
        served.serve(names, draining=names)
        dispatcher.intake._follow(Mock())
    assert not is_listed(redis_client)
    served.serve(["west"])
    dispatcher.intake._follow(Mock())
    assert is_listed(redis_client)


def test_an_account_that_comes_back_while_it_is_taken_off_the_list_stays_there(
    redis_client: redis.Redis, served: Served, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def comes_back(_: str) -> bool:
        served.serve(["west"])
        dispatcher.intake._follow(Mock())
        return True

    served.serve(["west"], draining=["west"])
    monkeypatch.setattr(dispatcher.timers, "_context", replace(dispatcher.context, drained=comes_back))
    dispatcher.timers._tidy("west")
    assert is_listed(redis_client)


def test_an_account_is_drained_on_while_redis_does_not_say_whether_it_is_listed(
    redis_client: redis.Redis, redis_url: str
) -> None:
    log, live = Mock(), LiveAccounts(read_settings({"FAXLINE_ACCOUNTS": "west"}), "webhook", Mock())
    drain_by_redis(live, redis_client, log)
    assert not live.listed(["west"])
    with redis.Redis(port=1) as away:
        drain_by_redis(live, away, log)
        assert list(live.listed(["west"])) == ["west"]
    assert not log.warning.called
    redis_client.acl_setuser("older", enabled=True, nopass=True, keys=["*"], commands=["+@connection"])
    try:
        with redis.Redis.from_url(redis_url.replace("//", "//older:x@")) as older:
            drain_by_redis(live, older, log)
            assert list(live.listed(["west"])) == ["west"]
            assert list(live.listed(["west"])) == ["west"]
    finally:
        redis_client.acl_deluser("older")
    log.warning.assert_called_once()
