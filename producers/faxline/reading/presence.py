"""Which processes of the daemon a job needs, and which of them are missing."""

from collections.abc import Iterable, Mapping

from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline.reading.processes import Process, at_work, polling_alone

WHOLE = ("dispatcher", "worker", "webhook")
"""The roles that a fax needs from its push to its end."""
NEEDED: Mapping[JobState, tuple[str, ...]] = {
    JobState.INTAKE: ("dispatcher",),
    JobState.QUEUED: ("dispatcher", "worker"),
    JobState.SUBMITTING: ("dispatcher", "worker"),
    JobState.SUBMITTED: WHOLE,
    JobState.IN_DOUBT: WHOLE,
}
"""The roles that a job in each state needs to go on."""


def missing(job: Job, processes: list[Process] | None) -> list[str]:
    """Return a sentence about each role that the job needs and that no process fills."""
    return absent(job.account, NEEDED.get(job.state, ()), processes)


def absent(account: str, roles: Iterable[str], processes: list[Process] | None) -> list[str]:
    """Return a sentence about each of these roles that no process fills for the account."""
    if processes is None:
        return []
    serving, working = at_work(processes, account), at_work(processes)
    needless = {"webhook"} if polling_alone(processes) else set()
    lacking = [role for role in roles if not serving.get(role, 1) and role not in needless]
    if lacking and not any(working.values()):
        return ["No part of the daemon is at work on this Redis; `faxline doctor` says more."]
    sentences = [
        f"No {role} is at work for account {account}: start one; `faxline doctor` says more."
        for role in lacking
        if not working[role]
    ]
    if others := [role for role in lacking if working[role]]:
        theirs = [p.accounts or () for p in processes if p.role in others and p.at_work]
        known = sorted({name for names in theirs for name in names})
        sentences.append(
            f"No {' and no '.join(others)} at work has account {account} in its settings: "
            f"is the name right, or was its folder removed? They have {', '.join(known)}."
        )
    return sentences
