"""The names of an account's keys in Redis.

Every key of an account carries its hash tag (``fax:{default}:…``), so that a script touches one slot only
and the same code runs on one server, on Sentinel and on a cluster. docs/architecture/storage.md has the
table of what each key holds and when it goes.
"""

import re
from dataclasses import dataclass
from functools import cached_property

ACCOUNT_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")

ACCOUNTS = "fax:accounts"
"""Set: the names of the accounts that dispatchers serve. It has no hash tag."""

FOLDERS = "{fax:accounts}:folders"
"""Hash: the directory of each account that has a folder. On a cluster it is where ACCOUNTS is."""

DRAINING = "{fax:accounts}:draining"
"""Hash: since when each account is drained whose folder is gone, in ms, and the directory that had it."""

PROCESSES = "fax:processes:"
"""Prefix of hashes, one for each role (`fax:processes:worker`): heartbeats. They have no hash tag."""

SERVING = "fax:serving:"
"""Prefix of hashes beside those: what the heartbeats say of accounts by name, which no producer may read."""

INTAKE_GROUP = "dispatchers"
"""The consumer group in which the dispatchers read the intake streams."""

ARCHIVE_GROUP = "faxline-archive"
"""The consumer group of the events and the audit that shows how far an archive has come."""

VERSION_SIGN = "@"
"""Separates a dispatcher's name in that group from its version, which the doctor reads."""


class _Key:
    """The name of a key of an account: the account's prefix and a word."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, keys: "RedisKeys", _: type) -> str:
        return keys.prefix + self._name


@dataclass(frozen=True)
class RedisKeys:
    """The keys of one account.

    Args:
        account: the account's name, lower case (``[a-z0-9][a-z0-9_.-]*``, 63 characters at most).

    Raises:
        ValueError: the name is not of that form.
    """

    account: str

    def __post_init__(self) -> None:
        if not ACCOUNT_NAME.fullmatch(self.account):
            raise ValueError(
                f"account {self.account!r}: 1 to 63 of a-z 0-9 _.- and begins with a letter or digit"
            )

    @cached_property
    def prefix(self) -> str:
        """The beginning of every key of the account. The braces are the hash tag."""
        return f"fax:{{{self.account}}}:"

    intake = _Key("intake")
    """Stream: entries of producers. The script that registers or rejects an entry removes it."""
    status = _Key("status")
    """Stream: verified webhooks (receipts). The script that applies an entry removes it."""
    events = _Key("events")
    """Stream, capped: one event for each transition, for any service to read."""
    account_state = _Key("account")
    """Hash: the limits and the leaky bucket, the cooldown, the pause, the alarm, counts of ended jobs."""
    ready = _Key("ready")
    """Sorted set of job ids by place: priority, then age."""
    delayed = _Key("delayed")
    """Sorted set of job ids by the time (ms) of their retry."""
    permits = _Key("permits")
    """Sorted set of permits by the end (ms) of their lease; a member is TOKEN|PURPOSE."""
    answers = _Key("answers")
    """Sorted set of permit tokens by the time (µs) of their answer, for the window."""
    wakes = _Key("wakes")
    """Sorted set of the tokens of wake-ups under way, by the time (ms) at which they count as lost."""
    submitted = _Key("submitted")
    """Sorted set of job ids that await a receipt, by its deadline (ms)."""
    in_doubt = _Key("in_doubt")
    """Sorted set of the ids of jobs in doubt, by the end (ms) of their wait; infinite if held."""
    expiring = _Key("expiring")
    """Sorted set of job ids by their expires_at (ms)."""
    doorbell = _Key("doorbell")
    """Stream, capped: makes the dispatchers look at the account at once."""
    orders = _Key("orders")
    """Stream: operators' orders. The script that carries out an order removes it."""

    def reply(self, order: str) -> str:
        """Stream of one entry: the reply to an order, by the order's id or token; has a time to live."""
        return f"{self.prefix}reply:{order}"

    reconcile_wake = _Key("reconcile-wake")
    """String: a `reconcile` message is on its way; has a time to live."""
    dead = _Key("dead")
    """Stream, capped: receipts and entries that were set aside because they could not be processed."""
    audit = _Key("audit")
    """Stream: every call to iFax and every operator's order. Old entries are trimmed."""
    archive = _Key("archive")
    """String: since when (ms) an archive reads the events and the audit; missing if none does."""
    archive_forget = _Key("archive-forget")
    """List of JSON texts: numbers that an operator ordered to forget, until the archive has done it, too."""
    archive_checkpoint = _Key("archive-checkpoint")
    """String: the last checkpoint that an archive signed, from which the next one must have grown."""
    unmatched = _Key("unmatched")
    """Sorted set of unknown jobIds, by when (ms) their receipts are to be matched with doubts."""
    held = _Key("held")
    """Sorted set of jobs whose failure is not final yet, by when (ms) it becomes final."""
    polls = _Key("polls")
    """Sorted set of jobs with status polls, by the time (ms) of the next poll."""
    asks = _Key("asks")
    """Sorted set of the window's status polls: !job until the answer, then a token by its time (µs)."""

    def untried(self, number: str) -> str:
        """Set of unknown jobIds whose receipts name this recipient, to be matched; has a time to live.

        Its name has the number's last digits, because a receipt's number may lack the country code.
        """
        return f"{self.prefix}untried:{number[-7:]}"

    doubts = _Key("doubts")
    """Sorted set of doubts by recipient, for receipts with an unknown jobId."""
    doubts_until = _Key("doubts-until")
    """The same doubts by the time (ms) they are forgotten."""
    job_ids = _Key("jobid:")
    """Prefix of strings: from iFax's jobId to the job or an early receipt; has a time to live."""
    scheduled = _Key("scheduled")
    """Sorted set of the ready jobs that iFax is to hold until their date, by that date (ms)."""
    lines = _Key("lines")
    """Hash: from a number to the jobs whose faxes are on their way to it, each with the end of its lease."""
    waiting = _Key("waiting")
    """Sorted set, in the order of its members: queued jobs that wait for their number."""
    lines_until = _Key("lines-until")
    """Sorted set of numbers that jobs wait for, by when (ms) the next lease on the number ends."""
    document_uses = _Key("document-uses")
    """Hash: from a document's digest to the number of open jobs that need it."""
    released = _Key("released")
    """Sorted set of the digests of documents that no job needs, by when (ms) they may be deleted."""
    outdated = _Key("outdated")
    """Sorted set of ended jobs whose request is still kept, by when (ms) it is deleted."""
    maintenance_lock = _Key("chore")
    """String: the dispatcher that carries out a long-running order; has a time to live."""
    lost = _Key("lost")
    """Hash: the actions of processes that Redis lost when its state went back (`recover`)."""
    past = _Key("past")
    """Sorted set of what `recover` has dealt with, by when (ms) no process remembers it."""

    def received(self, fax: str) -> str:
        """String: a fax that came in was announced, by what it is known by; has a time to live."""
        return f"{self.prefix}received:{fax}"

    def forgotten(self, token: str) -> str:
        """String: a call whose answer may still come, of a fax that was erased; has a time to live."""
        return f"{self.prefix}forgotten:{token}"

    def read_alone(self, entry: str) -> str:
        """String: the size of a suspect entry that was read alone; has a time to live."""
        return f"{self.prefix}read:{entry}"

    def group(self, name: str) -> str:
        """Set of the ids of a group's jobs; has a time to live once all of them have ended."""
        return f"{self.prefix}group:{name}"

    def group_size(self, name: str) -> str:
        """Set with one member: the number of faxes of the group; lives as long as the group."""
        return f"{self.group(name)}!size"

    def group_rejected(self, name: str) -> str:
        """Set of JSON texts: the faxes of a group that intake rejected; lives as long as the group."""
        return f"{self.group(name)}!rejected"

    def job(self, job_id: str) -> str:
        """Hash: the durable record of one fax."""
        return f"{self.prefix}job:{job_id}"

    def upload(self, name: str) -> str:
        """String: an uploaded document's bytes, until its entry is read; has a time to live."""
        return f"{self.prefix}upload:{name}"

    def document(self, digest: str) -> str:
        """String: a document's bytes, by its lower-case hexadecimal SHA-256 digest; has a time to live."""
        return f"{self.prefix}document:{digest}"
