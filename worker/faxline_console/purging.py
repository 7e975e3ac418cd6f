"""Erases what is too old in the console's own database, whether or not anybody comes."""

import asyncio
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from structlog.typing import FilteringBoundLogger

from faxline_archive.database import reason_of

EVERY = 60.0
"""Seconds between two looks."""


async def purge_often(
    purges: Sequence[Callable[[], None]], log: FilteringBoundLogger, every: float = EVERY
) -> None:
    """Erase until this is cancelled. A database that is away is asked again.

    Args:
        purges: each erases something; they run in a thread.
        log: gets a line when the database refuses.
        every: seconds between two looks.
    """
    while True:
        for purge in purges:
            try:
                await run_in_threadpool(purge)
            except SQLAlchemyError as error:
                log.warning("nothing was purged", reason=reason_of(error))
        await asyncio.sleep(every)
