"""One table of what iFax can answer, and what Faxline decides by it (ifax-api, Response Codes, Error Codes).

Refuse, retry, defer and pause are decided only where the answer proves that the request was not taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """What an answer, or its absence, means for the job."""

    ACCEPTED = "accepted"
    """iFax took it and gave a jobId."""
    DEFER = "defer"
    """Not now: the job returns to its place and no attempt is spent."""
    PAUSE = "pause"
    """The account's key, balance or permission: every job of it would meet the same answer."""
    REFUSE = "refuse"
    """No, for good."""
    RETRY = "retry"
    """Proved not taken, and worth another try later."""
    IN_DOUBT = "in_doubt"
    """It may have been taken."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the fixed name of the reason (a metric's label), what iFax calls it, and the decision."""

    reason: str
    meaning: str
    decision: Decision


STARTED = frozenset({1, 0})
"""Response codes of a good answer: success, and processing started. Only a jobId makes them an acceptance."""

CODES: Mapping[int, Row] = {
    -1: Row("general_error", "General error", Decision.RETRY),
    -2: Row("invalid_parameters", "Invalid parameters", Decision.REFUSE),
    -3: Row("authentication_failed", "Authentication failed", Decision.PAUSE),
    -4: Row("insufficient_balance", "Insufficient balance", Decision.PAUSE),
    -5: Row("not_found", "Resource not found", Decision.REFUSE),
    -3001: Row("invalid_number", "Invalid fax number", Decision.REFUSE),
    -3002: Row("insufficient_balance", "Insufficient account balance", Decision.PAUSE),
    -3003: Row("image_missing", "Image does not exist", Decision.REFUSE),
    -3004: Row("tiff_empty", "TIFF file is empty", Decision.REFUSE),
    -3005: Row("file_too_large", "File size exceeds maximum limit", Decision.REFUSE),
    -3006: Row("invalid_file_format", "Invalid file format", Decision.REFUSE),
    -3007: Row("no_permission", "No permission for this action", Decision.PAUSE),
    -3008: Row("too_many_recipients", "Recipient limit exceeded", Decision.REFUSE),
    -3009: Row("invalid_key", "Invalid API key", Decision.PAUSE),
    -3010: Row("rate_limited", "Rate limit exceeded", Decision.DEFER),
}

STATUSES: Mapping[int, Row] = {
    400: Row("bad_request", "Bad Request", Decision.REFUSE),
    401: Row("authentication_failed", "Unauthorized", Decision.PAUSE),
    402: Row("insufficient_balance", "Payment Required", Decision.PAUSE),
    404: Row("not_found", "Not Found", Decision.REFUSE),
    408: Row("request_timeout", "Request Timeout", Decision.RETRY),
    413: Row("request_too_large", "Content Too Large", Decision.REFUSE),
    429: Row("rate_limited", "Too Many Requests", Decision.DEFER),
    503: Row("unavailable", "Service Unavailable", Decision.RETRY),
}
OTHER_4XX = Row("client_error", "any other 4xx", Decision.REFUSE)
REDIRECT = Row("redirected", "3xx: not followed, so not taken", Decision.RETRY)
SERVER_ERROR = Row("server_error", "5xx other than 503", Decision.IN_DOUBT)
BAD_ANSWER = Row(
    "bad_answer", "no JSON, an unknown code, or an answer that contradicts itself", Decision.IN_DOUBT
)
NO_JOB_ID = Row("no_job_id", "a good answer without a jobId", Decision.IN_DOUBT)


def status_row(status: int) -> Row:
    """The row of an HTTP status that is not 2xx."""
    if status in STATUSES:
        return STATUSES[status]
    if 400 <= status < 500:  # noqa: PLR2004 - HTTP's classes
        return OTHER_4XX
    if 300 <= status < 400:  # noqa: PLR2004 - as above
        return REDIRECT
    return SERVER_ERROR if status >= 500 else BAD_ANSWER  # noqa: PLR2004 - as above
