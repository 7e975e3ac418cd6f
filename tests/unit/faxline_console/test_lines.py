"""The lines to the accounts follow the accounts that come and go."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog

from faxline import JobNotFound
from faxline.contract.redis_keys import RedisKeys
from faxline_console.access.people import Person, Role
from faxline_console.live.line import ConsoleLine
from faxline_console.live.lines import Lines
from faxline_console.live.pushing import AccountRemoved
from faxline_worker.config.live_accounts import LiveAccounts
from faxline_worker.config.settings import read_settings

pytestmark = pytest.mark.usefixtures("whole_folders")


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


@pytest.mark.parametrize(
    "push",
    [
        lambda line: line.send(to="+12025550147", files=["https://example.com/a.pdf"]),
        lambda line: line.send_many([], group="june"),
        lambda line: line.cancel("a", by="ada"),
        lambda line: line.cancel_many(["a"], by="ada"),
        lambda line: line.resend("a", by="ada"),
        lambda line: line.redrive("1-1", by="ada"),
        lambda line: line.ask("a", by="ada"),
        lambda line: line.probe(by="ada", pause="1"),
    ],
)
def test_nothing_is_pushed_to_an_account_that_is_drained(
    tmp_path: Path, push: Callable[[ConsoleLine], Awaitable[object]]
) -> None:
    """There is no Redis here: it is refused before."""
    for name in ("north", "south"):
        (tmp_path / name).mkdir()
    settings = read_settings(
        {"FAXLINE_ACCOUNTS_DIR": str(tmp_path), "FAXLINE_REDIS_URL": "redis://127.0.0.1:1/0"}
    )
    live = LiveAccounts(settings, "console", structlog.get_logger())
    lines, person = Lines(live), Person("ada", Role.CLERK)
    line = lines.of("north")
    (tmp_path / "north").rmdir()
    for _ in range(2):
        live.look()

    async def refused() -> None:
        with pytest.raises(AccountRemoved, match="Have the folder put back, or choose another account"):
            await push(line)

    asyncio.run(refused())
    assert (lines.accounts_of(person), lines.sending_of(person)) == (["north", "south"], ["south"])


def test_an_account_that_only_the_archive_has_is_read_until_it_is_configured_again(tmp_path: Path) -> None:
    (tmp_path / "north").mkdir()
    settings = read_settings(
        {"FAXLINE_ACCOUNTS_DIR": str(tmp_path), "FAXLINE_REDIS_URL": "redis://127.0.0.1:1/0"}
    )
    live = LiveAccounts(settings, "console", structlog.get_logger())
    lines, person = Lines(live), Person("ada", Role.CLERK)
    lines.gone = frozenset({"south"})
    assert (lines.accounts_of(person), lines.removed_of(person)) == (["north"], ["south"])
    line = lines.to_read(person, "south")
    assert line._context.visit == RedisKeys("north").orders
    with pytest.raises(AccountRemoved, match="nobody takes orders for it"):
        lines.for_person(person, "south")
    assert "nobody takes orders for it" in lines.why_not_sending(person, "south")
    with pytest.raises(JobNotFound):
        lines.to_read(Person("eve", Role.CLERK, frozenset({"north"})), "south")
    (tmp_path / "south").mkdir()
    for _ in range(2):
        live.look()
    assert lines.for_person(person, "south") is line
    assert (lines.removed_of(person), line._context.visit, line.is_gone()) == ([], "", False)
