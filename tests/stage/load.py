"""Faxes that flow while something else happens."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from faxline import FaxLine, JobNotFound
from faxline_local.processes import wait_for
from faxline_local.stack import Local

_WAIT = 90.0
_UNDER_WAY = 30
"""How many faxes of an account are under way at most: a slow machine would be behind ever more of them."""
_ENDED = {"delivered", "failed", "canceled", "unconfirmed"}


def refused_webhooks(local: Local) -> list[int]:
    """The answers to webhooks that were not taken. Of a busy machine one may have none, and comes again."""
    answers = [webhook.get("answer") for fax in local.ledger() for webhook in fax["webhooks"]]
    return [answer for answer in answers if answer not in {204, None}]


class Load:
    """Faxes of some accounts, pushed as fast as earlier ones end until it is told to stop."""

    def __init__(self, lines: Mapping[str, FaxLine], every: float = 0.05) -> None:
        self._lines = lines
        self._every = every
        self._stop = threading.Event()
        self.accounts: list[str] = []
        self.jobs: list[tuple[str, str]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._push)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def flows(self, account: str, more: int = 10) -> None:
        """Wait until so many faxes more of an account have been pushed and accepted."""
        enough = len(self.of(account)) + more
        assert wait_for(lambda: len(self.of(account)) >= enough, _WAIT)
        last = self.of(account)[enough - 1]
        assert wait_for(lambda: self.state(account, last) in {"submitted", "delivered"}, _WAIT)

    def of(self, account: str) -> list[str]:
        """The faxes of an account."""
        return [name for own, name in list(self.jobs) if own == account]

    def state(self, account: str, name: str) -> str:
        """How a fax stands."""
        try:
            return str(self._lines[account].job(name).state)
        except JobNotFound:
            return "intake"

    def _push(self) -> None:
        while not self._stop.wait(self._every):
            for account in list(self.accounts):
                earlier = self.of(account)[-_UNDER_WAY:]
                if len(earlier) == _UNDER_WAY and self.state(account, earlier[0]) not in _ENDED:
                    continue
                name = f"{account}-{len(self.jobs)}"
                url = "https://example.com/a.pdf"
                self._lines[account].send(to="+12025550123", files=[url], id=name, subject=name)
                self.jobs.append((account, name))
