"""The values of labels: fixed words, so that no number, no job id and no free text is ever a label.

Account names are the only labels that come from elsewhere, the settings.
"""

from typing import Literal

SubmissionResult = Literal["accepted", "rate_limited", "refused", "retryable", "in_doubt"]
Outcome = Literal["delivered", "failed", "canceled", "unconfirmed", "rejected"]
Stage = Literal["intake", "submission", "delivery"]
DeferralLimit = Literal["concurrency", "window", "burst", "paused"]
Limit = Literal["concurrency", "window", "burst"]
ClosedFor = Literal[
    "operator",
    "unreachable",
    "breaker",
    "rate_limited",
    "authentication_failed",
    "invalid_key",
    "unusable_key",
    "insufficient_balance",
    "no_permission",
    "plan_inactive",
    "key_missing",
    "state_rolled_back",
    "other",
]
"""Why an account makes no calls; `other` is a reason that a newer version stored."""
Ceiling = Literal["jobs", "bytes"]
Direction = Literal["back", "forward"]
WebhookResult = Literal["stored", "bad_signature", "too_large", "malformed", "inbound", "unavailable"]
ConnectionClosed = Literal["header", "idle", "request", "pipelined", "crowded"]
ReceiptResult = Literal[
    "applied", "repeated", "unmatched", "resolved_doubt", "set_aside", "held", "told", "received"
]
PageKind = Literal["total", "transferred", "received"]
PollResult = Literal["final", "held", "repeated", "sending", "unclear", "refused", "put_off"]
"""The result of a status poll."""
PriorityName = Literal["urgent", "normal", "bulk"]
DocumentLimit = Literal["time", "memory", "crash"]
StreamName = Literal["intake", "status", "orders"]
"""The streams that others write to."""
WaitsFor = Literal["turn", "time", "line"]
"""What a queued job waits for: a permit, the time of its retry or date, or its number's line."""
StateName = Literal[
    "queued", "submitting", "submitted", "in_doubt", "delivered", "failed", "canceled", "unconfirmed"
]

FailureLabels = tuple[Stage, int | None, str]
"""Stage, iFax's number of the error (None if it gave none), and the fixed name of the reason."""

UNKNOWN_ACCOUNT = "unknown"
"""The account label of webhooks whose path names no configured account. A stranger's text is no label."""
