"""Who may do what: roles, and the people who have them.

A role is a set of rights. A person may be bound to accounts, and to a value of the metadata, such as
`department=radiology`: to them, everything else is not there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any

from faxline_archive.members import member_text


class Right(StrEnum):
    """What a person may do. A page shows only what the person may do."""

    READ = auto()
    """Find and read faxes and mailings, numbers masked."""
    SEND = auto()
    """Send, resend and cancel faxes and mailings."""
    REVEAL = auto()
    """See a number, which the audit notes."""
    SETTLE = auto()
    """Settle doubts; redrive and drop dead entries."""
    ACCOUNTS = auto()
    """Pause and resume accounts, and see their limits."""
    FORGET = auto()
    """Erase a fax."""
    PROVE = auto()
    """Take reports and proofs out of the archive."""
    USAGE = auto()
    """Count faxes and pages."""
    AUDIT = auto()
    """Read who did and saw what."""
    SYSTEM = auto()
    """See the doctor, the processes, Redis and the archive."""


class Role(StrEnum):
    """The roles of the console (docs/console.md)."""

    VIEWER = auto()
    CLERK = auto()
    OPERATOR = auto()
    AUDITOR = auto()
    ADMIN = auto()

    @property
    def rights(self) -> frozenset[Right]:
        """What it may do."""
        return RIGHTS[self]


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.READ}),
    Role.CLERK: frozenset({Right.READ, Right.SEND, Right.REVEAL, Right.PROVE}),
    Role.OPERATOR: frozenset(
        {
            *(Right.READ, Right.SEND, Right.REVEAL, Right.PROVE, Right.SETTLE, Right.ACCOUNTS),
            *(Right.USAGE, Right.SYSTEM),
        }
    ),
    Role.AUDITOR: frozenset({Right.READ, Right.REVEAL, Right.PROVE, Right.USAGE, Right.AUDIT, Right.SYSTEM}),
    Role.ADMIN: frozenset(Right),
}
"""The table of docs/console.md."""


WHOLE = frozenset({Right.ACCOUNTS, Right.AUDIT, Right.SYSTEM})
"""The rights to what shows whole accounts."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has signed in.

    Example:
        >>> clerk = Person("ada", Role.CLERK, department=("department", "radiology"))
        >>> clerk.sees("north", {"department": "billing"})
        False

    Attributes:
        name: the name in the audit.
        role: what the person may do.
        accounts: the accounts that the person sees; empty means all.
        department: a member of the metadata and the value that a fax must have; None means any fax.
        zone: the time zone of every time that the person sees, as in the IANA database; empty: the console's.
    """

    name: str
    role: Role
    accounts: frozenset[str] = frozenset()
    department: tuple[str, str] | None = None
    zone: str = ""

    def may(self, right: Right) -> bool:
        """Whether the person's role has this right. What shows a whole account is not for one department."""
        return right in self.role.rights and (self.department is None or right not in WHOLE)

    def sees_account(self, account: str) -> bool:
        """Whether the person works with this account."""
        return not self.accounts or account in self.accounts

    def sees(self, account: str, metadata: Mapping[str, Any]) -> bool:
        """Whether a fax of this account with this metadata is there for the person."""
        if not self.sees_account(account):
            return False
        if self.department is None:
            return True
        key, value = self.department
        return member_text(metadata.get(key)) == value


def to_row(person: Person) -> dict[str, str]:
    """The columns of a person."""
    return {
        "name": person.name,
        "role": str(person.role),
        "accounts": ",".join(sorted(person.accounts)),
        "department": "=".join(person.department) if person.department else "",
        "zone": person.zone,
    }


def to_person(row: object) -> Person:
    """The person of a row of `users`."""
    values: dict[str, str] = dict(row)  # type: ignore[call-overload]
    key, _, value = values["department"].partition("=")
    return Person(
        values["name"],
        Role(values["role"]),
        frozenset(filter(None, values["accounts"].split(","))),
        (key, value) if key else None,
        values["zone"],
    )
