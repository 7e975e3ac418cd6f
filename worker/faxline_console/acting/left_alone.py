"""What people chose to leave as it is: faxes that ended without certainty and are to be listed no more."""

from time import time

from sqlalchemy import BigInteger, Column, Engine, String, Table, delete, insert, select

from faxline.reading.job import Job
from faxline_console.tables import metadata

left_alone = Table(
    "left_alone",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("job", String(128), primary_key=True),
    Column("ended", BigInteger, primary_key=True, autoincrement=False),
    Column("who", String(64), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)
"""ended: when the fax last changed (ms), so that a receipt that comes later lists it again."""
KEPT = 90 * 86_400
"""Seconds that this is kept: longer than the latest events of an account reach back."""


class LeftAlone:
    """Keeps what was left as it is, for everybody who sees these faxes.

    Example:
        >>> left.leave(job, "ada")

    Args:
        engine: of the console's own database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def leave(self, job: Job, who: str) -> None:
        """List a fax no more, as long as it stays as it is now."""
        at, place = round(time()), _place(job)
        same = [left_alone.c[name] == value for name, value in place.items()]
        with self._engine.begin() as database:
            database.execute(delete(left_alone).where(left_alone.c.at < at - KEPT))
            database.execute(delete(left_alone).where(*same))
            database.execute(insert(left_alone).values(**place, who=who, at=at))

    def all(self) -> set[tuple[str, str, int]]:
        """What `key` says of all that were left."""
        query = select(left_alone.c.account, left_alone.c.job, left_alone.c.ended)
        with self._engine.begin() as database:
            return {(row.account, row.job, row.ended) for row in database.execute(query)}


def key(job: Job) -> tuple[str, str, int]:
    """A fax as it is now."""
    return job.account, job.id, round(job.updated_at.timestamp() * 1000) if job.updated_at else 0


def _place(job: Job) -> dict[str, str | int]:
    return dict(zip(("account", "job", "ended"), key(job), strict=True))
