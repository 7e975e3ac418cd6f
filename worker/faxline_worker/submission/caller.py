"""Makes one call to iFax: builds the body, opens the documents, and returns an answer in every case."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from faxline.contract.errors import KeyMissing, SealBroken
from faxline_worker.ifax import Answer, Decision, Endpoint, IfaxClient
from faxline_worker.ifax.fax_object import job_id
from faxline_worker.ifax.requests import Body, job_body, resend_body, send_body
from faxline_worker.state.results import Admitted, Mark
from faxline_worker.state.store import Store
from faxline_worker.submission.documents import DocumentChangedError, DocumentMissingError, Documents

ENDPOINTS: Mapping[str, Endpoint] = {
    "send": Endpoint.SEND,
    "resend": Endpoint.RESEND,
    "status": Endpoint.STATUS,
    "poll": Endpoint.STATUS,
    "cancel": Endpoint.CANCEL,
}
DOCUMENT_MISSING, KEY_MISSING, SEAL_BROKEN = "document_missing", "key_missing", "seal_broken"
DOCUMENT_ALTERED = "document_altered"
"""A job that failed for this reason was not sent. For a job in doubt, part of the request was."""
NO_CALL = {DOCUMENT_ALTERED, DOCUMENT_MISSING, KEY_MISSING, SEAL_BROKEN}
"""Reasons why iFax was not called."""


class LeaseLostError(Exception):
    """The lease ran out before the first byte was sent, so the job may be somebody else's by now."""


def was_called(answer: Answer) -> bool:
    """Whether iFax was called, even if only part of the request was sent."""
    return answer.reason not in NO_CALL or answer.decision is Decision.IN_DOUBT


def endpoint_of(admitted: Admitted) -> Endpoint:
    """The endpoint that a job's call goes to."""
    return ENDPOINTS[admitted.kind]


@dataclass(frozen=True)
class Caller:
    """Calls iFax for one account.

    Attributes:
        store: the account's state.
        client: the iFax client.
        token: returns the account's current API key, which may be rotated.
        caller_id: the sender number, E.164, of faxes that name none.
        log: the account's logger.
    """

    store: Store
    client: IfaxClient
    token: Callable[[], str]
    caller_id: str | None
    log: structlog.typing.FilteringBoundLogger

    def call(self, admitted: Admitted) -> Answer:
        """Call iFax for an admitted job.

        Returns:
            iFax's answer, or a made one that says why iFax could not be called.

        Raises:
            LeaseLostError: the lease ran out before anything was sent.
            redis.RedisError: Redis is away, and nothing was sent.
        """
        started = time.monotonic()

        body: Body

        def mark() -> None:
            if self.store.submission.mark(admitted, len(body)) is Mark.LOST:
                raise LeaseLostError

        try:
            if admitted.control_call is not None:
                body = job_body(admitted.request["jobId"])
            elif admitted.kind == "resend":
                body = resend_body(admitted.request)
            else:
                body = self._send_body(admitted)
            about = job_id(admitted.request.get("jobId")) if admitted.kind != "send" else None
            return self.client.call(endpoint_of(admitted), self.token(), body, mark, about=about)
        except DocumentMissingError:
            decision, reason = Decision.REFUSE, DOCUMENT_MISSING
            message = "a document of this fax is no longer stored"
        except DocumentChangedError:
            decision, reason = Decision.REFUSE, DOCUMENT_ALTERED
            message = "the stored document does not match the digest of this fax's document"
            self.log.error("document altered", job=admitted.job)  # noqa: TRY400 - the text says all
        except KeyMissing as error:  # a configuration error: the account is paused and no attempt is spent
            decision, reason, message = Decision.PAUSE, KEY_MISSING, str(error)
            self.log.error("key missing", job=admitted.job, error=message)  # noqa: TRY400 - the text says all
        except SealBroken as error:
            decision, reason, message = Decision.REFUSE, SEAL_BROKEN, str(error)
        return Answer(
            decision=decision,
            http_status=None,
            code=None,
            reason=reason,
            message=message,
            job_id=None,
            retry_after=None,
            seconds=time.monotonic() - started,
        )

    def _send_body(self, admitted: Admitted) -> Body:
        kept = admitted.sealed
        request = json.loads(self.store.seals.open_request(admitted.job, kept)) if kept else admitted.request
        if admitted.due:  # its send_at is past
            request = request | {"send_at": None}
        if admitted.quality:
            request = request | {"faxQuality": admitted.quality}
        # Documents are sealed before the request is, so a sealed request has no documents in clear.
        documents = Documents(self.store, self.client.timeout, sealed=bool(admitted.sealed))
        body = send_body(request, documents.open, caller_id=self.caller_id)
        documents.allow(len(body) / self.client.rate)
        return body
