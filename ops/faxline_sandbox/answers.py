"""The answers of the API: the documented sample responses, and one form of body for every error.

An error's body is `{"status": -1 … -5, "code": -30xx, "message": "…"}` (docs/ifax.md, Codes); `code`
is present only if an error code applies.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

HTTP_STATUS: Mapping[int, int] = {1: 200, 0: 200, -1: 400, -2: 400, -3: 401, -4: 402, -5: 404}
"""The HTTP status of a response code (docs/ifax.md, Codes)."""

RATE_LIMITED = -3010
TOO_MANY_REQUESTS = 429


@dataclass(frozen=True)
class ErrorCode:
    """A row of the error codes.

    Args:
        status: the response code that goes with it.
        message: its documented text.
    """

    status: int
    message: str


ERROR_CODES: Mapping[int, ErrorCode] = {
    -3001: ErrorCode(-2, "Invalid fax number"),
    -3002: ErrorCode(-4, "Insufficient account balance"),
    -3003: ErrorCode(-2, "Image does not exist"),
    -3004: ErrorCode(-2, "TIFF file is empty"),
    -3005: ErrorCode(-2, "File size exceeds maximum limit"),
    -3006: ErrorCode(-2, "Invalid file format"),
    -3007: ErrorCode(-1, "No permission for this action (user is not Primary)"),
    -3008: ErrorCode(-2, "Recipient limit exceeded"),
    -3009: ErrorCode(-3, "Invalid API key"),
    RATE_LIMITED: ErrorCode(-1, "Rate limit exceeded"),
}


class JSON(Response):
    """A JSON answer in ASCII, so that it can repeat any text of a request."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The content as JSON."""
        return json.dumps(content).encode()


class Refusal(Exception):
    """A request that the API answers with an error.

    Args:
        detail: what is wrong, with the member's name; appended to the documented text.
        code: the error code (-3001 … -3010), or None if only a response code applies.
        status: the response code if there is no error code.
        retry_after: whole seconds for the header Retry-After.
        http: the HTTP status, if it is not a documented one.
    """

    def __init__(
        self,
        detail: str = "",
        *,
        code: int | None = None,
        status: int = -2,
        retry_after: int | None = None,
        http: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status if code is None else ERROR_CODES[code].status
        self.detail = detail
        self.retry_after = retry_after
        self.http = http

    @property
    def counted_as(self) -> str:
        """Its name in the statistics: the error code, or else the response code."""
        return str(self.status if self.code is None else self.code)

    def answer(self) -> JSON:
        """The response."""
        body: dict[str, Any] = {"status": self.status}
        message = self.detail
        if self.code is not None:
            body["code"] = self.code
            words = ERROR_CODES[self.code].message
            message = f"{words}: {self.detail}" if self.detail else words
        body["message"] = message
        http = self.http or HTTP_STATUS[self.status]
        if self.code == RATE_LIMITED:
            http = TOO_MANY_REQUESTS
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return JSON(body, http, headers)


FIELD_CODES: Mapping[int, str] = {
    12001: "accessToken invalid",
    12004: "Professional plan isn't activated",
}
"""Codes that iFax does not document, with their texts."""


class FieldRefusal(Refusal):
    """A refusal by HTTP 200, as in the profile `field`.

    Args:
        code: one of `FIELD_CODES`.
    """

    def __init__(self, code: int) -> None:
        super().__init__(FIELD_CODES[code])
        self._code = code

    @property
    def counted_as(self) -> str:
        """Its code."""
        return str(self._code)

    def answer(self) -> JSON:
        """The response."""
        return JSON(field_body(self._code))


def field_body(code: int, message: str | None = None) -> dict[str, Any]:
    """The body of a refusal by HTTP 200."""
    return {"status": 0, "code": code, "message": message or FIELD_CODES[code]}


def not_found(job_id: int) -> Refusal:
    """The refusal of a jobId that no fax of the account has."""
    return Refusal(f"jobId {job_id}: there is no such fax job", status=-5)


def sent(job_id: int) -> dict[str, Any]:
    """The answer to fax-send (docs/ifax.md, Calls)."""
    return {"status": 1, "message": "Fax processed for sending", "data": {"jobId": job_id}}


def resent(job_id: int, original: int) -> dict[str, Any]:
    """The answer to fax-resend (docs/ifax.md, Calls)."""
    data = {"jobId": job_id, "originalJobId": original}
    return {"status": 1, "message": "Fax resent successfully", "data": data}


def canceled(job_id: int) -> dict[str, Any]:
    """The answer to fax-cancel (docs/ifax.md, Calls)."""
    data = {"jobId": job_id, "faxStatus": "canceled"}
    return {"status": 1, "message": f"Fax job {job_id} has been cancelled", "data": data}
