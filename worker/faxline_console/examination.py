"""The doctor's checks of the console: its address, its proxy, and its database.

`faxline doctor` finds them by the entry point `faxline.doctor`. They are silent where nothing of it is set.
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path

from sqlalchemy import func, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from faxline.contract.check import Check, Result
from faxline.contract.environment import PREFIX
from faxline_archive.database import open_database, reason_of
from faxline_console.tables import metadata, users
from faxline_worker.config.console import Console
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError
from faxline_worker.ifax.route import is_loopback

OWN = f"{PREFIX}CONSOLE__"
WIDEST = 256
"""The most addresses that the networks of a proxy have before the doctor doubts them."""


def examine(
    environment: Mapping[str, str],
    *,
    webhook_url: str | None = None,  # noqa: ARG001 - what the daemon's checks take
    call: bool = True,  # noqa: ARG001 - as above
) -> list[Check]:
    """Check the console's settings and its database.

    Args:
        environment: the console's variables.
        webhook_url: not used here.
        call: not used here.

    Example:
        >>> [check.name for check in examine({"FAXLINE_CONSOLE__URL": "https://fax.example.org"})]
        ['console address', 'console sign-in', 'console database']
    """
    if not any(name.upper().startswith(OWN) for name in environment):
        return []
    try:
        settings = read_settings(environment).console
    except SettingsError:
        return []  # the daemon's checks say so
    return [_address(settings), _sign_in(settings), *_database(settings.database)]


def _address(settings: Console) -> Check:
    name = "console address"
    if settings.url.startswith("https://"):
        return Check(name, Result.OK, settings.url)
    text = (
        f"{OWN}URL is {settings.url or 'not set'}: cookies are sent without TLS as well; put a proxy with "
        "TLS before it, and set its https:// address"
    )
    return Check(name, Result.WARN if is_loopback(settings.host) else Result.FAIL, text)


def _sign_in(settings: Console) -> Check:
    name, networks = "console sign-in", settings.networks
    if any(ip_network(network).prefixlen == 0 for network in settings.forwarders):
        text = f"{OWN}FORWARDERS has every address, so anybody may say from where a sign-in comes"
        return Check(name, Result.FAIL, text)
    if not networks:
        return Check(name, Result.OK, "by password")
    shown = ", ".join(map(str, networks))
    if any(network.prefixlen == 0 for network in networks):
        text = f"{OWN}PROXIES has {shown}: anybody may say who they are; name the proxy's addresses alone"
        return Check(name, Result.FAIL, text)
    if sum(network.num_addresses for network in networks) > WIDEST:
        text = f"whoever has an address of {shown} may say who they are: name the proxy's addresses alone"
        return Check(name, Result.WARN, text)
    return Check(name, Result.OK, f"by the proxy at {shown}, in {settings.user_header}")


def _database(url: str) -> Iterator[Check]:
    name, place = "console database", make_url(url)
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").is_file():
        yield Check(
            name, Result.WARN, f"there is no file {place.database} yet: a console makes it when it starts"
        )
        return
    engine = open_database(url)
    try:
        found = inspect(engine)
        there = {
            table: {column["name"] for column in found.get_columns(table)}
            for table in found.get_table_names()
        }
        lacking = [
            f"{table.name}.{column.name}"
            for table in metadata.sorted_tables
            for column in table.columns
            if table.name in there and column.name not in there[table.name]
        ]
        missing = [table.name for table in metadata.sorted_tables if table.name not in there]
        if lacking or missing:
            text = f"it lacks {', '.join([*missing, *lacking])}: start the console of this version once"
            yield Check(name, Result.FAIL if lacking else Result.WARN, text)
            return
        with engine.connect() as database:
            count = database.execute(select(func.count()).select_from(users)).scalar_one()
    except SQLAlchemyError as error:
        yield Check(name, Result.FAIL, f"{OWN}DATABASE: it is away or refuses ({reason_of(error)})")
        return
    finally:
        engine.dispose()
    if count:
        yield Check(name, Result.OK, f"it answers; users: {count}")
    else:
        text = "nobody can sign in: add a user by `faxline-worker console users add NAME --role ROLE`"
        yield Check(name, Result.WARN, text)
