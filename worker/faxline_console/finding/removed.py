"""The accounts that were removed: only the archive has them."""

from starlette.concurrency import run_in_threadpool

from faxline.contract.errors import ArchiveUnavailable
from faxline_console.access.people import Person
from faxline_console.archive.ended import Ended
from faxline_console.live.lines import Lines

NOT_SEARCHED = (
    "Removed accounts are not searched here: {}. Their faxes stay in the archive; the command `faxline find` "
    "finds them, and usage and the audit have them here."
)


async def removed_accounts(lines: Lines, ended: Ended | None, person: Person) -> list[str]:
    """The names of those that a person may see; none where there is no archive or it does not answer."""
    if ended is None:
        return []
    try:
        names = await run_in_threadpool(ended.accounts)
    except ArchiveUnavailable:
        return []
    return sorted(name for name in {*names}.difference(lines.accounts) if person.sees_account(name))
