"""An account that was removed is drained by every process for as long as one of its faxes is under way."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline.contract.redis_keys import ACCOUNTS, DRAINING, FOLDERS, RedisKeys
from faxline.reading.draining import note_of
from faxline_worker.config.live_accounts import LiveAccounts, Update
from faxline_worker.config.secrets import Secrets
from faxline_worker.config.settings import read_settings
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.dispatcher.served import Served
from faxline_worker.processes.draining import account_list, drain_by_redis, find_drained
from faxline_worker.state.account_list import AccountList
from faxline_worker.state.store import Store
from faxline_worker.state.stores import Stores
from tests.stage.daemon import make_dispatcher

pytestmark = pytest.mark.usefixtures("whole_folders")

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


class Fleet:
    """The processes of a directory with the accounts west and east, in a clock of the test's."""

    def __init__(
        self, client: redis.Redis, root: Path, names: Iterable[str] = ("west", "east"), deployment: str = ""
    ) -> None:
        self._client, self.root, self.now = client, root, 0.0
        self._deployment = deployment
        for name in names:
            (root / name).mkdir()
            (root / name / "token").write_text(f"a-token-of-{name}")

    def start(self, role: str) -> LiveAccounts:
        """A process that begins now, after its first look."""
        settings = read_settings(
            {"FAXLINE_ACCOUNTS_DIR": str(self.root), "FAXLINE_DEPLOYMENT": self._deployment}
        )
        live = LiveAccounts(settings, role, Mock(), clock=lambda: self.now)
        drain_by_redis(live, self._client, Mock())
        accounts = account_list(live, self._client, Mock())
        find_drained(live, accounts, Mock(), missing=role == "dispatcher")
        return live

    def dispatcher(self) -> tuple[LiveAccounts, Dispatcher]:
        """A dispatcher that has begun with its accounts, and whose threads do not run."""
        live = self.start("dispatcher")
        live.look()
        stores = Stores(self._client, live.settings)
        served = Served(stores)
        dispatcher = Dispatcher(
            *(self._client, served, Mock(), Mock(), Mock()),
            consumer="test",
            takeover=60,
            sweep=60,
            wake_lease=60,
            accounts=account_list(live, self._client, Mock()),
            drained=live.drained,
        )

        def follow(update: Update) -> None:
            stores.follow(update.settings, update.renewed)
            served.serve(update.settings.accounts, live.draining)
            dispatcher.intake._follow(Mock())

        live.listen(follow)
        served.serve(live.settings.accounts, live.draining)
        dispatcher.intake._follow(Mock())
        return live, dispatcher

    def remove(self, account: str, *processes: LiveAccounts) -> None:
        """Remove a folder, and have processes look until they know."""
        (self.root / account).rename(self.root / f".{account}")
        for live in processes:
            live.look()
            live.look()

    def drain(self, job: str = "a") -> tuple[LiveAccounts, Dispatcher]:
        """A dispatcher that drains west, which was removed while this fax of it was under way."""
        live, dispatcher = self.dispatcher()
        self._client.zadd(KEYS.submitted, {job: 4e15})
        self.remove("west", live)
        dispatcher.timers._tidy("west")
        return live, dispatcher


@pytest.fixture
def fleet(redis_client: redis.Redis, tmp_path: Path) -> Fleet:
    (tmp_path / "accounts").mkdir()
    return Fleet(redis_client, tmp_path / "accounts")


@pytest.mark.parametrize("role", ["worker", "dispatcher", "archive", "console"])
def test_a_process_that_starts_while_an_account_is_drained_drains_it_too(
    redis_client: redis.Redis, fleet: Fleet, role: str
) -> None:
    _, dispatcher = fleet.drain("dated")
    new = fleet.start(role)
    assert sorted(new.settings.accounts) == ["east"]
    new.look()
    assert new.draining == {"west"}
    assert not new.takes_faxes("west")
    redis_client.zrem(KEYS.submitted, "dated")
    fleet.now = LATER
    dispatcher.timers._tidy("west")
    new.look()
    new.look()
    assert (sorted(new.settings.accounts), new.draining) == (["east"], frozenset())
    assert redis_client.hgetall(DRAINING) == {}


def test_the_last_dispatcher_that_knew_of_a_removal_may_die_and_the_next_one_ends_the_draining(
    redis_client: redis.Redis, fleet: Fleet
) -> None:
    fleet.drain("dated")
    live, dispatcher = fleet.dispatcher()
    assert live.draining == {"west"}
    redis_client.zrem(KEYS.submitted, "dated")
    dispatcher.timers._tidy("west")
    assert is_listed(redis_client), "a worker may not know of it yet"
    fleet.now = LATER
    dispatcher.timers._tidy("west")
    assert not is_listed(redis_client)
    live.look()
    assert list(live.settings.accounts) == ["east"]


def test_an_account_that_was_removed_while_no_dispatcher_ran_is_drained_by_the_next_one_and_all_others(
    redis_client: redis.Redis, fleet: Fleet
) -> None:
    fleet.dispatcher()
    redis_client.zadd(KEYS.submitted, {"a": 1})
    fleet.remove("west")
    live, dispatcher = fleet.dispatcher()
    assert live.draining == {"west"}
    assert dispatcher.context.stores.draining == {"west"}
    worker = fleet.start("worker")
    worker.look()
    assert worker.draining == {"west"}


def test_no_account_is_drained_at_the_start_whose_folder_is_broken_or_elsewhere(
    redis_client: redis.Redis, fleet: Fleet
) -> None:
    fleet.dispatcher()
    redis_client.hset(FOLDERS, mapping={"north": "/another/directory", "A B": str(fleet.root)})
    (fleet.root / "west" / "unknown").write_text("x")
    live, _ = fleet.dispatcher()
    assert live.draining == frozenset()
    assert list(live) == ["east"]
    fleet.root.rename(fleet.root.parent / "away")
    assert fleet.start("dispatcher").noted() == []
    (fleet.root.parent / "away").rename(fleet.root)


def test_no_account_is_drained_by_a_dispatcher_that_starts_without_the_volume(
    redis_client: redis.Redis, fleet: Fleet
) -> None:
    fleet.dispatcher()
    fleet.root.rename(fleet.root.parent / "unmounted")
    fleet.root.mkdir()
    settings = read_settings({"FAXLINE_ACCOUNTS_DIR": str(fleet.root)})
    live, log = LiveAccounts(settings, "dispatcher", Mock()), Mock()
    find_drained(live, account_list(live, redis_client, log), log, missing=True)
    for _ in range(3):
        live.look()
    assert live.draining == frozenset()
    assert redis_client.hgetall(DRAINING) == {}
    log.error.assert_called_once()
    fleet.root.rmdir()
    (fleet.root.parent / "unmounted").rename(fleet.root)
    fleet.remove("west")
    for _ in range(3):
        live.look()
    assert (list(live), live.draining) == (["east"], frozenset({"west"}))


def test_the_last_account_of_a_directory_is_drained_by_the_dispatcher_that_starts_after_its_removal(
    redis_client: redis.Redis, tmp_path: Path
) -> None:
    (tmp_path / "accounts").mkdir()
    fleet = Fleet(redis_client, tmp_path / "accounts", ["west"])
    fleet.dispatcher()
    fleet.remove("west")
    assert fleet.dispatcher()[0].draining == {"west"}


@pytest.mark.parametrize("first", ["red", ""])
def test_deployments_of_one_redis_whose_directories_have_the_same_path_drain_nothing_of_each_other(
    redis_client: redis.Redis, fleet: Fleet, tmp_path: Path, first: str
) -> None:
    fleet._deployment = first
    theirs, _ = fleet.dispatcher()
    fleet.root.rename(tmp_path / "elsewhere")
    fleet.root.mkdir()
    other = Fleet(redis_client, fleet.root, ["north", "south"], deployment="blue")
    live, dispatcher = other.dispatcher()
    live.look()
    assert (list(live), live.draining) == (["north", "south"], frozenset())
    assert redis_client.hgetall(DRAINING) == {}
    assert theirs.group != live.group
    other.remove("north", live)
    dispatcher.timers._tidy("north")
    assert set(redis_client.hgetall(DRAINING)) == {b"north"}
    again = other.start("worker")
    again.look()
    assert again.draining == {"north"}
    theirs.look()
    assert theirs.draining == frozenset()


def test_a_deployment_that_is_given_a_name_goes_on_to_drain_what_it_drained_without(fleet: Fleet) -> None:
    fleet.drain()
    fleet._deployment = "blue"
    assert fleet.dispatcher()[0].draining == {"west"}


def test_an_account_that_comes_back_is_drained_by_no_process_that_starts_then(
    redis_client: redis.Redis, fleet: Fleet
) -> None:
    live, _ = fleet.drain()
    assert b"west" in redis_client.hgetall(DRAINING)
    (fleet.root / ".west").rename(fleet.root / "west")
    live.look()
    live.look()
    assert redis_client.hgetall(DRAINING) == {}
    assert fleet.start("worker").draining == frozenset()


def test_what_a_failover_lost_of_the_list_is_written_again(redis_client: redis.Redis, fleet: Fleet) -> None:
    live, dispatcher = fleet.dispatcher()
    redis_client.zadd(KEYS.submitted, {"a": 1})
    redis_client.delete(ACCOUNTS, FOLDERS)
    assert not dispatcher.intake._is_due()
    dispatcher.intake._listed_until = 0.0
    dispatcher.intake._again_at = 0.0
    assert dispatcher.intake._is_due()
    dispatcher.intake._follow(Mock())
    assert redis_client.smembers(ACCOUNTS) == {b"west", b"east"}
    assert set(redis_client.hgetall(FOLDERS)) == {b"west", b"east"}
    fleet.remove("west", live)
    dispatcher.timers._tidy("west")
    redis_client.delete(ACCOUNTS, DRAINING)
    dispatcher.timers._tidy("west")
    assert is_listed(redis_client)
    assert b"west" in redis_client.hgetall(DRAINING)


def test_the_gauge_says_for_how_long_an_account_is_drained_also_after_a_restart(
    redis_client: redis.Redis, fleet: Fleet
) -> None:
    _, dispatcher = fleet.drain()
    seconds, _ = redis_client.time()
    redis_client.hset(DRAINING, "west", note_of((seconds - 90_000) * 1000, str(fleet.root)))
    for each in (dispatcher, fleet.dispatcher()[1]):
        each.context.stopping.set()
        each.gauges.run(Mock())
        metrics: Any = each.context.metrics
        told = dict(call.args for call in metrics.set_draining.call_args_list)
        assert told["east"] == 0.0
        assert told["west"] == pytest.approx(90_000, abs=60)


def test_an_account_that_moves_to_the_environment_is_not_drained_when_its_folder_goes(
    redis_client: redis.Redis, fleet: Fleet
) -> None:
    fleet.dispatcher()
    AccountList(redis_client, Mock()).serve(["west"])
    fleet.remove("west")
    assert fleet.start("dispatcher").noted() == []


def test_with_an_older_acl_accounts_are_listed_and_left_as_before_and_one_warning_tells_what_to_load(
    redis_client: redis.Redis, redis_url: str
) -> None:
    redis_client.acl_setuser(
        "older",
        enabled=True,
        nopass=True,
        keys=["fax:accounts"],
        commands=["+@all"],
    )
    log = Mock()
    try:
        with redis.Redis.from_url(redis_url.replace("//", "//older:x@")) as older:
            accounts = AccountList(older, log, "/run/accounts", lambda _: True)
            accounts.serve(["west", "east"])
            accounts.drain("west")
            assert redis_client.smembers(ACCOUNTS) == {b"west", b"east"}
            assert accounts.leave("west")
            assert not is_listed(redis_client)
    finally:
        redis_client.acl_deluser("older")
    log.warning.assert_called_once()


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


@pytest.mark.slow
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
