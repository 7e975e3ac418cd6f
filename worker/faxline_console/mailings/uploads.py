"""Uploaded mailings between preview and push, in the console's own database: any console finds them."""

import json
import secrets
from collections.abc import Callable
from time import time

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.sealing.keyring import Keyring
from faxline.contract.sealing.stream import open_sealed, seal_document
from faxline_archive.database import reading
from faxline_console.mailings.rows import Draft
from faxline_console.tables import alone, metadata

uploads = Table(
    "uploads",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("token", String(64), ForeignKey("sessions.token", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("about", Text, nullable=False),
)
upload_files = Table(
    "upload_files",
    metadata,
    Column("upload", String(32), ForeignKey("uploads.name", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
"""The CSV file is at place 0; the documents follow."""
KEPT = 1800.0
"""Seconds that an upload waits for its push."""
OF_SESSION = 2
"""The most uploads of a session; the oldest makes room."""
MOST_BYTES = 400_000_000
"""The most bytes of all uploads together."""
PLACE = "console upload"


class UploadsFullError(Exception):
    """So much is uploaded and not pushed that there is no room for more."""


class Uploads:
    """Keeps uploads for the sessions that made them, sealed where there are keys.

    Example:
        >>> uploads.find(token, uploads.keep(token, draft)) == draft
        True

    Args:
        engine: of the console's own database.
        keyring: seals the files; None without keys.
        now: the clock, in seconds since 1970.
        most_bytes: the most bytes of all uploads together.
    """

    def __init__(
        self,
        engine: Engine,
        keyring: Keyring | None,
        now: Callable[[], float] = time,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._now = now
        self._most_bytes = most_bytes

    def keep(self, token: str, draft: Draft) -> str:
        """Keep an upload, and return the name by which its session finds it.

        Raises:
            UploadsFullError: all uploads together would be too large.
        """
        name, files = secrets.token_urlsafe(16), [(draft.file, draft.content), *draft.files.items()]
        size = sum(len(content) for _, content in files)
        sealed = [(file, self._seal(content)) for file, content in files]
        about = json.dumps([draft.account, draft.region, draft.department])
        with self._engine.begin() as database:
            alone(database, uploads)
            self._make_room(database, token)
            if (database.scalar(select(func.sum(uploads.c.size))) or 0) + size > self._most_bytes:
                raise UploadsFullError
            at = round(self._now())
            database.execute(insert(uploads).values(name=name, token=token, at=at, size=size, about=about))
            for place, (file, content) in enumerate(sealed):
                database.execute(
                    insert(upload_files).values(upload=name, place=place, name=file, content=content)
                )
        return name

    def find(self, token: str, name: str) -> Draft | None:
        """An upload of this session; None if it is gone."""
        mine = (uploads.c.name == name) & (uploads.c.token == token) & (uploads.c.at >= self._oldest)
        with reading(self._engine).begin() as database:
            about = database.scalar(select(uploads.c.about).where(mine))
            if about is None:
                return None
            query = select(upload_files).where(upload_files.c.upload == name).order_by(upload_files.c.place)
            rows = database.execute(query).all()
        try:
            files = [(row.name, self._open(row.content)) for row in rows]
        except (KeyMissing, SealBroken):
            return None
        account, region, department = json.loads(about)
        return Draft(
            file=files[0][0],
            content=files[0][1],
            files=dict(files[1:]),
            account=account,
            region=region,
            department=tuple(department) if department else None,
        )

    def drop(self, name: str) -> None:
        """Forget an upload."""
        with self._engine.begin() as database:
            _drop(database, [name])

    def drop_old(self) -> None:
        """Erase what has waited too long."""
        with self._engine.begin() as database:
            self._make_room(database)

    @property
    def _oldest(self) -> float:
        return self._now() - KEPT

    def _seal(self, content: bytes) -> bytes:
        return seal_document(self._keyring, PLACE, content) if self._keyring else content

    def _open(self, content: bytes) -> bytes:
        return open_sealed(self._keyring, PLACE, content) if self._keyring else content

    def _make_room(self, database: Connection, token: str | None = None) -> None:
        """Drop what is too old, and of a session what it had before."""
        old = database.scalars(select(uploads.c.name).where(uploads.c.at < self._oldest)).all()
        mine = select(uploads.c.name).where(uploads.c.token == token).order_by(uploads.c.at.desc())
        _drop(database, [*old, *database.scalars(mine.offset(OF_SESSION - 1)).all()])


def _drop(database: Connection, names: list[str]) -> None:
    database.execute(delete(upload_files).where(upload_files.c.upload.in_(names)))
    database.execute(delete(uploads).where(uploads.c.name.in_(names)))
