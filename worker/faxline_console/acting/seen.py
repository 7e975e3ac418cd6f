"""Whether a fax is still what the page showed whose form acts on it."""

from starlette.requests import Request

from faxline.contract.errors import NotSettled
from faxline.reading.job import Job
from faxline_console.acting.picks import Pick

NOT_WHOLE = "The form is not whole: use the one below."
ANOTHER = "The id was used again: this is another fax than the one that you saw."
NOT_SETTLED = {
    "sent_again": "This fax was sent again since. Look the new attempt up at iFax.",
    "pushed_again": ANOTHER,
    "other_number": "This jobId is of a fax to another number. Compare the number at iFax.",
    "told_failed": "This jobId is of an older call, whose delivery failed. Find the last one at iFax.",
    "word_waits": "A receipt that may settle this doubt is being matched. Try again in a minute.",
}


async def changed(request: Request, job: Job, *, any_state: bool = False) -> str:
    """Why a fax is not what the form's page showed; empty if it is.

    Example:
        >>> await changed(request, job)
        'This fax is delivered since.'

    Args:
        request: with a form whose field `seen` is the pick of the fax.
        job: the fax as it is now.
        any_state: whether it matters only that it is the same fax.
    """
    seen = Pick.read(str((await request.form()).get("seen", "")))
    if seen is None or seen.place != (job.account, job.id):
        return NOT_WHOLE
    if not seen.is_same(job):
        return ANOTHER
    why = "" if any_state else seen.why_not(job)
    return f"This fax {why}." if why else ""


def why_not_settled(error: NotSettled) -> str:
    """Why the dispatcher did not settle a doubt, for the person who ordered it."""
    return NOT_SETTLED.get(error.why, "This doubt is not settled so. Look at it again.")
