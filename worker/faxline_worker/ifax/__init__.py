"""The client of iFax's API: requests, answers, codes, errors and receipts. It knows nothing of Redis."""

from faxline_worker.ifax.answers import Answer, Endpoint, read_answer
from faxline_worker.ifax.client import IfaxClient
from faxline_worker.ifax.codes import Decision, code_reasons
from faxline_worker.ifax.errors import (
    BaseUrlError,
    DocumentLostError,
    DocumentUnreadError,
    IfaxError,
    cause_reasons,
)
from faxline_worker.ifax.requests import Body, Document, job_body, resend_body, send_body


def failure_reasons() -> list[tuple[int | None, str]]:
    """Every (code, reason) of a call that iFax did not accept, for the metrics' labels."""
    return sorted({*code_reasons(), *((None, reason) for reason in cause_reasons())}, key=str)


__all__ = [
    "Answer",
    "BaseUrlError",
    "Body",
    "Decision",
    "Document",
    "DocumentLostError",
    "DocumentUnreadError",
    "Endpoint",
    "IfaxClient",
    "IfaxError",
    "failure_reasons",
    "job_body",
    "read_answer",
    "resend_body",
    "send_body",
]
