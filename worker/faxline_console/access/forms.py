"""Reads forms: what browsers send is text in UTF-8, and others may send anything."""

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request


async def read_form(request: Request) -> FormData:
    """A request's form, which pages have from `request.form()` after this.

    Raises:
        HTTPException: 400: what it says in its own charset is no text.
    """
    try:
        form = await request.form()
        for _, value in form.multi_items():
            (value if isinstance(value, str) else value.filename or "").encode()
    except UnicodeError:
        raise HTTPException(400, "The form is no text in UTF-8. Nothing was sent or changed.") from None
    return form
