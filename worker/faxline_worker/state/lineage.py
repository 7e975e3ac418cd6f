"""Checks whether an account's state went back to an older one, and recovers what was lost."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from faxline_worker.state.account_context import AccountContext
from faxline_worker.state.recent_work import Action, Evidence

SCRIPTS = ("check_in", "examine", "recover", "reopen")
MOST = 20_000
"""The most lost calls and pushes that are kept for the operator, for each account."""


class Knowledge(StrEnum):
    """How much a process knows of the account when it checks in."""

    NOTHING = "nothing"
    """The process has just started."""
    SOMETHING = "something"
    BACK = "back"
    """The process saw the state go back, on a server that it knows."""


class Reopened(StrEnum):
    """The result of `reopen`."""

    OPENED = "opened"
    PAUSED = "paused"
    """An operator had paused the account before, so it stays paused."""
    LEFT = "left"
    """Something is lost still."""
    IDLE = "idle"
    """The state did not go back."""


class Examined(StrEnum):
    """What the state knows of an action."""

    KNOWN = "known"
    ANSWER = "answer"
    """The state knows the call, but not its answer."""
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class CheckIn:
    """The reply of `check_in`.

    Attributes:
        base: the last event of the state when the server changed.
        last: the last event of the state now.
        waits: whether the account waits for other processes.
    """

    base: str
    last: str
    waits: bool

    @classmethod
    def read(cls, reply: bytes) -> "CheckIn | None":
        """Parse a reply; None if the stored layout is newer than this process knows."""
        fields = json.loads(reply)
        return None if "newer" in fields else cls(**fields)


class Lineage:
    """The lineage of one account's state.

    Args:
        context: the account.
        who: the name of the process.
    """

    def __init__(self, context: AccountContext, who: str) -> None:
        self._context = context
        self._client = context.client
        self._keys = context.keys
        self._who = who

    def check_in(self, run: str, knows: Knowledge, wait: float, steady: int | str) -> CheckIn | None:
        """Check in at a server (lua/check_in.lua). None if a newer layout is stored.

        Args:
            run: the server's run id.
            knows: how much this process knows of the account.
            wait: how long (s) the account waits for the other processes.
            steady: the account's steady clock, as this process knows it.
        """
        return CheckIn.read(self._context.run("check_in", *check_in_arguments(run, knows, wait, steady)))

    def examine(self, evidence: Evidence, actions: Sequence[Action]) -> list[Examined]:
        """Compare actions with the state. Returns what the state knows of each.

        If anything is lost, or if the
        process has forgotten some actions, the account is paused.
        """
        items = [action.item() for action in actions]
        found = {"who": self._who, "seen": evidence.seen, "unknown": evidence.unknown, "items": items}
        reply = json.loads(self._context.run("examine", json.dumps(found), MOST))
        return [Examined(known) for known in reply]

    def lost(self) -> dict[str, bool]:
        """The fields of the hash `lost` that are not in order yet, those of a job by its attempts.

        The value says whether the entry is a call that a later lost call of the same job followed.
        """
        items = self._lost()
        last: dict[str, int] = {}
        for item in items.values():
            last[item["job"]] = max(item.get("attempt", 0), last.get(item["job"], 0))
        left = {name: item for name, item in items.items() if "became" not in item}
        return {name: 0 < item.get("attempt", 0) < last[item["job"]] for name, item in left.items()}

    def recovered(self) -> list[tuple[str, str]]:
        """The results of a recovery of which its operator is not told yet, and the ids of the jobs."""
        return [(item["became"], item["job"]) for item in self._lost().values() if "became" in item]

    def _lost(self) -> dict[str, dict[str, Any]]:
        found = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.lost))
        items = {field.decode(): json.loads(text) for field, text in found.items()}
        return dict(sorted(items.items(), key=lambda one: (one[1].get("attempt", 1 << 30), one[0])))

    def recover(self, fields: Mapping[str, bool], by: str = "") -> list[tuple[str, str]] | None:
        """Recover some entries of the hash `lost`. Returns for each the result, and the job's id.

        Returns None, and does nothing, until every process has compared its actions with the state.

        Args:
            fields: as `lost` returns them.
            by: who ordered it, for the events.
        """
        followed = [field for field, again in fields.items() if again]
        args = (json.dumps(list(fields)), self._context.options, json.dumps(followed), by)
        reply = json.loads(self._context.run("recover", *args))
        return None if reply == "looking" else [(row["became"], row["job"]) for row in reply]

    def reopen(self) -> Reopened:
        """Reopen the account: opened, paused (by an operator, before), left (more is lost) or idle."""
        return Reopened(self._context.run("reopen").decode())

    def put_back(self, receipts: Sequence[dict[bytes, bytes]]) -> None:
        """Put receipts back on the status stream. A receipt that the state knows changes nothing."""
        for fields in receipts:
            self._client.xadd(self._keys.status, cast("Any", fields))


def check_in_arguments(run: str, knows: Knowledge, wait: float, steady: int | str) -> list[str | int]:
    """The arguments of `check_in`."""
    return [run, str(knows), round(wait * 1000), steady]
