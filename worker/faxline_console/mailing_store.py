"""The list of mailings that were pushed in the console."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time

from sqlalchemy import Column, Engine, String, Table, insert, select
from sqlalchemy.exc import IntegrityError

from faxline_console.people import Person
from faxline_console.tables import mailings, metadata

SHOWN = 100
"""The most mailings that are listed."""

contents = Table(
    "mailing_contents",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("digest", String(64), nullable=False),
)
"""What the faxes of a mailing are made of, so that only the same is pushed again under its name."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """A mailing that is about to be pushed.

    Attributes:
        account, name: whose, and the name of its group.
        digest: of what its faxes are made of.
        faxes, left_out: how many, and how many bad rows are left out.
    """

    account: str
    name: str
    digest: str
    faxes: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Pushed:
    """A mailing that was pushed.

    Attributes:
        account, name: whose, and the name of its group.
        who: who pushed it.
        at: when.
        pushed, left_out: how many faxes, and how many bad rows were left out.
    """

    account: str
    name: str
    who: str
    at: datetime
    pushed: int
    left_out: int


class MailingStore:
    """The list of mailings.

    Args:
        engine: of the console's own database.
        now: the clock, in seconds since 1970.
    """

    def __init__(self, engine: Engine, now: Callable[[], float] = time) -> None:
        self._engine = engine
        self._now = now
        metadata.create_all(engine)

    def reserve(self, person: Person, mailing: Reserved) -> bool:
        """Note a mailing before it is pushed.

        Returns:
            False if another mailing has its name: another person's, or one with other faxes.
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
        except IntegrityError:  # it was begun before: the same may be pushed again
            return self._has(place, {"who": person.name, "digest": mailing.digest})
        return True

    def _has(self, place: Mapping[str, str], told: Mapping[str, str]) -> bool:
        both = mailings.join(
            contents, (contents.c.account == mailings.c.account) & (contents.c.name == mailings.c.name)
        )
        query = select(mailings.c.who, contents.c.digest).select_from(both)
        for name, value in place.items():
            query = query.where(mailings.c[name] == value)
        with self._engine.begin() as database:
            row = database.execute(query).mappings().first()
        return row is not None and dict(row) == told

    def list(self, person: Person) -> list[Pushed]:
        """The mailings that a person may see, the newest first."""
        query = select(mailings).order_by(mailings.c.at.desc()).limit(SHOWN)
        if person.accounts:
            query = query.where(mailings.c.account.in_(person.accounts))
        if person.department is not None:
            query = query.where(mailings.c.department == _department(person))
        with self._engine.begin() as database:
            return [_pushed(row) for row in database.execute(query).mappings()]

    def find(self, person: Person, account: str, name: str) -> Pushed | None:
        """One mailing that a person may see; None if there is none."""
        same = (mailings.c.account == account) & (mailings.c.name == name)
        query = select(mailings).where(same)
        if person.department is not None:
            query = query.where(mailings.c.department == _department(person))
        with self._engine.begin() as database:
            row = database.execute(query).mappings().first()
        return None if row is None or not person.sees_account(account) else _pushed(row)


def _department(person: Person) -> str:
    return "=".join(person.department) if person.department else ""


def _pushed(row: object) -> Pushed:
    values: dict[str, object] = dict(row)  # type: ignore[call-overload]
    at = datetime.fromtimestamp(int(str(values["at"])) / 1000, tz=UTC)
    return Pushed(
        str(values["account"]),
        str(values["name"]),
        str(values["who"]),
        at,
        int(str(values["pushed"])),
        int(str(values["left_out"])),
    )
