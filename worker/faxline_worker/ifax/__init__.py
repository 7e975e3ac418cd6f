"""The iFax API: requests, answers, codes and errors. It knows HTTP and iFax, nothing of Redis."""

from faxline_worker.ifax.answers import Answer, read_answer
from faxline_worker.ifax.client import Endpoint, IfaxClient
from faxline_worker.ifax.codes import (
    BAD_ANSWER,
    CODES,
    NO_JOB_ID,
    OTHER_4XX,
    REDIRECT,
    SERVER_ERROR,
    STATUSES,
    Decision,
)
from faxline_worker.ifax.errors import REASONS


def failure_reasons() -> list[tuple[int | None, str]]:
    """Every code and reason with which a submission can fail, for the metrics."""
    rows = [*STATUSES.values(), OTHER_4XX, REDIRECT, SERVER_ERROR, BAD_ANSWER, NO_JOB_ID]
    found: list[tuple[int | None, str]] = [(code, row.reason) for code, row in CODES.items()]
    found += [(None, row.reason) for row in rows]
    return [*found, *((None, reason) for reason in set(REASONS.values()))]


__all__ = ["Answer", "Decision", "Endpoint", "IfaxClient", "failure_reasons", "read_answer"]
