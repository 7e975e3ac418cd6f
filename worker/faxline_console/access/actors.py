"""Who acts on a page, and why, as the audit has it."""

from starlette.exceptions import HTTPException
from starlette.requests import Request

from faxline_console.access.guard import person_of

LONGEST_BY = 128
"""The most letters that the audit keeps of who acted and why."""


async def who(request: Request, *, needed: bool = True) -> str:
    """Who acts and why, as the audit has it: `ada: wrong letter`.

    Args:
        request: with a form whose field `reason` says why.
        needed: whether a reason has to be given.

    Raises:
        HTTPException: 400: there is none, or it is longer than the audit keeps.
    """
    reason = " ".join(str((await request.form()).get("reason", "")).split())
    name: str = person_of(request).name
    shown = "".join(letter for letter in reason if letter.isprintable())
    if needed and not shown:
        raise HTTPException(400, "Give a reason: the audit needs it.")
    by = f"{name}: {shown}" if shown else name
    if len(by) > LONGEST_BY:
        raise HTTPException(
            400, f"Shorten the reason by {len(by) - LONGEST_BY} letters: the audit has no room."
        )
    return by
