"""The table of iFax's codes, and what Faxline decides by each.

Source: docs/ifax.md, Codes. `FIELD_CODES` are not documented. Every decision
but ACCEPTED and IN_DOUBT applies only if the answer proves that iFax did not take the request.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """What an answer, or its absence, means for the job."""

    ACCEPTED = "accepted"
    """iFax took the request."""
    DEFER = "defer"
    """Not now: the job returns to its place, and no attempt is spent."""
    PAUSE = "pause"
    """The account's key, balance or permission is at fault, so every job would get the same answer."""
    REFUSE = "refuse"
    """iFax refuses this fax for good."""
    RETRY = "retry"
    """iFax provably did not take the request, and another attempt is worth it."""
    UNREACHABLE = "unreachable"
    """iFax did not take the request, because of the network, a proxy or an outage, not because of the fax."""
    UNKNOWN = "unknown"
    """iFax refused with an unknown code. The fax or the whole account may be at fault."""
    IN_DOUBT = "in_doubt"
    """iFax may have taken the request."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes:
        reason: Faxline's fixed name, a metric's label.
        message: iFax's name.
        decision: what it means for the job.
    """

    reason: str
    message: str
    decision: Decision


GENERAL_ERROR = -1
"""The response code that only says "no". It proves that nothing was taken only together with a 4xx."""
RESPONSE_CODES = -1000
"""The error codes -30xx are below this. They are more precise than the response codes."""

CODES: Mapping[int, Row] = {
    1: Row("accepted", "Success", Decision.ACCEPTED),
    0: Row("accepted", "Fax processing started", Decision.ACCEPTED),
    GENERAL_ERROR: Row("general_error", "General error", Decision.RETRY),
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
    -3007: Row("no_permission", "No permission for this action (user is not Primary)", Decision.PAUSE),
    -3008: Row("too_many_recipients", "Recipient limit exceeded", Decision.REFUSE),
    -3009: Row("invalid_key", "Invalid API key", Decision.PAUSE),
    -3010: Row("rate_limited", "Rate limit exceeded", Decision.DEFER),
}
"""The documented codes. 1 and 0 (error code 0, Success, is the same number) accept only together with what
the endpoint's good answer must hold, such as a jobId."""

FIELD_CODES: Mapping[int, Row] = {
    12001: Row("invalid_key", "accessToken invalid", Decision.PAUSE),
    12004: Row("plan_inactive", "Professional plan isn't activated", Decision.PAUSE),
}
"""Codes that iFax uses but does not document, always in a refusal (`status` 0, no jobId)."""

STATUSES: Mapping[int, Row] = {  # of an answer without a code of iFax's own (docs/ifax.md)
    400: Row("bad_request", "Bad Request", Decision.UNREACHABLE),
    401: Row("authentication_failed", "Unauthorized", Decision.PAUSE),
    402: Row("insufficient_balance", "Payment Required", Decision.PAUSE),
    404: Row("not_found", "Not Found", Decision.UNREACHABLE),
    408: Row("request_timeout", "Request Timeout", Decision.UNREACHABLE),
    413: Row("request_too_large", "Content Too Large", Decision.UNREACHABLE),
    429: Row("rate_limited", "Too Many Requests", Decision.DEFER),
    503: Row("unavailable", "Service Unavailable", Decision.UNREACHABLE),
}
REDIRECTED = Row(
    "redirected", "a redirect, which is not followed: check FAXLINE_IFAX_URL", Decision.UNREACHABLE
)
"""Any 3xx. The server names another address instead of taking the request."""
CLIENT_ERROR = Row("client_error", "a 4xx status that iFax does not document", Decision.UNREACHABLE)
UNKNOWN_REFUSAL = Row("unknown_refusal", "a refusal with a code that is in no table", Decision.UNKNOWN)
SERVER_ERROR = Row("server_error", "a 5xx status other than 503", Decision.IN_DOUBT)
NO_JOB_ID = Row("no_job_id", "a good answer without a jobId of the new fax", Decision.IN_DOUBT)
BAD_ANSWER = Row(
    "bad_answer", "no JSON, an unknown code, or an answer that contradicts itself", Decision.IN_DOUBT
)

UNAVAILABLE = 503
CLEAR = frozenset({401, 402, 408, 429})
"""Statuses whose meaning is known, whatever unknown code the body holds."""
NOT_NOW = frozenset({429, UNAVAILABLE})
"""Statuses that count before the body's code: a 429 spends no attempt (ARCHITECTURE.md, rule 6)."""


def status_row(status: int) -> Row:
    """The row of an HTTP status other than 2xx. A status that no final answer has is in doubt."""
    if status in STATUSES:
        return STATUSES[status]
    return {3: REDIRECTED, 4: CLIENT_ERROR, 5: SERVER_ERROR}.get(status // 100, BAD_ANSWER)


def row_of(code: int | None) -> Row | None:
    """The row of one of iFax's codes; None if the code is unknown."""
    return None if code is None else CODES.get(code) or FIELD_CODES.get(code)


def code_named_in(text: str) -> int | None:
    """The code whose name a text contains, in any case; the longest name if there are several.

    The name of -1 does not count, because it only says "no".
    """
    folded = _folded(text)
    found = [(len(name), code) for name, code in _NAMES.items() if f" {name} " in f" {folded} "]
    return max(found)[1] if found else None


def _folded(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9]+", " ", text.lower()).split())


_NAMES: Mapping[str, int] = {
    _folded(row.message.partition("(")[0]): code
    for code, row in [*CODES.items(), *FIELD_CODES.items()]
    if code not in {0, 1, GENERAL_ERROR}
}


def code_reasons() -> list[tuple[int | None, str]]:
    """Every (code, reason) of an answer that accepts nothing; the code is None if the HTTP status decided."""
    codes: list[tuple[int | None, str]] = [
        (code, row.reason)
        for code, row in [*CODES.items(), *FIELD_CODES.items()]
        if row.decision is not Decision.ACCEPTED
    ]
    rows = (
        *(*STATUSES.values(), REDIRECTED, CLIENT_ERROR, UNKNOWN_REFUSAL),
        *(SERVER_ERROR, NO_JOB_ID, BAD_ANSWER),
    )
    return [*codes, *((None, row.reason) for row in rows)]
