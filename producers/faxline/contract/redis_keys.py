"""The names of an account's keys in Redis.

Every key of an account carries its hash tag (``fax:{default}:…``), so that a script touches one slot only
and the same code runs on one server, on Sentinel and on a cluster. ARCHITECTURE.md has the table of what
each key holds, who writes it and when it goes.
"""

import re
from dataclasses import dataclass
from functools import cached_property

ACCOUNT_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")

ACCOUNTS = "fax:accounts"
"""Set: the names of the accounts that dispatchers run for. Under no account's hash tag."""

PROCESSES = "fax:processes:"
"""Prefix of hashes, one a role (`fax:processes:worker`): the heartbeats of its processes. As above."""

INTAKE_GROUP = "dispatchers"
"""The consumer group in which the dispatchers read the intake streams."""

VERSION_SIGN = "@"
"""What stands before the version at the end of a dispatcher's name in that group; for the doctor."""


class _Key:
    """The name of one key of an account: the account's prefix and a word."""

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
        """What every key of the account begins with; the braces are the hash tag."""
        return f"fax:{{{self.account}}}:"

    intake = _Key("intake")
    """Stream: what producers push. An entry leaves in the script that registers or rejects it."""
    status = _Key("status")
    """Stream: verified webhooks (receipts). An entry leaves in the script that applies it."""
    events = _Key("events")
    """Stream, capped: one event a transition, for any service to read."""
    account_state = _Key("account")
    """Hash: the limits and the leaky bucket, the gate, the pause, the alarm, counts of ended jobs."""
    ready = _Key("ready")
    """Sorted set of job ids by place: priority, then age."""
    delayed = _Key("delayed")
    """Sorted set of job ids by the time (ms) of their retry."""
    permits = _Key("permits")
    """Sorted set of permits by the end (ms) of their lease, each a token|what it is held for."""
    answers = _Key("answers")
    """Sorted set of permit tokens by the time (µs) of their answer, for the window."""
    wakes = _Key("wakes")
    """Sorted set of wake-up tokens on their way, by the time (ms) they are given up."""
    submitted = _Key("submitted")
    """Sorted set of job ids that await a receipt, by its deadline (ms)."""
    in_doubt = _Key("in_doubt")
    """Sorted set of job ids in doubt, by the end (ms) of the wait; infinite when held."""
    expiring = _Key("expiring")
    """Sorted set of job ids by their expires_at (ms)."""
    doorbell = _Key("doorbell")
    """Stream, capped: tells the dispatchers to look at the account before they would."""
    orders = _Key("orders")
    """Stream: what operators order; an entry leaves in the script that carries it out."""

    def reply(self, order: str) -> str:
        """Stream of one entry: what became of an order, by its entry's id; has a time to live."""
        return f"{self.prefix}reply:{order}"

    reconcile_wake = _Key("reconcile-wake")
    """String: a `reconcile` message is on its way; has a time to live."""
    dead = _Key("dead")
    """Stream, capped: receipts and entries that could not be worked on, kept for a look."""
    audit = _Key("audit")
    """Stream, append-only: every call to iFax and every operator's order; older entries go."""
    unmatched = _Key("unmatched")
    """Sorted set of jobIds that nobody knows, by when (ms) their receipts are to meet the doubts."""
    held = _Key("held")
    """Sorted set of jobs whose failure may not be the last word, by when it is (ms)."""
    polls = _Key("polls")
    """Sorted set of jobs that iFax is to be asked about, by when it is next (ms)."""
    asks = _Key("asks")
    """Sorted set of the window's questions: !job until the answer, then tokens by its time (µs)."""

    def untried(self, number: str) -> str:
        """Set of those jobIds whose receipts name this recipient and met no doubt yet; has a time to live.

        It is named by the number's last digits, for a receipt's may lack its country.
        """
        return f"{self.prefix}untried:{number[-7:]}"

    doubts = _Key("doubts")
    """Sorted set of doubts by recipient, for receipts whose jobId nobody knows."""
    doubts_until = _Key("doubts-until")
    """The same doubts by the time (ms) they are forgotten."""
    job_ids = _Key("jobid:")
    """Prefix of strings: iFax's jobId to the job or to a receipt that came early; has a time to live."""
    scheduled = _Key("scheduled")
    """Sorted set of the ready jobs that are to be kept by iFax, by their date (ms)."""
    lines = _Key("lines")
    """Hash: a number to the jobs whose faxes are on their way to it, each with the end of its lease."""
    waiting = _Key("waiting")
    """Sorted set, in the order of its members: queued jobs that wait for their number's line."""
    lines_until = _Key("lines-until")
    """Sorted set of numbers that are waited for, by when (ms) the next lease on their line ends."""
    document_uses = _Key("document-uses")
    """Hash: a document's digest to how many jobs that have not ended need it."""
    released = _Key("released")
    """Sorted set of the digests of documents that no job needs, by when (ms) they may go."""
    outdated = _Key("outdated")
    """Sorted set of ended jobs whose request is still kept, by when (ms) it goes."""
    maintenance_lock = _Key("chore")
    """String: which dispatcher carries out an order that takes its time; has a time to live."""
    lost = _Key("lost")
    """Hash: what processes did and Redis does not know of, after its state went back (`recover`)."""

    def received(self, fax: str) -> str:
        """String: a fax that came in was announced, by what it is known by; has a time to live."""
        return f"{self.prefix}received:{fax}"

    def read_alone(self, entry: str) -> str:
        """String: the size of an entry that may be at fault and was read alone; has a time to live."""
        return f"{self.prefix}read:{entry}"

    def group(self, name: str) -> str:
        """Set of the ids of a group's jobs; has a time to live once one of them has ended."""
        return f"{self.prefix}group:{name}"

    def group_size(self, name: str) -> str:
        """Set of one number: how many faxes are pushed with the group's name; lives as long as the group."""
        return f"{self.group(name)}!size"

    def group_rejected(self, name: str) -> str:
        """Set of JSON texts: the faxes of a group that intake rejected; lives as long as the group."""
        return f"{self.group(name)}!rejected"

    def job(self, job_id: str) -> str:
        """Hash: the durable record of one fax."""
        return f"{self.prefix}job:{job_id}"

    def upload(self, name: str) -> str:
        """String: a document's bytes until the entry that brings them is read; has a time to live."""
        return f"{self.prefix}upload:{name}"

    def document(self, digest: str) -> str:
        """String: a document's bytes, by its lower-case hexadecimal SHA-256 digest; has a time to live."""
        return f"{self.prefix}document:{digest}"
