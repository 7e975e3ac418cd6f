"""The layout of one account in Redis: taken over at start, checked while at work, upgraded."""

import json
from collections.abc import Iterable, Sequence
from typing import cast

from faxline_worker.state.account_context import AccountContext
from faxline_worker.state.script_options import layout
from faxline_worker.state.scripts import LAYOUT, Argument

SCRIPTS = ("init_account", "upgrade")


class NewerLayoutError(Exception):
    """The stored layout is newer than this version knows."""

    def __init__(self, account: str, stored: str) -> None:
        super().__init__(
            f"account {account!r} is stored in layout {stored}, and this version of Faxline knows "
            f"{LAYOUT[0]}.x: start the newer version"
        )


def is_newer(stored: bytes | None) -> bool:
    """Whether a stored layout is newer than this version knows; None: nothing is stored."""
    return stored is not None and int(stored.partition(b".")[0]) > LAYOUT[0]


class SchemaStore:
    """The layout of one account. maintenance/schema_version.py says what each layout added.

    Args:
        context: the account.
        account: its name.
    """

    def __init__(self, context: AccountContext, account: str) -> None:
        self._context = context
        self._account = account

    def init_account(self) -> None:
        """Start work on an account: store the layout and the ids of the keys, and count the open jobs.

        Raises:
            NewerLayoutError: a newer layout is stored; nothing was changed.
        """
        found = self._context.client.zscan_iter(self._context.keys.delayed, match="!*", count=1000)
        args = self.init_arguments(
            len({member for member, _ in cast("Iterable[tuple[bytes, float]]", found)})
        )
        self.check_reply(self._context.run("init_account", *args))

    def init_arguments(self, control_calls: int) -> list[Argument]:
        """The arguments of `init_account`.

        Args:
            control_calls: the control calls among the delayed jobs.
        """
        ring = self._context.seals.keyring
        return [layout(), " ".join(ring.ids if ring is not None else ()), control_calls]

    def check_reply(self, reply: bytes) -> None:
        """Check the reply of `init_account`.

        Raises:
            NewerLayoutError: a newer layout is stored; nothing was changed.
        """
        if reply != b"done":
            raise NewerLayoutError(self._account, reply.decode())

    def check(self) -> None:
        """Check that this version knows the stored layout.

        Raises:
            NewerLayoutError: it does not.
        """
        stored = cast("bytes | None", self._context.client.hget(self._context.keys.account_state, "layout"))
        if stored is not None and is_newer(stored):
            raise NewerLayoutError(self._account, stored.decode())

    @property
    def known(self) -> bool:
        """Whether this version knows the stored layout."""
        try:
            self.check()
        except NewerLayoutError:
            return False
        return True

    def upgrade(self, jobs: Sequence[str], digests: Sequence[str], *, look: bool) -> tuple[int, int, int]:
        """Bring some records, and some sizes of documents, to the present layout.

        Args:
            jobs: ids of jobs.
            digests: documents that have a size in `document-uses`.
            look: change nothing.

        Returns:
            The counts of `schema_version.Upgraded`.
        """
        args = [self._context.options, layout(), json.dumps(jobs), json.dumps(digests), "1" if look else ""]
        reply = json.loads(self._context.run("upgrade", *args))
        return reply["records"], reply["counted"], reply["freed"]
