"""The ledger: every fax that the sandbox accepted, with its history. It is in memory and never trimmed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from faxline_sandbox.faults import Endpoint

State = Literal["scheduled", "sending", "delivered", "failed", "canceled"]


@dataclass(frozen=True)
class WebhookAttempt:
    """One try to deliver a webhook.

    Args:
        at: Unix seconds when it was sent.
        answer: the HTTP status, or None without an answer.
        error: the name of the error, if no answer came.
        seconds: how long it took.
        redial: its `retryAttempt`.
    """

    at: float
    answer: int | None
    error: str | None = None
    seconds: float = 0.0
    redial: int | None = None

    @property
    def arrived(self) -> bool:
        """Whether the receiver took it (2xx)."""
        return self.answer is not None and self.answer // 100 == 2  # noqa: PLR2004 - the class of success


def tries(webhooks: Sequence[WebhookAttempt]) -> list[dict[str, Any]]:
    """The tries of a webhook for the control page."""
    return [
        {
            "attempt": number,
            "at": attempt.at,
            "answer": attempt.answer,
            "error": attempt.error,
            "seconds": attempt.seconds,
            "retryAttempt": attempt.redial,
        }
        for number, attempt in enumerate(webhooks, 1)
    ]


@dataclass
class Entry:
    """An accepted fax. Times are Unix seconds.

    Args:
        job_id: iFax's jobId.
        account: the account's label.
        endpoint: the endpoint that accepted it.
        original: the jobId that was resent, or None.
        to_number: E.164.
        from_number: E.164.
        subject: of the request (of the original for a resent one), or None.
        digest: SHA-256 of the canonical request, hexadecimal.
        files: the number of files.
        pages: the number of pages.
        quality: its faxQuality; for a resent fax, the original's.
        accepted_at: when it was accepted.
        send_at: when it is to be sent; None means at once.
        word: the faxStatus that is shown instead of its state, or None.
        forms: how its webhook is written (`outcomes.FORMS`).
        redial: the number of iFax's own call, from 0; None if it calls once.
        line_busy: whether all lines of its number were taken by other faxes when its call began.
    """

    job_id: int
    account: str
    endpoint: Endpoint
    original: int | None
    to_number: str
    from_number: str
    subject: str | None
    digest: str
    files: int
    pages: int
    accepted_at: float
    send_at: float | None
    quality: str = "Standard"
    transferred: int = 0
    message: str = ""
    code: int = 0
    word: str | None = None
    forms: frozenset[str] = frozenset()
    redial: int | None = None
    line_busy: bool = False
    history: list[tuple[State, float]] = field(default_factory=list)
    webhooks: list[WebhookAttempt] = field(default_factory=list)

    @property
    def state(self) -> State:
        """The newest state."""
        return self.history[-1][0]

    @property
    def over(self) -> bool:
        """Whether its state is final."""
        return self.state in {"delivered", "failed", "canceled"}

    @property
    def marks(self) -> Mapping[str, Any]:
        """The members by which a webhook fault is matched."""
        return {
            "subject": self.subject,
            "toNumber": self.to_number,
            "jobId": self.job_id,
            "account": self.account,
        }

    def enter(self, state: State, at: float) -> None:
        """Move to a state."""
        self.history.append((state, at))

    def as_json(self) -> dict[str, Any]:
        """The entry for the control page."""
        return {
            "jobId": self.job_id,
            "account": self.account,
            "endpoint": self.endpoint,
            "originalJobId": self.original,
            "toNumber": self.to_number,
            "fromNumber": self.from_number,
            "subject": self.subject,
            "sha256": self.digest,
            "files": self.files,
            "pages": self.pages,
            "faxQuality": self.quality,
            "transferred": self.transferred,
            "accepted_at": self.accepted_at,
            "send_at": self.send_at,
            "state": self.state,
            "message": self.message,
            "code": self.code,
            "word": self.word,
            "retryAttempt": self.redial,
            "line_busy": self.line_busy,
            "history": [{"state": state, "at": at} for state, at in self.history],
            "webhooks": tries(self.webhooks),
        }


class Ledger:
    """The accepted faxes by their jobId, in the order of acceptance.

    Args:
        first_job_id: the jobId of the first fax; each later one is greater by one.
    """

    def __init__(self, first_job_id: int) -> None:
        self._entries: dict[int, Entry] = {}
        self._next = first_job_id

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def next_job_id(self) -> int:
        """A jobId that no fax has."""
        job_id = self._next
        self._next += 1
        return job_id

    def add(self, entry: Entry) -> None:
        """Keep an accepted fax."""
        self._entries[entry.job_id] = entry

    def find(self, job_id: int) -> Entry | None:
        """The fax with this jobId."""
        return self._entries.get(job_id)
