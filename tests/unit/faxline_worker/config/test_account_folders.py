"""Accounts in a directory: what is read, what is refused and how, and what one folder costs the others."""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from pydantic import SecretStr

from faxline_worker.config.account_folders import AccountFolders
from faxline_worker.config.accounts import Account
from faxline_worker.config.live_accounts import MOUNTED, LiveAccounts, Update
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError

TOKEN, SECRETS = "a-token-of-acme", '["a-secret-of-acme"]'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def folder(root: Path, name: str, **files: str) -> Path:
    """Write an account; `settings` stands for settings.json."""
    made = root / name
    made.mkdir(exist_ok=True)
    for file, text in files.items():
        (made / (f"{file}.json" if file == "settings" else file)).write_text(text)
    return made


def accounts(root: Path) -> AccountFolders:
    return AccountFolders(root, {})


def test_a_folder_makes_an_account_with_the_settings_of_the_environment(root: Path) -> None:
    settings = {
        "caller_id": "+12025550123",
        "limits": {"requests": 500, "window": 60},
        "ceilings": {"jobs": 7},
    }
    folder(root, "acme", token=TOKEN + "\n", webhook_secrets=SECRETS, settings=json.dumps(settings))
    environment = {
        "FAXLINE_ACCOUNTS__ACME__TOKEN": TOKEN,
        "FAXLINE_ACCOUNTS__ACME__WEBHOOK_SECRETS": SECRETS,
        "FAXLINE_ACCOUNTS__ACME__CALLER_ID": "+12025550123",
        "FAXLINE_ACCOUNTS__ACME__LIMITS__REQUESTS": "500",
        "FAXLINE_ACCOUNTS__ACME__LIMITS__WINDOW": "60",
        "FAXLINE_ACCOUNTS__ACME__CEILINGS__JOBS": "7",
    }
    found = accounts(root).look(at_once=True)
    assert found.accounts == read_settings(environment).accounts
    assert found.added == ("acme",)


BROKEN: dict[str, tuple[dict[str, str], str]] = {
    "no JSON": ({"settings": "{"}, "settings.json is no JSON: "),
    "no object": ({"settings": "[]"}, "settings.json must be a JSON object, such as "),
    "an unknown member": (
        {"settings": '{"limit": {}}'},
        "settings.json: 'limit' is not a setting of an account: did you mean limits?",
    ),
    "a secret among the settings": (
        {"settings": '{"token": "a-token-of-acme"}'},
        "settings.json: 'token' is not a setting of an account: put it into the file token",
    ),
    "an unknown limit": (
        {"settings": '{"limits": {"request": 5}}'},
        "settings.json: limits.request: is not a setting: limits has requests, window, concurrency, burst",
    ),
    "a wrong value": (
        {"settings": '{"limits": {"requests": -1}}'},
        "settings.json: limits.requests: Input should be greater than or equal to 0",
    ),
    "an unknown file": (
        {"webhook_secret": SECRETS},
        "webhook_secret is not a file of an account: did you mean webhook_secrets?",
    ),
    "no list": ({"webhook_secrets": "a-secret-of-acme"}, "webhook_secrets: must be a JSON list of texts"),
    "a token with a space": ({"token": "a token of acme"}, "token must hold the API token: printable ASCII"),
    "a short token": ({"token": "short"}, "token: secrets must be at least 8 characters long"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_folder_is_named_with_file_member_and_fix_and_costs_no_other(root: Path, case: str) -> None:
    files, message = BROKEN[case]
    folder(root, "acme", **{"token": TOKEN, **files})
    folder(root, "other", token="a-token-of-other")
    folders = accounts(root)
    found = folders.look(at_once=True)
    assert list(found.accounts) == ["other"]
    assert list(found.broken) == ["acme"]
    assert found.broken["acme"].startswith(message)
    assert "acme" not in found.broken["acme"].replace("a-token-of-acme", "") or "token" in case
    assert folders.broken == dict(found.broken)
    assert folders.look().broken == {}  # it is told once


def test_a_message_about_a_folder_quotes_no_secret(root: Path) -> None:
    for i, (files, _) in enumerate(BROKEN.values()):
        folder(root, f"a{i}", **{"token": f"secret-token-{i}", **files})
    told = " ".join(accounts(root).look(at_once=True).broken.values())
    assert "secret-token" not in told
    assert "a-secret-of-acme" not in told


def test_a_folder_that_breaks_keeps_its_last_good_settings_until_it_is_mended(root: Path) -> None:
    folder(root, "acme", token=TOKEN, settings='{"limits": {"requests": 5}}')
    folders = accounts(root)
    folders.look(at_once=True)
    folder(root, "acme", settings='{"limits": {"requests": "many"}}')
    folders.look()
    found = folders.look()
    assert found.accounts["acme"].limits.requests == 5
    assert "limits.requests" in found.broken["acme"]
    folder(root, "acme", settings='{"limits": {"requests": 6}}')
    folders.look()
    found = folders.look()
    assert found.changed == ("acme",)
    assert found.accounts["acme"].limits.requests == 6
    assert folders.broken == {}


def test_a_folder_is_read_when_two_looks_find_the_same(root: Path) -> None:
    folders = accounts(root)
    folders.look(at_once=True)
    folder(root, "acme", token=TOKEN)
    assert not folders.look()
    folder(root, "acme", webhook_secrets=SECRETS)
    assert not folders.look()
    assert folders.look().added == ("acme",)
    assert not folders.look()


@pytest.mark.parametrize("member", ["token", "webhook_secrets"])
def test_two_accounts_may_not_have_the_same_secret_and_may_swap_theirs(root: Path, member: str) -> None:
    values = {
        "token": ("token-number-1", "token-number-2"),
        "webhook_secrets": ('["secret-1"]', '["secret-2"]'),
    }
    one, two = values[member]
    folder(root, "a", **{member: one})
    folder(root, "b", **{member: one})
    folders = accounts(root)
    found = folders.look(at_once=True)
    assert list(found.accounts) == ["a"]
    assert found.broken["b"].startswith(f"{member} is that of account a, too: ")
    folder(root, "b", **{member: two})
    folders.look()
    assert folders.look().added == ("b",)
    folder(root, "a", **{member: two})
    folder(root, "b", **{member: one})
    for _ in range(3):
        folders.look()
    assert folders.broken != {}  # each waits for the other
    folder(root, "b", **{member: one.replace("1", "3")})
    for _ in range(3):
        folders.look()
    assert folders.broken == {}


def test_an_account_of_the_environment_is_not_taken_from_a_folder(root: Path) -> None:
    folder(root, "acme", token=TOKEN)
    found = AccountFolders(root, {"acme": Account()}).look(at_once=True)
    assert found.accounts == {}
    assert "environment" in found.broken["acme"]


@pytest.mark.parametrize("name", ["Acme", "a b", "-a"])
def test_a_folder_whose_name_is_no_account_is_told(root: Path, name: str) -> None:
    folder(root, name, token=TOKEN)
    assert "1 to 63" in accounts(root).look(at_once=True).broken[name]


def test_a_worker_needs_each_token_and_a_dispatcher_no_file_at_all(root: Path) -> None:
    folder(root, "acme")
    assert list(accounts(root).look(at_once=True).accounts) == ["acme"]
    found = AccountFolders(root, {}, token_needed=True).look(at_once=True)
    assert found.broken == {"acme": "the file token is missing: a worker calls iFax with it"}


def test_a_directory_that_is_away_for_a_moment_costs_no_account(root: Path) -> None:
    folder(root / "..", root.name)
    folder(root, "acme", token=TOKEN)
    folders = accounts(root)
    folders.look(at_once=True)
    moved = root.rename(root.parent / "moved")
    found = folders.look()
    assert list(found.accounts) == ["acme"]
    assert list(found.broken) == ["."]
    moved.rename(root)
    assert folders.look().removed == ()
    assert folders.broken == {}


def test_an_account_is_removed_when_two_looks_do_not_find_it(root: Path) -> None:
    for name in ("acme", "other"):
        folder(root, name, token=f"a-token-of-{name}")
    folders = accounts(root)
    folders.look(at_once=True)
    (root / "acme").rename(root / ".acme")
    assert not folders.look()
    (root / ".acme").rename(root / "acme")
    assert not folders.look()
    (root / "acme").rename(root / ".acme")
    assert [folders.look().removed for _ in range(3)] == [(), ("acme",), ()]


def test_no_account_is_removed_when_all_are_gone_at_once(root: Path) -> None:
    names = ("acme", "other")
    for name in names:
        folder(root, name, token=f"a-token-of-{name}")
    folders = accounts(root)
    folders.look(at_once=True)
    for name in names:  # an empty directory, as where a volume was mounted
        (root / name).rename(root / f".{name}")
    found = [folders.look() for _ in range(4)]
    assert [one.removed for one in found] == [()] * 4
    assert [list(one.broken) for one in found] == [["."], [], [], []]
    assert list(found[-1].accounts) == [*names]
    for name in names:
        (root / f".{name}").rename(root / name)
    assert not folders.look()
    assert folders.broken == {}


@pytest.mark.parametrize("file", ["settings", "webhook_secrets"])
def test_a_file_nested_too_deeply_to_be_read_is_a_broken_folder(root: Path, file: str) -> None:
    folder(root, "acme", **{file: "[" * 90_000})
    assert list(accounts(root).look(at_once=True).broken) == ["acme"]


def test_a_link_to_itself_is_a_broken_folder_and_costs_no_other(root: Path) -> None:
    folder(root, "other", token=TOKEN)
    (root / "acme").symlink_to("acme")
    found = accounts(root).look(at_once=True)
    assert list(found.accounts) == ["other"]
    assert found.broken == {"acme": "acme cannot be read: Too many levels of symbolic links"}


def test_a_folder_whose_files_two_looks_do_not_find_is_broken_until_they_are_there(root: Path) -> None:
    made = folder(root, "acme", token=TOKEN)
    folders = accounts(root)
    folders.look(at_once=True)
    (made / "webhook_secrets").symlink_to("nowhere")
    assert not folders.look()
    found = folders.look()
    assert found.broken == {"acme": "webhook_secrets cannot be read: No such file or directory"}
    assert list(found.accounts) == ["acme"]
    assert not folders.look()
    (made / "webhook_secrets").unlink()
    folders.look()
    folders.look()
    assert folders.broken == {}


class Mounted:
    """A Secret as Kubernetes mounts it: links by way of `..data`, which is replaced at once."""

    def __init__(self, root: Path) -> None:
        self.root, self._n = root, 0

    def write(self, **accounts: str) -> None:
        self._n += 1
        version = self.root / f"..2026_{self._n}"
        version.mkdir()
        for name, token in accounts.items():
            (version / name).mkdir()
            (version / name / "token").write_text(token)
        (self.root / "..new").symlink_to(version.name)
        (self.root / "..new").replace(self.root / "..data")
        for name in accounts:
            if not (self.root / name).is_symlink():
                (self.root / name).symlink_to(f"..data/{name}")
        for link in self.root.iterdir():
            if not link.name.startswith(".") and link.name not in accounts:
                link.unlink()


def test_a_mounted_secret_is_followed_and_costs_one_look_at_a_link_while_it_does_not_change(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = Mounted(root)
    mounted.write(acme=TOKEN, other="a-token-of-other")
    folders = accounts(root)
    assert folders.look(at_once=True).added == ("acme", "other")
    mounted.write(acme="a-new-token", third="a-third-token")
    changes = [folders.look() for _ in range(3)]
    assert [one.removed for one in changes] == [(), ("other",), ()]
    assert ([one.changed for one in changes], [one.added for one in changes]) == (
        [(), ("acme",), ()],
        [(), ("third",), ()],
    )
    monkeypatch.setattr(os, "scandir", Mock(side_effect=AssertionError))
    assert not folders.look()


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
