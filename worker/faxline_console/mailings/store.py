"""The list of mailings that were pushed in the console."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from re import escape, fullmatch
from time import time
from typing import Any

from sqlalchemy import BigInteger, Column, Engine, Select, String, Table, Text, delete, insert, select
from sqlalchemy.exc import IntegrityError

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.sealing.keyring import Keyring
from faxline_archive.database import reading
from faxline_console.access.people import Person
from faxline_console.tables import mailings, metadata

SHOWN = 100
"""The most mailings that are listed."""
REPEATABLE = 15 * 86400.0
"""Half of the days for which ids are kept by default (FAXLINE_RETENTION)."""

contents = Table(
    "mailing_contents",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("digest", String(64), nullable=False),
)
"""What the faxes of a mailing are made of, so that only the same is pushed again under its name."""

unfinished = Table(
    "mailing_unfinished",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
)
"""The mailings whose push has not come to its end."""

named_ids = Table(
    "mailing_ids",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("ids", Text, nullable=False),
)
"""The ids that rows give their faxes, with spaces: by these it is known whose a rejected fax is."""


left_out = Table(
    "mailing_left_out",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("rows", Text, nullable=False),
)
"""The bad rows that were left out, so that they alone are mended: JSON, sealed where there are keys."""
ROWS_KEPT = 7 * 86400
"""Seconds that these are kept."""
PLACE = "console rows left out"
Rows = Sequence[tuple[int, str, str]]
"""Bad rows: the line, what is wrong, and the row as the file has it."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """A mailing that is about to be pushed.

    Attributes:
        account, name: whose, and the name of its group.
        digest: of what its faxes are made of.
        faxes, left_out: how many, and how many bad rows are left out.
        ids: those of faxes that have one of their own, and not `NAME.N`.
        rows: the bad ones.
    """

    account: str
    name: str
    digest: str
    faxes: int
    left_out: int
    ids: Sequence[str] = ()
    rows: Rows = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Pushed:
    """A mailing that was pushed.

    Attributes:
        account, name: whose, and the name of its group.
        who: who pushed it.
        at: when.
        pushed, left_out: how many faxes, and how many bad rows were left out.
        unfinished: whether the push was interrupted, or is still under way.
        ids: those of faxes that have one of their own; the list has none.
        old: whether Redis may have forgotten its faxes since: it is not pushed again under its name.
    """

    account: str
    name: str
    who: str
    at: datetime
    pushed: int
    left_out: int
    unfinished: bool = False
    old: bool = False
    ids: frozenset[str] = field(default=frozenset(), repr=False)

    def owns(self, job: str) -> bool:
        """Whether a fax of its group was pushed with it, by its id."""
        return job in self.ids or is_numbered(self.name, job)


class MailingStore:
    """The list of mailings.

    Args:
        engine: of the console's own database.
        now: the clock, in seconds since 1970.
        repeatable: seconds for which a push that was interrupted may be repeated. It is less than the ids of
            its faxes are kept, for what Redis has forgotten would be sent twice.
        keyring: seals the rows that were left out; None without keys.
    """

    def __init__(
        self,
        engine: Engine,
        now: Callable[[], float] = time,
        *,
        repeatable: float = REPEATABLE,
        keyring: Keyring | None = None,
    ) -> None:
        self._keyring = keyring
        self._engine = engine
        self._now = now
        self._repeatable = repeatable

    def reserve(self, person: Person, mailing: Reserved) -> bool:
        """Note a mailing before it is pushed.

        Returns:
            False if its name is taken: a name is pushed once. Only a push that was interrupted lately anybody
            may repeat, with the same faxes.
        """
        row = {
            "account": mailing.account,
            "name": mailing.name,
            "who": person.name,
            "department": _department(person),
            "at": round(self._now() * 1000),
            "pushed": mailing.faxes,
            "left_out": mailing.left_out,
        }
        place = {"account": mailing.account, "name": mailing.name}
        try:
            with self._engine.begin() as database:
                database.execute(insert(mailings).values(row))
                database.execute(insert(contents).values(place | {"digest": mailing.digest}))
                database.execute(insert(unfinished).values(place))
                if mailing.ids:
                    database.execute(insert(named_ids).values(place | {"ids": " ".join(mailing.ids)}))
                if mailing.rows:
                    text = json.dumps(mailing.rows)
                    text = self._keyring.seal(text, PLACE) if self._keyring else text
                    database.execute(insert(left_out).values(place | {"at": row["at"], "rows": text}))
        except IntegrityError:  # it was begun before: the same may be pushed again
            return self._may_repeat(mailing)
        return True

    def finish(self, account: str, name: str) -> None:
        """Note that all faxes of a mailing are pushed."""
        same = (unfinished.c.account == account) & (unfinished.c.name == name)
        with self._engine.begin() as database:
            database.execute(delete(unfinished).where(same))

    def _may_repeat(self, mailing: Reserved) -> bool:
        same = (contents.c.account == mailing.account) & (contents.c.name == mailing.name)
        with self._engine.begin() as database:
            digest = database.scalar(select(contents.c.digest).where(same))
            row = database.execute(_of(mailing.account, mailing.name)).mappings().first()
        return row is not None and digest == mailing.digest and _is_open(row) and not self._is_old(row)

    def _is_old(self, row: Mapping[Any, Any]) -> bool:
        return bool(row["at"] / 1000 < self._now() - self._repeatable)

    def list(self, person: Person) -> list[Pushed]:
        """The mailings that a person may see, the newest first."""
        query = _all().order_by(mailings.c.at.desc()).limit(SHOWN)
        if person.accounts:
            query = query.where(mailings.c.account.in_(person.accounts))
        if person.department is not None:
            query = query.where(mailings.c.department == _department(person))
        with self._engine.begin() as database:
            return [self._pushed(row) for row in database.execute(query).mappings()]

    def find(self, person: Person, account: str, name: str) -> Pushed | None:
        """One mailing that a person may see; None if there is none."""
        query = _of(account, name)
        if person.department is not None:
            query = query.where(mailings.c.department == _department(person))
        with self._engine.begin() as database:
            row = database.execute(query).mappings().first()
            same = (named_ids.c.account == account) & (named_ids.c.name == name)
            ids = database.scalar(select(named_ids.c.ids).where(same)) or ""
        return None if row is None or not person.sees_account(account) else self._pushed(row, ids)

    def rows_left_out(self, person: Person, pushed: Pushed) -> Rows:
        """The bad rows that were left out of a mailing, for who pushed it; none once they are erased."""
        if pushed.who != person.name:
            return []
        same = (left_out.c.account == pushed.account) & (left_out.c.name == pushed.name)
        with reading(self._engine).begin() as database:
            text = database.scalar(select(left_out.c.rows).where(same)) or "[]"
        try:
            opened = self._keyring.open(text, PLACE) if self._keyring and text != "[]" else text
            return [(line, problem, row) for line, problem, row in json.loads(opened)]
        except (KeyMissing, SealBroken, ValueError):
            return []

    def purge(self) -> None:
        """Erase the rows that were kept long enough."""
        with self._engine.begin() as database:
            database.execute(delete(left_out).where(left_out.c.at < (self._now() - ROWS_KEPT) * 1000))

    def _pushed(self, row: Mapping[Any, Any], ids: str = "") -> Pushed:
        at = datetime.fromtimestamp(row["at"] / 1000, tz=UTC)
        told = row["account"], row["name"], row["who"], at, row["pushed"], row["left_out"]
        return Pushed(*told, unfinished=_is_open(row), old=self._is_old(row), ids=frozenset(ids.split()))


def is_numbered(name: str, job: str) -> bool:
    """Whether a fax of a mailing has no id of its own.

    Example:
        >>> is_numbered("june", "june.17")
        True
    """
    return fullmatch(rf"{escape(name)}\.\d+", job) is not None


def _all() -> Select[Any]:
    both = (unfinished.c.account == mailings.c.account) & (unfinished.c.name == mailings.c.name)
    return select(mailings, unfinished.c.name.label("open")).select_from(mailings.outerjoin(unfinished, both))


def _of(account: str, name: str) -> Select[Any]:
    return _all().where((mailings.c.account == account) & (mailings.c.name == name))


def _is_open(row: Mapping[Any, Any]) -> bool:
    return row["open"] is not None


def _department(person: Person) -> str:
    return "=".join(person.department) if person.department else ""
