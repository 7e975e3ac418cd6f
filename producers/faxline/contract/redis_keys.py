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

    @cached_property
    def intake(self) -> str:
        """Stream: what producers push. An entry leaves in the script that registers or rejects it."""
        return self.prefix + "intake"

    @cached_property
    def status(self) -> str:
        """Stream: verified webhooks (receipts). An entry leaves in the script that applies it."""
        return self.prefix + "status"

    @cached_property
    def events(self) -> str:
        """Stream, capped: one event a transition, for any service to read."""
        return self.prefix + "events"

    @cached_property
    def account_state(self) -> str:
        """Hash: the limits and the leaky bucket, the gate, the pause, the alarm, counts of ended jobs."""
        return self.prefix + "account"

    @cached_property
    def ready(self) -> str:
        """Sorted set of job ids by place: priority, then age."""
        return self.prefix + "ready"

    @cached_property
    def delayed(self) -> str:
        """Sorted set of job ids by the time (ms) of their retry."""
        return self.prefix + "delayed"

    @cached_property
    def permits(self) -> str:
        """Sorted set of permits by the end (ms) of their lease, each a token|what it is held for."""
        return self.prefix + "permits"

    @cached_property
    def answers(self) -> str:
        """Sorted set of permit tokens by the time (µs) of their answer, for the window."""
        return self.prefix + "answers"

    @cached_property
    def wakes(self) -> str:
        """Sorted set of wake-up tokens on their way, by the time (ms) they are given up."""
        return self.prefix + "wakes"

    @cached_property
    def submitted(self) -> str:
        """Sorted set of job ids that await a receipt, by its deadline (ms)."""
        return self.prefix + "submitted"

    @cached_property
    def in_doubt(self) -> str:
        """Sorted set of job ids in doubt, by the end (ms) of the wait; infinite when held."""
        return self.prefix + "in_doubt"

    @cached_property
    def expiring(self) -> str:
        """Sorted set of job ids by their expires_at (ms)."""
        return self.prefix + "expiring"

    @cached_property
    def doorbell(self) -> str:
        """Stream, capped: tells the dispatchers to look at the account before they would."""
        return self.prefix + "doorbell"

    @cached_property
    def orders(self) -> str:
        """Stream: what operators order; an entry leaves in the script that carries it out."""
        return self.prefix + "orders"

    def reply(self, order: str) -> str:
        """Stream of one entry: what became of an order, by its entry's id; has a time to live."""
        return f"{self.prefix}reply:{order}"

    @cached_property
    def reconcile_wake(self) -> str:
        """String: a `reconcile` message is on its way; has a time to live."""
        return self.prefix + "reconcile-wake"

    @cached_property
    def dead(self) -> str:
        """Stream, capped: receipts and entries that could not be worked on, kept for a look."""
        return self.prefix + "dead"

    @cached_property
    def audit(self) -> str:
        """Stream, append-only: every call to iFax and every operator's order; older entries go."""
        return self.prefix + "audit"

    @cached_property
    def unmatched(self) -> str:
        """Sorted set of jobIds that nobody knows, by when (ms) their receipts are to meet the doubts."""
        return self.prefix + "unmatched"

    @cached_property
    def held(self) -> str:
        """Sorted set of jobs whose failure may not be the last word, by when it is (ms)."""
        return self.prefix + "held"

    @cached_property
    def polls(self) -> str:
        """Sorted set of jobs that iFax is to be asked about, by when it is next (ms)."""
        return self.prefix + "polls"

    @cached_property
    def asks(self) -> str:
        """Sorted set of the window's questions: !job until the answer, then tokens by its time (µs)."""
        return self.prefix + "asks"

    def untried(self, number: str) -> str:
        """Set of those jobIds whose receipts name this recipient and met no doubt yet; has a time to live.

        It is named by the number's last digits, for a receipt's may lack its country.
        """
        return f"{self.prefix}untried:{number[-7:]}"

    @cached_property
    def doubts(self) -> str:
        """Sorted set of doubts by recipient, for receipts whose jobId nobody knows."""
        return self.prefix + "doubts"

    @cached_property
    def doubts_until(self) -> str:
        """The same doubts by the time (ms) they are forgotten."""
        return self.prefix + "doubts-until"

    @cached_property
    def job_ids(self) -> str:
        """Prefix of strings: iFax's jobId to the job or to a receipt that came early; has a time to live."""
        return self.prefix + "jobid:"

    @cached_property
    def scheduled(self) -> str:
        """Sorted set of the ready jobs that are to be kept by iFax, by their date (ms)."""
        return self.prefix + "scheduled"

    @cached_property
    def lines(self) -> str:
        """Hash: a number to the jobs whose faxes are on their way to it, each with the end of its lease."""
        return self.prefix + "lines"

    @cached_property
    def waiting(self) -> str:
        """Sorted set, in the order of its members: queued jobs that wait for their number's line."""
        return self.prefix + "waiting"

    @cached_property
    def lines_until(self) -> str:
        """Sorted set of numbers that are waited for, by when (ms) the next lease on their line ends."""
        return self.prefix + "lines-until"

    @cached_property
    def document_uses(self) -> str:
        """Hash: a document's digest to how many jobs that have not ended need it."""
        return self.prefix + "document-uses"

    @cached_property
    def released(self) -> str:
        """Sorted set of the digests of documents that no job needs, by when (ms) they may go."""
        return self.prefix + "released"

    @cached_property
    def outdated(self) -> str:
        """Sorted set of ended jobs whose request is still kept, by when (ms) it goes."""
        return self.prefix + "outdated"

    @cached_property
    def chore(self) -> str:
        """String: which dispatcher carries out an order that takes its time; has a time to live."""
        return self.prefix + "chore"

    @cached_property
    def lost(self) -> str:
        """Hash: what processes did and Redis does not know of, after its state went back (`recover`)."""
        return self.prefix + "lost"

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
