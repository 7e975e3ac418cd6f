"""Which accounts a dispatcher serves as other dispatchers and accounts come and go."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest

from faxline.reading.processes import Process, ProcessState, read_heartbeat
from faxline_worker.config.accounts import Account
from faxline_worker.config.live_accounts import Update
from faxline_worker.config.settings import Settings, read_settings
from faxline_worker.dispatcher.served import Served
from faxline_worker.dispatcher.shares import TROUBLED, Shares
from faxline_worker.observability.metrics.families import new_registry
from faxline_worker.state import units as units_module
from faxline_worker.state.units import ALL, MANY, digests_of, unit_of, units_of
from tests.stage.daemon import dispatcher_metrics

NAMES = [f"a{i:03}" for i in range(MANY + 50)]
GROUP = "0123abcd"
DISPATCHER = Process(
    "dispatcher", "", "host", 1, "1", datetime.now(UTC), 0.0, ProcessState.WORKING, shares=GROUP, units=ALL
)


def dispatchers(*names: str, **changes: Any) -> list[Process]:
    return [replace(DISPATCHER, name=name, **changes) for name in names]


class Own:
    """One dispatcher."""

    def __init__(self, accounts: list[str] = NAMES) -> None:
        self.registry, self.broker = new_registry(), Mock()
        self.served = Served({name: Mock(account=name) for name in [*accounts, "new"]})
        self.served.serve(accounts)
        self.now = 0.0
        metrics = dispatcher_metrics(self.registry, accounts=accounts)
        self.broken: list[str] = []
        self.shares = Shares(
            *(self.served, metrics, "me", GROUP, self.broker, lambda: self.now), lambda: self.broken
        )

    def value(self, metric: str) -> float | None:
        return self.registry.get_sample_value(metric)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that another has is left at once."""
    monkeypatch.setattr(units_module, "KEPT", 0.0)


@pytest.fixture
def own() -> Own:
    return Own()


def settings_of(names: list[str]) -> Settings:
    return read_settings({"FAXLINE_ACCOUNTS": ",".join(names)})


def test_how_long_a_worker_may_not_know_of_a_removal_is_read_in_the_heartbeats(own: Own) -> None:
    told = {"host": "h", "pid": 1, "version": "1", "since": 0, "at": 0, "state": "working"}
    texts = [json.dumps(told | more).encode() for more in ({}, {"looks": 42.5}, {"at": -90_000, "looks": 99})]
    workers = [read_heartbeat("worker", b"w%d" % place, text, 0) for place, text in enumerate(texts)]
    own.shares.saw([*dispatchers("me"), *filter(None, workers)])
    assert len(workers) == 3
    assert own.shares.slowest_look == 42.5, "one that is gone begins no call"
    own.shares.saw(dispatchers("me"))
    assert own.shares.slowest_look == 0


def test_one_or_two_dispatchers_serve_all(own: Own) -> None:
    for others in ([], dispatchers("me"), dispatchers("me", "b")):
        own.shares.saw(others)
        assert list(own.served) == NAMES
    assert own.value("fax_accounts_served") == len(NAMES)
    assert own.value("fax_accounts_unowned") == 0


def test_three_share_and_the_heartbeat_says_which_units(own: Own) -> None:
    own.shares.saw(dispatchers("me", "b", "c"))
    mine = units_of("me", ["b", "c"])
    assert list(own.served) == [name for name in NAMES if unit_of(name) in mine]
    assert int(str(own.shares.heartbeat_fields()["units"]), 16) == sum(1 << unit for unit in mine)
    assert own.value("fax_accounts_served") == len(own.served)


@pytest.mark.parametrize(
    "other",
    [
        {"shares": "another"},
        {"shares": ""},
        {"state": ProcessState.STALLED},
        {"state": ProcessState.NOT_READY},
        {"silent": 11.0},
        {"role": "worker"},
    ],
)
def test_nothing_is_left_to_one_that_has_other_accounts_or_is_not_at_work(
    own: Own, other: dict[str, Any]
) -> None:
    own.shares.saw([*dispatchers("me"), *dispatchers("b", "c", **other)])
    assert list(own.served) == NAMES


def test_a_unit_is_left_to_no_dispatcher_that_does_not_have_the_same_accounts_in_it(own: Own) -> None:
    """As of another deployment whose directory has the same path, or where an account came a moment ago."""
    theirs = digests_of(NAMES[:-1])
    differs = unit_of(NAMES[-1])
    mine = units_of("me", ["b", "c", "d"]) | {differs}
    own.shares.saw([*dispatchers("me"), *dispatchers("b", "c", "d", known=theirs)])
    assert list(own.served) == [name for name in NAMES if unit_of(name) in mine]
    own.shares.follow(Update(settings_of(NAMES[:-1]), removed=(NAMES[-1],)), frozenset())
    own.shares.saw([*dispatchers("me"), *dispatchers("b", "c", "d", known=theirs)])
    kept = units_of("me", ["b", "c", "d"])
    assert list(own.served) == [name for name in NAMES[:-1] if unit_of(name) in kept]


def test_an_account_that_nobody_else_knows_is_not_counted_as_one_that_another_serves(own: Own) -> None:
    mine = units_of("me", ["b", "c"])
    others = dispatchers("b", "c", known=digests_of([]))
    own.shares.saw([*dispatchers("me"), *others])
    assert list(own.served) == NAMES
    own.shares._units = mine
    left = [name for name in NAMES if unit_of(name) not in mine]
    assert left
    assert own.shares._count_unowned(others) == len(left)


def test_what_a_dispatcher_knows_is_read_from_its_heartbeat(own: Own) -> None:
    fields = own.shares.heartbeat_fields()
    told = {"host": "h", "pid": 1, "version": "1", "since": 0, "at": 0, "state": "working"} | fields
    process = read_heartbeat("dispatcher", b"b", json.dumps(told).encode(), 0)
    assert process is not None
    assert process.known == digests_of(reversed(NAMES))
    own.shares.follow(Update(settings_of([*NAMES, "new"]), added=("new",)), frozenset())
    assert own.shares.heartbeat_fields()["known"] == digests_of([*NAMES, "new"]) != process.known
    own.shares.follow(Update(settings_of([*NAMES, "new"]), drained=("new",)), frozenset({"new"}))
    assert own.shares.heartbeat_fields()["known"] == process.known, (
        "an account is left to none that drains it"
    )


def test_one_that_is_not_ready_for_a_moment_keeps_its_share(own: Own) -> None:
    own.shares.saw(dispatchers("me", "b", "c"))
    mine = list(own.served)
    troubled = dispatchers("b", "c", state=ProcessState.NOT_READY)
    own.now = TROUBLED - 1
    own.shares.saw([*dispatchers("me"), *troubled])
    assert list(own.served) == mine
    own.now = TROUBLED + 1
    own.shares.saw([*dispatchers("me"), *troubled])
    assert list(own.served) == NAMES


def test_what_no_dispatcher_says_it_serves_is_counted(own: Own) -> None:
    others = dispatchers("b", "c", units=frozenset())
    own.shares.saw(others)
    mine = units_of("me", ["b", "c"])
    left = [name for name in NAMES if unit_of(name) not in mine]
    assert left
    assert own.value("fax_accounts_unowned") == len(left)


@pytest.mark.parametrize(
    ("here", "there", "unowned"),
    [
        (True, ["broken"], 1),
        (True, [], 0),  # the other could read it
        (False, ["broken"], 0),
    ],
)
def test_an_account_whose_folder_no_dispatcher_could_read_is_counted_as_one_that_nobody_serves(
    here: bool, there: list[str], unowned: int
) -> None:
    own = Own([*NAMES, *(() if here else ("broken",))])
    own.broken = ["broken", "."] if here else ["."]
    assert own.shares.heartbeat_fields().get("lacks") == (["broken"] if here else None)
    own.shares.saw([*dispatchers("me"), *dispatchers("b", lacks=frozenset(there))])
    assert own.value("fax_accounts_unowned") == unowned


def test_an_account_that_a_third_dispatcher_could_read_is_counted_if_its_owners_could_not(own: Own) -> None:
    others = dispatchers("b", "c")
    mine = units_of("me", ["b", "c"])
    left = next(name for name in NAMES if unit_of(name) not in mine)
    own.shares.saw([*dispatchers("me"), *(replace(one, lacks=frozenset({left})) for one in others)])
    assert own.value("fax_accounts_unowned") == 1


def test_what_a_dispatcher_lacks_is_read_from_its_heartbeat(own: Own) -> None:
    own.broken = ["broken"]
    fields = {"host": "h", "pid": 1, "version": "1", "since": 0, "at": 0, "state": "working"}
    for more, lacks in ((own.shares.heartbeat_fields(), {"broken"}), ({}, set())):
        process = read_heartbeat("dispatcher", b"me", json.dumps({**fields, **more}).encode(), 0)
        assert process is not None
        assert process.lacks == lacks


def test_a_folder_that_broke_after_it_was_read_is_served_as_it_was(own: Own) -> None:
    own.broken = [NAMES[0]]
    own.shares.saw(dispatchers("me"))
    assert own.value("fax_accounts_unowned") == 0


def test_accounts_are_added_drained_and_left(own: Own) -> None:
    version = own.served.version
    own.shares.follow(Update(settings_of([*NAMES, "new"]), added=("new",)), frozenset())
    assert "new" in own.served
    own.shares.follow(Update(settings_of([*NAMES, "new"]), drained=("new",)), frozenset({"new"}))
    assert "new" in own.served
    assert not own.served.takes_faxes("new")
    own.shares.follow(Update(settings_of(NAMES), removed=("new",)), frozenset())
    assert "new" not in own.served
    assert own.served.version == version + 3


def test_an_account_with_new_settings_is_begun_with_anew(own: Own) -> None:
    version = own.served.version
    settings = settings_of(NAMES).model_copy(update={"accounts": {name: Account() for name in NAMES}})
    own.shares.follow(Update(settings, changed=("a001",)), frozenset())
    assert own.served.version == version + 1


def test_nothing_is_exported_about_accounts_that_others_serve() -> None:
    own = Own(NAMES[:50])
    own.shares.saw(dispatchers("me", "b", "c"))
    samples = [sample for metric in own.registry.collect() for sample in metric.samples]
    assert {sample.labels["account"] for sample in samples if "account" in sample.labels} == set(own.served)
    assert len(own.served) < 50


def test_wake_ups_go_to_lists_of_units_once_every_worker_takes_from_them(own: Own) -> None:
    old, new = (dispatchers("w", role="worker", units=units) for units in (frozenset[int](), frozenset({1})))
    for workers, grouped in (([], False), (new, True), ([*old, *new], False)):
        own.shares.saw([*dispatchers("me"), *workers])
        assert own.broker.grouped == grouped
    few = Own(NAMES[:MANY])
    few.shares.saw([*dispatchers("me"), *new])
    assert not few.broker.grouped
