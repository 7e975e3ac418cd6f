"""Accounts in a directory: what is read, what is refused and how, and what one folder costs the others."""

import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from faxline_worker.config import account_folders
from faxline_worker.config.account_files import read_folder
from faxline_worker.config.account_folders import AccountFolders
from faxline_worker.config.accounts import Account
from faxline_worker.config.settings import read_settings
from tests.stage.account_folders import Mounted, folder

pytestmark = pytest.mark.usefixtures("whole_folders")

TOKEN, SECRETS = "a-token-of-acme", '["a-secret-of-acme"]'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


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
    "half a character": (
        {"webhook_secrets": r'["\ud800-is-no-character"]'},
        "webhook_secrets: must be a JSON list of texts",
    ),
    "half a character in a setting": (
        {"settings": r'{"caller_id": "\ud800"}'},
        "settings.json holds half a character (\\ud800 to \\udfff alone)",
    ),
    "a number beyond all counting": (
        {"settings": '{"limits": {"requests": 1' + "0" * 400 + "}}"},
        "settings.json: limits.requests: Input should be less than or equal to ",
    ),
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


def test_no_account_is_removed_where_nothing_but_another_folder_is_left(root: Path) -> None:
    for name in ("acme", "other"):
        folder(root, name, token=f"a-token-of-{name}")
    folders = accounts(root)
    folders.look(at_once=True)
    for name in ("acme", "other"):
        (root / name).rename(root / f".{name}")
    folder(root, "lost+found")  # what is under the place where a volume was mounted
    found = [folders.look() for _ in range(5)]
    assert [one.removed for one in found] == [()] * 5
    assert sorted(found[-1].accounts) == ["acme", "other"]
    assert sorted(folders.broken) == [".", "lost+found"]


def test_all_accounts_may_be_replaced_by_others_at_once(root: Path) -> None:
    folder(root, "acme", token=TOKEN)
    folders = accounts(root)
    folders.look(at_once=True)
    (root / "acme").rename(root / ".acme")
    folder(root, "other", token="a-token-of-other")
    found = [folders.look() for _ in range(4)]
    assert [one.added for one in found] == [(), ("other",), (), ()]
    assert [one.removed for one in found] == [(), (), (), ("acme",)]


def test_a_folder_that_is_being_written_at_the_start_is_read_once_it_is_whole(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_folders, "FRESH", 3600.0)
    folder(root, "acme", token=TOKEN)  # its settings come in a moment: without them it has greater limits
    folders = accounts(root)
    assert folders.look(first=True).accounts == {}
    folder(root, "acme", settings='{"limits": {"requests": 5}}')
    assert not folders.look()
    assert folders.look().accounts["acme"].limits.requests == 5


def test_a_mounted_folder_is_read_at_the_start_however_new_it_is(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_folders, "FRESH", 3600.0)
    (root / "whole").mkdir()
    Mounted(root / "whole").write(acme=TOKEN)
    assert list(accounts(root / "whole").look(first=True).accounts) == ["acme"]
    version = root / "each" / "acme" / "..2026_1"
    version.mkdir(parents=True)
    (version / "token").write_text(TOKEN)
    (version.parent / "..data").symlink_to(version.name)
    (version.parent / "token").symlink_to("..data/token")
    assert list(accounts(root / "each").look(first=True).accounts) == ["acme"]


def test_a_folder_that_changes_while_it_is_read_is_neither_taken_nor_told(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes swaps a link in between: the token would be the new one, and the settings the old ones."""
    mounted = Mounted(root)
    mounted.write(acme=TOKEN)
    folders = accounts(root)
    folders.look(at_once=True)
    mounted.write(acme="a-second-token")
    assert not folders.look()

    def swapped(*asked: Any) -> Account:
        monkeypatch.setattr(account_folders, "read_folder", read_folder)
        mounted.write(acme="a-third-token")
        return read_folder(*asked)

    monkeypatch.setattr(account_folders, "read_folder", swapped)
    assert not folders.look()
    changes = [folders.look() for _ in range(2)]
    assert [one.changed for one in changes] == [(), ("acme",)]
    token = changes[-1].accounts["acme"].token
    assert token is not None
    assert token.get_secret_value() == "a-third-token"


def test_a_token_that_is_away_for_a_moment_as_it_is_read_is_no_broken_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = folder(root, "acme", token=TOKEN)
    folders = accounts(root)
    folders.look(at_once=True)
    (made / "token").write_text("a-second-token")
    folders.look()

    def vanished(*asked: Any) -> Account:
        (made / "token").rename(made / ".token")
        return read_folder(*asked)

    monkeypatch.setattr(account_folders, "read_folder", vanished)
    assert folders.look().broken == {}
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


def test_a_link_that_leads_nowhere_for_a_while_removes_no_account(root: Path) -> None:
    """As if what it leads to is mounted anew."""
    there = root / ".there"
    there.mkdir()
    folder(there, "acme", token=TOKEN)
    folder(root, "other", token="a-token-of-other")
    (root / "acme").symlink_to(there / "acme")
    (root / ".a-file").touch()
    (root / "README").symlink_to(root / ".a-file")
    folders = accounts(root)
    assert list(folders.look(at_once=True).accounts) == ["acme", "other"]
    there.rename(root / ".away")
    changes = [folders.look() for _ in range(3)]
    assert [list(one.accounts) for one in changes] == [["acme", "other"]] * 3
    assert folders.broken == {"acme": "acme cannot be read: No such file or directory"}
    (root / ".away").rename(there)
    folders.look()
    assert folders.broken == {}
    (root / "acme").unlink()
    folders.look()
    assert folders.look().removed == ("acme",)


def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(root: Path) -> None:
    made = folder(root, "acme")
    os.mkfifo(made / "token")
    folder(root, "other", token="a-token-of-other")
    found = accounts(root).look(at_once=True)
    assert list(found.accounts) == ["other"]
    assert list(found.broken) == ["acme"]


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
