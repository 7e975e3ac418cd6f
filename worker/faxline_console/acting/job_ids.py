"""The jobId that a person found at iFax for a doubt: it is typed, shown beside its fax, and counts then."""

from collections.abc import Mapping
from typing import Any

LONGEST_JOB_ID = 18
"""The most digits of a jobId."""
NO_JOB_ID = "A jobId has digits only. Copy it from the fax's line at iFax."


def typed_job_id(form: Mapping[str, Any]) -> int | None:
    """The jobId of a form; None if what was typed is none.

    Example:
        >>> typed_job_id({"job_id": " 88120 "}), typed_job_id({"job_id": "8812x"})
        (88120, None)
    """
    text = str(form.get("job_id", "")).strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_JOB_ID else None


def is_confirmed(form: Mapping[str, Any], job_id: int | None) -> bool:
    """Whether the person saw this very jobId beside the fax, and confirmed it."""
    return job_id is not None and form.get("confirmed") == str(job_id)
