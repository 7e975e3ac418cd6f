"""The lines to the accounts follow the accounts that come and go."""

from pathlib import Path

import pytest
import structlog

from faxline import JobNotFound
from faxline_console.lines import Lines
from faxline_console.people import Person, Role
from faxline_worker.config.live_accounts import LiveAccounts
from faxline_worker.config.settings import read_settings


def test_an_account_that_comes_is_there_at_once_and_one_that_was_never_is_not(tmp_path: Path) -> None:
    (tmp_path / "north").mkdir()
    live = LiveAccounts(
        read_settings({"FAXLINE_ACCOUNTS_DIR": str(tmp_path)}), "console", structlog.get_logger()
    )
    lines, person = Lines(live), Person("ada", Role.CLERK, frozenset({"south"}))
    assert (lines.accounts, lines.accounts_of(person)) == (["north"], [])
    (tmp_path / "south").mkdir()
    live.look()
    live.look()  # a folder counts once two looks found the same
    assert (lines.accounts, lines.accounts_of(person)) == (["north", "south"], ["south"])
    assert lines.for_person(person, "south").account == "south"
    for account in ("north", "east"):
        with pytest.raises(JobNotFound):
            lines.for_person(person, account)
