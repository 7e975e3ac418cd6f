"""Check that each role of the daemon is at work, its versions, and that it serves each account."""

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version

from faxline.contract.check import Check, Result
from faxline.doctor.refused_webhooks import refused_webhooks
from faxline.reading.processes import ROLES, Process, ProcessState, polling_alone, read_processes
from faxline.steps.commands import Steps
from faxline.steps.redis_errors import is_refusal

_NEEDED = {
    "dispatcher": "no fax is taken in and no timer runs",
    "worker": "nothing is submitted and no receipt is applied",
    "webhook": "iFax's receipts are not taken",
}


def process_checks(accounts: Iterable[str]) -> Steps[list[Check]]:
    """Check the heartbeats.

    Args:
        accounts: the accounts that must be served.
    """
    try:
        processes = yield from read_processes()
    except Exception as error:
        if not is_refusal(error):
            raise
        text = "not allowed to read the heartbeats: give this user its rights of ops/redis/users.acl"
        return [Check("processes", Result.WARN, text)]
    names = list(accounts)
    needed = [role for role in ROLES if role != "webhook" or not _needless(processes)]
    checks = [_role(role, [each for each in processes if each.role == role]) for role in needed]
    if len(needed) < len(ROLES):
        text = "none is at work, and none is needed: results come by polling (FAXLINE_RESULTS=poll)"
        checks.append(Check("webhooks", Result.OK, text))
    return [*checks, *_unserved(processes, names), *refused_webhooks(processes, names)]


def _needless(processes: Sequence[Process]) -> bool:
    """Whether no webhook process runs, and none is needed."""
    return polling_alone(processes) and not any(process.role == "webhook" for process in processes)


def _role(role: str, processes: Sequence[Process]) -> Check:
    name, working = f"{role}s", [process for process in processes if process.at_work]
    troubles = [_trouble(process) for process in processes if not process.at_work]
    if not working:
        why = "; ".join(troubles)
        return Check(
            name,
            Result.FAIL,
            f"none is at work, so {_NEEDED[role]}: "
            + (why or f"start a {role}; one that runs says in its log why no heartbeat can be written"),
        )
    versions = sorted({process.version for process in working}, key=_number)
    text = "; ".join([f"{len(working)} at work, version {' and '.join(versions)}", *troubles])
    if len(versions) > 1:
        return Check(name, Result.WARN, f"{text}: complete the roll-out")
    if _number(versions[0]) < _number(version("faxline")):
        return Check(name, Result.WARN, f"{text}, older than ours: it rejects what is new; upgrade it first")
    return Check(name, Result.WARN if troubles else Result.OK, text)


def _trouble(process: Process) -> str:
    where = f"{process.host}:{process.pid}"
    if process.gone:
        silent = f"{where} has been silent for {abs(process.silent):.0f} s"
        return f"{silent}: it is frozen, cut off, refused by Redis or ended"
    said = ", ".join(f"{part} {how}" for part, how in process.trouble.items())
    todo = ": restart it" if process.state is ProcessState.STALLED else ""
    return f"{where} is {str(process.state).replace('_', ' ')} ({said}){todo}"


def _unserved(processes: Sequence[Process], accounts: Sequence[str]) -> Iterator[Check]:
    """Find accounts that no process of a role has in its settings, although some are at work."""
    for role in ROLES:
        working = [process for process in processes if process.role == role and process.at_work]
        for account in accounts if working else ():
            if not any(process.serves(account) for process in working):
                text = f"no {role} at work has it among its accounts: add it to the settings of one"
                yield Check(f"account {account}", Result.FAIL, text)


def _number(named: str) -> tuple[int, ...]:
    """The numbers of a version, to compare. A part without a number counts as 0."""
    parts = [re.match(r"\d+", part) for part in named.split(".")]
    return tuple(int(part[0]) if part else 0 for part in parts[:3])
