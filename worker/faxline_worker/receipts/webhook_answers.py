"""The webhook's answers, with their HTTP statuses and metric labels."""

import logging
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from faxline_worker.observability.metrics.labels import WebhookResult

RETRY_AFTER = 30
"""The Retry-After of a 503, in seconds."""
CONTENT_TYPE = b"content-type"


@dataclass(frozen=True, eq=False)  # compared by identity
class WebhookAnswer:
    """How a request ends.

    Attributes:
        result: the word in the log line and the answer's body.
        status: the HTTP status.
        counted: the label in fax_webhooks_total; None if it is not counted.
        level: the log level.
        close: whether the connection is closed, because a body may follow that nobody reads.
        challenge: whether the answer asks for a user and password.
    """

    result: str
    status: int
    counted: WebhookResult | None
    level: int = logging.WARNING
    close: bool = False
    challenge: bool = False


STORED = WebhookAnswer("stored", 204, "stored", logging.INFO)
INBOUND = WebhookAnswer("inbound", 204, "inbound", logging.INFO)
MALFORMED = WebhookAnswer("malformed", 204, "malformed")
DISCONNECTED = WebhookAnswer("disconnected", 400, None, logging.INFO)
BAD_SIGNATURE = WebhookAnswer("bad_signature", 401, "bad_signature")
NO_USER = WebhookAnswer("bad_signature", 401, "bad_signature", challenge=True)
NO_SUCH_ACCOUNT = WebhookAnswer("unknown_account", 404, "bad_signature", close=True)
TOO_SLOW = WebhookAnswer("too_slow", 408, None, close=True)
TOO_LARGE = WebhookAnswer("too_large", 413, "too_large", close=True)
UNAVAILABLE = WebhookAnswer("unavailable", 503, "unavailable", logging.ERROR)
_ANSWERS = (
    STORED,
    INBOUND,
    MALFORMED,
    DISCONNECTED,
    BAD_SIGNATURE,
    NO_USER,
    NO_SUCH_ACCOUNT,
    TOO_SLOW,
    TOO_LARGE,
    UNAVAILABLE,
)


def _response(answer: WebhookAnswer) -> Response:
    if answer.status == 204:  # noqa: PLR2004 - no content
        return Response(status_code=204)
    headers = {"Connection": "close"} if answer.close else {}
    if answer is UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER)
    if answer.challenge:
        headers["WWW-Authenticate"] = 'Basic realm="faxline", charset="UTF-8"'
    return JSONResponse({"error": answer.result}, answer.status, headers)


RESPONSES = {answer: _response(answer) for answer in _ANSWERS}
"""Answers hold nothing of the request, so one response serves all requests."""
