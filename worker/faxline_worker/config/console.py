"""The settings of the console."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from zoneinfo import ZoneInfo

from pydantic import Field, PositiveInt

from faxline_worker.config.archive import DRIVERS
from faxline_worker.config.values import Names, Part, PositiveSeconds


class Console(Part):
    """Where the console listens, and who signs people in.

    Attributes:
        host, port: what it listens on.
        url: where people reach it, such as https://fax.example.org. Its cookies are sent over https alone
            then. Empty: the address that a browser names.
        database: the console's own database, of local users and sessions.
        proxies: the addresses or networks of the proxy that signs people in. Empty: local users sign in by
            password.
        user_header: the header in which that proxy names the person.
        forwarders: the addresses or networks of a proxy with TLS before a console where local users sign in:
            what it adds to X-Forwarded-For is the address that failed sign-ins count for.
        session: how long a session lasts.
        idle: how long a session lasts without a request.
        sign_ins: failed sign-ins of a name from one address within 15 minutes before it has to wait; a name,
            and an address, have ten times as many.
        zone: the time zone of people who have none of their own.
    """

    host: str = "127.0.0.1"
    port: int = Field(8090, ge=0, le=65535)
    url: str = ""
    database: str = "sqlite:///faxline-console.db"
    proxies: Names = ()
    user_header: str = "X-Forwarded-User"
    forwarders: Names = ()
    session: PositiveSeconds = timedelta(hours=8)
    idle: PositiveSeconds = timedelta(minutes=30)
    sign_ins: PositiveInt = 10
    zone: str = "UTC"

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The proxy's addresses."""
        return tuple(ip_network(network) for network in self.proxies)


def check_console(console: Console) -> None:
    """Check what the fields' types do not.

    Raises:
        ValueError: the message begins with the setting's name.
    """
    if not console.database.startswith(DRIVERS):
        raise ValueError(
            "CONSOLE__DATABASE must begin with sqlite:/// (a file) or postgresql+psycopg:// (PostgreSQL)"
        )
    if console.url and not console.url.startswith(("https://", "http://")):
        raise ValueError("CONSOLE__URL must begin with https:// or http://")
    for name, networks in (("PROXIES", console.proxies), ("FORWARDERS", console.forwarders)):
        try:
            for network in networks:
                ip_network(network)
        except ValueError as error:
            raise ValueError(f"CONSOLE__{name}: {error}") from None
    if console.proxies and console.forwarders:
        raise ValueError("CONSOLE__FORWARDERS is for sign-in by password: leave it out with CONSOLE__PROXIES")
    try:
        ZoneInfo(console.zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"CONSOLE__ZONE: there is no time zone {console.zone!r}; give one such as Europe/Berlin"
        ) from None
