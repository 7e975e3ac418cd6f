"""The list of mailings that were pushed in the console."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time

from sqlalchemy import Engine, delete, insert, select

from faxline_console.people import Person
from faxline_console.tables import mailings

SHOWN = 100
"""The most mailings that are listed."""


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

    def add(self, person: Person, account: str, name: str, pushed: int, left_out: int) -> None:
        """Note a mailing. The same again replaces it."""
        row = {
            "account": account,
            "name": name,
            "who": person.name,
            "department": _department(person),
            "at": round(self._now() * 1000),
            "pushed": pushed,
            "left_out": left_out,
        }
        same = (mailings.c.account == account) & (mailings.c.name == name)
        with self._engine.begin() as database:
            database.execute(delete(mailings).where(same))
            database.execute(insert(mailings).values(row))

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
