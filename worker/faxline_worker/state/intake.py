"""The first stage of a fax in Redis: intake entries become jobs, or are rejected or canceled."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.state.account_context import AccountContext
from faxline_worker.state.results import Registration

SCRIPTS = ("create_group", "register", "cancel")

_RESULTS: Mapping[str, Registration] = {str(result): result for result in Registration}


class IntakeStore:
    """The intake of one account."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    def register(self, items: Sequence[Mapping[str, Any]]) -> list[tuple[Registration, str]]:
        """Register or reject a batch of entries.

        Returns:
            For each entry what became of it and, if it was rejected, the reason.
        """
        context = self._context
        args = (INTAKE_GROUP, context.options, to_json(items))
        reply, missed = context.scripts.asking(context.confirmation, "register", *args)
        answer = json.loads(reply)
        rows = [(_RESULTS[result], reason) for result, reason in answer["rows"]]
        if not missed:  # otherwise a producer that waits for replicas was told that the push may be lost
            context.memory.pushed(
                (
                    (job["id"], item["entry"])
                    for item, (result, _) in zip(items, rows, strict=True)
                    if result is Registration.REGISTERED
                    for job in item["jobs"]
                ),
                answer.get("event"),
            )
        return rows

    def cancel(self, entry: str, job: str, who: str = "", user: str = "", by: str = "") -> Registration:
        """Cancel a queued job, or ask iFax to cancel it, as an entry of the intake stream requests.

        Args:
            entry: the entry's id.
            job: the job's id.
            who: who requests it, for the audit.
            user: that person's Redis user, for the audit.
            by: who requests it, for the event; "" if unknown.
        """
        context = self._context
        args = (INTAKE_GROUP, entry, job, context.options, who, user, by)
        reply, missed = context.scripts.asking(context.confirmation, "cancel", *args)
        answer = json.loads(reply)
        result = Registration(answer["result"])
        if result is Registration.CANCELED and not missed:
            context.memory.canceled(job, entry, answer.get("event"))
        return result
