"""The names of an account's keys in Redis.

Every key of an account carries its hash tag (``fax:{default}:…``), so that a script touches one slot only
and the same code runs on one server, on Sentinel and on a cluster. ARCHITECTURE.md has the table of what
each key holds, who writes it and when it goes.
"""

import re
from dataclasses import dataclass
from functools import cached_property

ACCOUNT_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")

INTAKE_GROUP = "dispatchers"
"""The consumer group in which the dispatchers read the intake streams."""


@dataclass(frozen=True)
class AccountKeys:
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
                f"account {self.account!r}: a name is 1 to 63 of a-z 0-9 _ . - and begins with a letter or digit"
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

    def job(self, job_id: str) -> str:
        """Hash: the durable record of one fax."""
        return f"{self.prefix}job:{job_id}"

    def document(self, digest: str) -> str:
        """String: a document's bytes, by its lower-case hexadecimal SHA-256 digest; has a time to live."""
        return f"{self.prefix}document:{digest}"
