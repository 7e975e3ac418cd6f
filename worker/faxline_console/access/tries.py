"""How often a sign-in is tried: nobody guesses a password, and nobody keeps another from signing in."""

import re
import secrets
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import Engine, delete, func, insert, select

from faxline_console.tables import alone, tries

_WITH_PORT = re.compile(r"^(?:\[([^\]]*)\](?::\d+)?|([\d.]+):\d+)$")
"""As some proxies write an address into X-Forwarded-For, with another port each time."""
WIDER = 10
"""So many times the tries of both together has a name from all addresses, and an address with all names."""


class TooManyTries(Exception):
    """This name from this address has to wait, or the name, or the address."""


class Tries:
    """Counts sign-ins, each from its beginning, so that many at once are no way around.

    Example:
        >>> one = tries.begin(digest_of("ada"), "192.0.2.7")
        >>> tries.succeeded(one)

    Args:
        engine: of the console's own database.
        now: the clock, in milliseconds since 1970.
        window: how long a failed one counts, in milliseconds.
        attempts: how many a name has from one address.
    """

    def __init__(self, engine: Engine, now: Callable[[], int], window: int, attempts: int) -> None:
        self._engine = engine
        self._now = now
        self._window = window
        self._attempts = attempts

    def begin(self, name: str, address: str) -> str:
        """Count a try, and return its id.

        Args:
            name: its digest.
            address: of the browser.

        Raises:
            TooManyTries: it is not to be looked at.
        """
        one, now, place = secrets.token_hex(), self._now(), _place(address)
        limits = (
            ((tries.c.name == name) & (tries.c.address == place), self._attempts),
            (tries.c.name == name, WIDER * self._attempts),
            (tries.c.address == place, WIDER * self._attempts),
        )
        with self._engine.begin() as database:
            alone(database, tries)
            database.execute(delete(tries).where(tries.c.at < now - self._window))
            for those, most in limits:
                if (
                    database.execute(select(func.count()).select_from(tries).where(those)).scalar_one()
                    >= most
                ):
                    raise TooManyTries
            database.execute(insert(tries).values(id=one, name=name, address=place, at=now))
        return one

    def succeeded(self, one: str) -> None:
        """Forget this try, and those of the same name from the same address."""
        with self._engine.begin() as database:
            row = database.execute(select(tries).where(tries.c.id == one)).mappings().first()
            if row is not None:
                same = (tries.c.name == row["name"]) & (tries.c.address == row["address"])
                database.execute(delete(tries).where(same))


def _place(address: str) -> str:
    """The address without a port, or the network that one household has of IPv6."""
    try:
        found = ip_address(_WITH_PORT.sub(r"\1\2", address))
    except ValueError:
        return address[:64]
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((int(found), 64), strict=False))
