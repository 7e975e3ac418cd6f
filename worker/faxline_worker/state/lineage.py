"""Checks whether an account's state went back to an older one, and recovers what was lost."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from faxline.contract.redis_keys import RedisKeys
from faxline_worker.state.account_context import AccountContext
from faxline_worker.state.recent_work import Deed, Evidence

SCRIPTS = ("check_in", "examine", "recover", "reopen")
MOST = 20_000
"""Lost calls and pushes that are kept for the operator, of each account."""


class Knows(StrEnum):
    """What a process that checks in knows of the account."""

    NOTHING = "nothing"
    """It has just begun."""
    SOMETHING = "something"
    BACK = "back"
    """It saw that the state went back, on the server that it knew."""


@dataclass(frozen=True, slots=True)
class CheckIn:
    """What `check_in` answers.

    Attributes:
        base: the state went to this event when the server changed.
        last: and goes to this one now.
        waits: whether the account waits now.
    """

    base: str
    last: str
    waits: bool

    @classmethod
    def read(cls, reply: bytes) -> "CheckIn | None":
        """Read it; None where a newer layout is stored than this process knows."""
        fields = json.loads(reply)
        return None if "newer" in fields else cls(**fields)


class Lineage:
    """The lineage of one account's state.

    Args:
        context: the account.
        who: the process.
    """

    def __init__(self, context: AccountContext, who: str) -> None:
        self._context = context
        self._client = context.client
        self._keys = context.keys
        self._who = who

    def check_in(self, run: str, knows: Knows, wait: float, steady: int | str) -> CheckIn | None:
        """Come to a server, see lua/check_in.lua; None where a newer layout is stored.

        Args:
            run: the server's run id.
            knows: what this process knows of the account.
            wait: seconds that the account waits for the other processes.
            steady: the account's steady clock as this process has it.
        """
        names, args = check_in_words(self._keys, run, knows, wait, steady)
        return CheckIn.read(self._context.run("check_in", names, args))

    def examine(self, evidence: Evidence, deeds: Sequence[Deed]) -> list[str]:
        """Hold some of what was done against the state: of each, whether it is known or lost.

        Or `answer`: the call is known and its answer is not. Where something is lost, or unknown, the account
        is paused.
        """
        k = self._keys
        keys = [k.account_state, k.intake, k.lost, k.permits, k.doorbell, k.job(""), k.job_ids]
        items = [deed.item() for deed in deeds]
        found = {"who": self._who, "seen": evidence.seen, "unknown": evidence.unknown, "items": items}
        reply = json.loads(self._context.run("examine", keys, [json.dumps(found), MOST]))
        return list(reply)

    def lost(self) -> dict[str, bool]:
        """The fields of what is lost, those of one job in the order of its attempts.

        Each with whether it is a call after which the job was called again.
        """
        found = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.lost))
        items = {field.decode(): json.loads(text) for field, text in found.items()}
        last: dict[str, int] = {}
        for item in items.values():
            last[item["job"]] = max(item.get("attempt", 0), last.get(item["job"], 0))
        fields = sorted(items, key=lambda field: (items[field].get("attempt", 1 << 30), field))
        return {name: 0 < items[name].get("attempt", 0) < last[items[name]["job"]] for name in fields}

    def recover(self, fields: Mapping[str, bool]) -> list[tuple[str, str]] | None:
        """Put some of what is `lost` in order: of each, what became of its job, and the job.

        None, and nothing is done, while not every process has looked what of its own is missing.
        """
        k = self._keys
        keys = [
            *(k.account_state, k.ready, k.delayed, k.permits, k.answers, k.submitted, k.in_doubt),
            *(k.expiring, k.events, k.unmatched, k.doubts, k.doubts_until, k.doorbell, k.lost),
            *(k.job(""), k.job_ids),
        ]
        followed = [field for field, again in fields.items() if again]
        args = [json.dumps(list(fields)), self._context.options, json.dumps(followed)]
        reply = json.loads(self._context.run("recover", keys, args))
        return None if reply == "looking" else [(row["became"], row["job"]) for row in reply]

    def reopen(self) -> str:
        """Let the account go on: opened, paused (an operator had paused it), left or idle."""
        k = self._keys
        return cast("bytes", self._context.run("reopen", [k.account_state, k.lost, k.doorbell], [])).decode()

    def put_back(self, receipts: Sequence[dict[bytes, bytes]]) -> None:
        """Put receipts that Redis lost on the status stream again: one that it knows changes nothing."""
        for fields in receipts:
            self._client.xadd(self._keys.status, cast("Any", fields))


def check_in_words(
    keys: RedisKeys, run: str, knows: Knows, wait: float, steady: int | str
) -> tuple[list[str], list[str | int]]:
    """The keys and arguments of `check_in`."""
    names = [keys.account_state, keys.events, keys.doorbell]
    return names, [run, str(knows), round(wait * 1000), steady]
