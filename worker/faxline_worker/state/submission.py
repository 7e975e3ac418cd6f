"""A call to iFax in Redis: the permit before it, the mark at its first byte, and its answer."""

import json
import math
from collections.abc import Mapping
from typing import Any

from faxline.contract.sealing.seals import MARK
from faxline_worker.state.account_context import AccountContext, without_nulls
from faxline_worker.state.results import (
    Admitted,
    Held,
    Idle,
    Mark,
    Reported,
    Settlement,
    SettleResult,
)

SCRIPTS = ("admit", "acquire_check_permit", "mark", "settle", "report")
CHECK = "!check!"
"""The control call about no job: does iFax accept the key?"""
NO_JOB = 0
"""A jobId that no fax has. iFax's own are unique and positive."""


class SubmissionStore:
    """The calls of one account.

    Args:
        context: the account.
        lifetime: the longest time (ms) from the mark until iFax has the whole of a small request.
        linger: how much of it (ms) is for the last bytes of a call that ended.
        rate: bytes a second at which a request is sent at least; a larger one gets more time.
        patience: how long (ms) a caller whose call has ended tries to settle its answer.
    """

    def __init__(
        self, context: AccountContext, lifetime: int, linger: int, rate: float, patience: int
    ) -> None:
        self._context = context
        self.lifetime = lifetime
        self._linger = linger
        self._patience = patience
        self._rate = rate

    def admit(self, permit: str, wake: str, chance: float = 1.0) -> Admitted | Held | Idle:
        """Take the best job and a permit in one step.

        Args:
            permit: a token chosen by the caller. A second call with the same token gets the same answer.
            wake: the token of the wake-up that led here, or "".
            chance: a number from 0 to 1 drawn for this permit. Below the starvation share the oldest job
                goes first.
        """
        answer = self._context.run_timed("admit", permit, wake, self._context.options, chance)
        if answer["result"] == "idle":
            return Idle()
        if answer["result"] == "held":
            return Held(answer["limit"])
        return _admitted(permit, answer)

    def acquire_check_permit(self, permit: str) -> Admitted | Held:
        """Take a permit for the call that asks whether iFax accepts the key. It is about no job.

        Give its answer to `report`.

        Args:
            permit: a token chosen by the caller, as in `admit`.
        """
        reply = self._context.run_timed("acquire_check_permit", permit, CHECK, self._context.options)
        if reply["result"] == "held":
            return Held(reply["limit"])
        return Admitted(
            permit=permit,
            job="",
            attempt=0,
            kind="check",
            request={"jobId": NO_JOB},
            number="",
            priority=None,
            waited=None,
            control_call=CHECK,
            linger=reply.get("linger", 0),
        )

    def mark(self, admitted: Admitted, size: int = 0) -> Mark:
        """Write the mark just before the first byte of a request leaves.

        Args:
            admitted: the call.
            size: bytes of its body. The lease grows with them, as the time of the call does.

        Raises:
            TooFewReplicasError: the mark is written but a failover might lose it. Send nothing.
        """
        context = self._context
        held_for = admitted.control_call or admitted.job
        longer = max(0, admitted.linger - self._linger)
        life = self.lifetime + longer + math.ceil(size / self._rate * 1000)
        control_call = "1" if admitted.control_call else ""
        args = (admitted.permit, held_for, life, control_call, context.steady.latest())
        if context.confirmation and not control_call:  # losing the mark of a control call is harmless
            reply = context.scripts.confirmed(context.confirmation, "mark", *args)
        else:
            reply = context.run("mark", *args)
        if reply == b"lost":
            return Mark.LOST
        if not admitted.control_call:
            context.memory.marked(admitted, int(reply), (life + self._patience) / 1000)
        return Mark.MARKED

    def settle(
        self, admitted: Admitted, answer: Mapping[str, Any], *, permit: str = "", chance: float = 1.0
    ) -> Settlement:
        """Move a job on by the answer to its call.

        Args:
            admitted: the call.
            answer: what came of it. lua/settle.lua names its members; times are milliseconds.
            permit: a token for the next call, if the caller goes on at once; "" wakes others instead.
            chance: of the next call, as for `admit`.
        """
        context = self._context
        began = context.memory.began(admitted.permit)
        marked = {} if began is None else {"marked": True, "started_at": began}
        reply = context.run_timed(
            "settle",
            admitted.permit,
            admitted.job,
            _compact({**answer, **marked}),
            context.options,
            permit,
            chance,
        )
        context.memory.settled(admitted.permit, answer, reply["result"], reply.get("event"))
        following = reply.get("next")
        return Settlement(
            result=SettleResult(reply["result"]),
            state=reply.get("state"),
            wakes=tuple(token for token, _ in reply.get("wakes", ())),
            receipt=reply.get("receipt"),
            submitted_at=reply.get("submitted_at"),
            next=_admitted(permit, following) if following else None,
            apart=reply.get("apart", False),
            after=reply.get("after"),
        )

    def report(self, admitted: Admitted, answer: Mapping[str, Any]) -> Reported:
        """Apply the answer to a control call.

        Args:
            admitted: the call.
            answer: what came of it. lua/report.lua names its members; times are milliseconds.
        """
        reply = self._context.run_timed(
            "report", admitted.permit, admitted.control_call or "", _compact(answer), self._context.options
        )
        return Reported.read(reply)


def _admitted(permit: str, answer: Mapping[str, Any]) -> Admitted:
    waited, kept = answer.get("waited"), answer["request"]
    sealed = kept if kept.startswith(MARK) else ""
    return Admitted(
        permit=permit,
        job=answer["job"],
        attempt=answer["attempt"],
        kind=answer["kind"],
        request={} if sealed else json.loads(kept),
        sealed=sealed,
        number=answer.get("number") or "",
        priority=answer["priority"],
        waited=waited / 1000 if waited is not None else None,
        control_call=answer.get("control_call"),
        due=bool(answer.get("due")),
        quality=answer.get("quality"),
        born=answer["born"],
        trace=answer.get("trace"),
        linger=answer.get("linger", 0),
    )


def _compact(data: Mapping[str, Any]) -> str:
    return json.dumps(without_nulls(data), separators=(",", ":"))
