"""The lines to the accounts: how the console reads Redis and acts."""

import asyncio
from functools import partial

from faxline import FaxlineError, JobNotFound
from faxline.reading.job import Job
from faxline_console.access.people import Person
from faxline_console.live.line import ConsoleLine
from faxline_console.live.pushing import GONE, REMOVED, AccountRemoved
from faxline_worker.config.live_accounts import LiveAccounts


class Lines:
    """A line for each account, made when it is first asked for.

    An account that comes is there at the next page, and one that goes is not; while it is drained it is
    still there, as its faxes end.

    Example:
        >>> job = await lines.of("north").job("clinic-north.4711")

    Args:
        live: the accounts as they are now. The console uses a Redis user of its own in FAXLINE_REDIS_URL.
    """

    def __init__(self, live: LiveAccounts) -> None:
        self._live = live
        self._lines: dict[str, ConsoleLine] = {}
        self.gone: frozenset[str] = frozenset()
        """The accounts that were removed and of which only the archive has something (`finding.removed`)."""

    @property
    def accounts(self) -> list[str]:
        """The names of all accounts."""
        return sorted(self._live.settings.accounts)

    def accounts_of(self, person: Person) -> list[str]:
        """The names of the accounts that a person sees."""
        return [name for name in self.accounts if person.sees_account(name)]

    def removed_of(self, person: Person) -> list[str]:
        """The names of the removed accounts that a person sees."""
        return [name for name in sorted(self.gone.difference(self.accounts)) if person.sees_account(name)]

    def sending_of(self, person: Person) -> list[str]:
        """The names of those of them that take faxes; one that is drained takes none."""
        return [name for name in self.accounts_of(person) if self.takes_faxes(name)]

    def why_not_sending(self, person: Person, account: str) -> str:
        """Why a person cannot push to an account; empty if it can."""
        if account in self.sending_of(person):
            return ""
        known = account in self.accounts_of(person) or account in self.removed_of(person)
        return self.removed(account) if known else "Choose one of the accounts."

    def takes_faxes(self, account: str) -> bool:
        """Whether an account is there, and not removed and drained."""
        return self._live.takes_faxes(account)

    def is_gone(self, account: str) -> bool:
        """Whether an account was removed and is not drained any more, so that nobody reads its orders."""
        return account in self.gone and account not in self._live.settings.accounts

    def removed(self, account: str) -> str:
        """What is said of an account that was removed; empty of one that takes faxes."""
        if self.takes_faxes(account):
            return ""
        return f"{(GONE if self.is_gone(account) else REMOVED).format(account)}."

    def of(self, account: str) -> ConsoleLine:
        """The line of an account. That of a removed one reads, and has its audit note what is revealed.

        Raises:
            JobNotFound: there is no such account.
        """
        settings, gone = self._live.settings, self.is_gone(account)
        if account not in settings.accounts and not gone:
            raise JobNotFound(f"no account {account!r}")
        if account not in self._lines:
            self._lines[account] = line = ConsoleLine(
                settings.redis_url, account, keys=settings.keyring, replicas=settings.redis_replicas
            )
            line.takes_faxes = partial(self._live.takes_faxes, account)
            line.is_gone = partial(self.is_gone, account)
        self._lines[account].visit_by(self._visitor if gone else "")
        return self._lines[account]

    @property
    def _visitor(self) -> str:
        """The account whose dispatcher carries out what is ordered of a removed one."""
        return next(filter(self.takes_faxes, names := self.accounts), names[0] if names else "")

    def for_person(self, person: Person, account: str) -> ConsoleLine:
        """The line of an account that a person asks for.

        Raises:
            JobNotFound: there is no such account, or it is not this person's: both look alike.
            AccountRemoved: it was removed, so nothing can be ordered of it.
        """
        line = self.to_read(person, account)
        if self.is_gone(account):
            raise AccountRemoved(account, GONE)
        return line

    def to_read(self, person: Person, account: str) -> ConsoleLine:
        """The line of an account that a person asks for, also of one that was removed.

        Raises:
            JobNotFound: there is no such account, or it is not this person's: both look alike.
        """
        if account not in self.accounts_of(person) and account not in self.removed_of(person):
            raise JobNotFound(f"no account {account!r}")
        return self.of(account)

    async def find(self, person: Person, account: str, job: str) -> tuple[ConsoleLine, Job]:
        """A fax that a person asks for, with its line.

        Raises:
            JobNotFound: there is none, or it is not this person's: both look alike.
        """
        line = self.for_person(person, account)
        found = await line.job(job)
        if not person.sees(account, found.metadata):
            raise JobNotFound(f"no job {job!r} on account {account!r}")
        return line, found

    async def answers(self) -> bool:
        """Whether Redis answers within a second."""
        if not self.accounts:
            return True
        line = self.of(self.accounts[0])
        try:
            await asyncio.wait_for(line.newest([line.keys.events]), 1)
        except (FaxlineError, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(line.close() for line in self._lines.values()))
        self._lines.clear()


async def name_of(lines: Lines, person: Person, account: str, job: str) -> str:
    """How a person may be told of another fax."""
    try:
        await lines.find(person, account, job)
    except JobNotFound:
        return "another fax"
    return f"the fax {job}"
