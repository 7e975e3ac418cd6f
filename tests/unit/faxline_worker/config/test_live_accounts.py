"""Accounts that come and go: which are served, which are drained, and until when."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from pydantic import SecretStr

from faxline_worker.config.live_accounts import MOUNTED, LiveAccounts, Update
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError
from tests.stage.account_folders import Mounted, folder

pytestmark = pytest.mark.usefixtures("whole_folders")

TOKEN = "a-token-of-acme"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


Live = Callable[..., LiveAccounts]


@pytest.fixture
def live(root: Path) -> Live:
    """Accounts of a role as they are now, in a clock of the test's."""

    def make(
        role: str = "worker", clock: Callable[[], float] = lambda: 0.0, **environment: str
    ) -> LiveAccounts:
        settings = read_settings(
            {f"FAXLINE_{name}": value for name, value in environment.items()}
            | {"FAXLINE_ACCOUNTS_DIR": str(root)}
        )
        return LiveAccounts(settings, role, Mock(), clock=clock)

    return make


def test_accounts_of_the_environment_and_of_the_directory_are_served_together(root: Path, live: Live) -> None:
    folder(root, "acme", token=TOKEN)
    found = live(ACCOUNTS__DEFAULT__TOKEN="a-token-of-default")
    assert sorted(found) == ["acme", "default"]
    assert found.settings.limits_of("acme").requests == 1000


def test_a_changed_account_is_logged_with_the_names_of_its_changed_files_and_nothing_in_them(
    root: Path,
) -> None:
    folder(root, "acme", token=TOKEN)
    log = Mock()
    accounts = LiveAccounts(read_settings({"FAXLINE_ACCOUNTS_DIR": str(root)}), "worker", log)
    folder(root, "acme", token="the-next-token", settings='{"limits": {"requests": 5}}')
    accounts.look()
    accounts.look()
    log.info.assert_called_once_with("account changed", account="acme", member="settings.json, token")


def remove(root: Path, name: str, accounts: LiveAccounts) -> None:
    """Remove an account's folder, and look until that counts."""
    (root / name).rename(root / f".{name}")
    accounts.look()
    accounts.look()


def test_an_account_that_is_removed_is_drained_for_as_long_as_redis_lists_it(root: Path, live: Live) -> None:
    folder(root, "acme", token=TOKEN)
    folder(root, "other")
    now = [0.0]
    accounts = live("dispatcher", clock=lambda: now[0])
    told: list[Update] = []
    accounts.listen(told.append)
    remove(root, "acme", accounts)
    assert told[-1].drained == ("acme",)
    assert not accounts.takes_faxes("acme")
    assert "acme" in accounts.settings.accounts
    listed = {"acme"}
    accounts.listed = listed.intersection
    now[0] = timedelta(days=200).total_seconds()  # a fax may have a date that is so far away
    accounts.look()
    assert len(told) == 1
    listed.clear()
    accounts.look()
    assert told[-1].removed == ("acme",)
    assert list(accounts.settings.accounts) == ["other"]


def test_an_account_with_nothing_under_way_is_forgotten_once_every_worker_knows(
    root: Path, live: Live
) -> None:
    folder(root, "acme", token=TOKEN)
    folder(root, "other")
    now = [0.0]
    accounts = live("dispatcher", clock=lambda: now[0])
    accounts.listed = lambda _: ()
    remove(root, "acme", accounts)
    now[0] = accounts.settings.drain_least.total_seconds() - 1
    assert not accounts.drained("acme")
    accounts.look()
    assert accounts.draining == {"acme"}
    now[0] += 2
    assert accounts.drained("acme")
    assert not accounts.drained("acme", slowest=45.0), "a worker that looks each 45 s may not know yet"
    accounts.look()
    assert accounts.draining == frozenset()
    assert list(accounts.settings.accounts) == ["other"]


def test_an_account_that_was_removed_before_the_start_is_drained_as_redis_notes(
    root: Path, live: Live
) -> None:
    folder(root, "other", token="a-token-of-other")
    now = [0.0]
    accounts = live(clock=lambda: now[0])
    told: list[Update] = []
    accounts.listen(told.append)
    accounts.noted = lambda: ("acme", "other")
    listed = {"acme"}
    accounts.listed = listed.intersection
    accounts.look()
    assert told[-1].drained == ("acme",), "one that has a folder is not"
    assert accounts.draining == {"acme"}
    assert not accounts.takes_faxes("acme")
    assert sorted(accounts.settings.accounts) == ["acme", "other"]
    accounts.look()
    assert len(told) == 1
    accounts.noted = lambda: ()
    listed.clear()
    now[0] = accounts.settings.drain_least.total_seconds() + 1
    accounts.look()
    assert told[-1].removed == ("acme",)
    folder(root, "acme", token=TOKEN)
    accounts.look()
    accounts.look()
    assert accounts.takes_faxes("acme")


def test_an_account_that_is_forgotten_is_not_found_again_by_the_note_that_was_read_before(
    root: Path, live: Live
) -> None:
    folder(root, "acme", token=TOKEN)
    folder(root, "other", token="a-token-of-other")
    now, noted = [0.0], {"acme"}
    accounts = live(clock=lambda: now[0])
    remove(root, "acme", accounts)
    accounts.noted = lambda: list(noted)

    def forget(_: Sequence[str]) -> tuple[str, ...]:
        noted.clear()  # a dispatcher takes it off the list and drops the note
        return ()

    accounts.listed = forget
    now[0] = accounts.settings.drain_least.total_seconds() + 1
    accounts.look()
    accounts.look()
    assert accounts.draining == frozenset()


def test_an_account_that_comes_back_while_it_is_drained_is_served_again(root: Path, live: Live) -> None:
    folder(root, "acme", token=TOKEN)
    folder(root, "other", token="a-token-of-other")
    now = [0.0]
    accounts = live(clock=lambda: now[0])
    told: list[Update] = []
    accounts.listen(told.append)
    remove(root, "acme", accounts)
    assert accounts.draining == {"acme"}
    accounts.listed = lambda _: ()  # the timers found it just before the look that takes it back
    (root / ".acme").rename(root / "acme")
    accounts.look()
    now[0] = accounts.settings.drain_least.total_seconds() + 1
    accounts.look()
    assert accounts.takes_faxes("acme")
    assert accounts.draining == frozenset()
    assert (told[-1].added, told[-1].removed) == (("acme",), ())


def test_a_folder_may_not_have_the_secret_that_an_account_of_the_environment_was_given_since(
    root: Path, live: Live
) -> None:
    accounts = live(ACCOUNTS__DEFAULT__TOKEN="a-token-of-default")
    accounts.rotated("default", "token", SecretStr("a-newer-token"))
    folder(root, "acme", token="a-newer-token")
    folder(root, "other", token="a-token-of-default")
    accounts.look()
    accounts.look()
    assert sorted(accounts) == ["default", "other"]
    assert "that of account default" in accounts.broken["acme"]


def test_a_directory_may_have_no_account_yet_and_neither_it_nor_an_account_is_an_error(live: Live) -> None:
    assert list(live("dispatcher")) == []
    with pytest.raises(
        SettingsError, match=r"FAXLINE_ACCOUNTS__<NAME>__TOKEN is missing.*FAXLINE_ACCOUNTS_DIR"
    ):
        read_settings({})


def test_an_account_of_a_mounted_directory_is_forgotten_only_when_every_node_has_the_change(
    root: Path, live: Live
) -> None:
    mounted = Mounted(root)
    mounted.write(acme=TOKEN, other="a-token-of-other")
    now = [0.0]
    accounts = live(clock=lambda: now[0])
    mounted.write(other="a-token-of-other")
    accounts.look()
    accounts.look()
    now[0] = accounts.settings.drain_least.total_seconds() + 1
    assert not accounts.drained("acme")
    now[0] += MOUNTED
    assert accounts.drained("acme")
