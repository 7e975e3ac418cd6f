"""`python -m tests.benchmarks.archive_speed`: how many events a second the archive writes.

The events lie in Redis, with their records; the archive starts and reads them all. Keys seal what it keeps.
"""

import argparse
import contextlib
import os
import tempfile
import time

import redis

from faxline.contract.sealing.keyring import Keyring
from faxline_archive.schema import accounts
from faxline_local.processes import wait_for
from faxline_local.redis_server import RedisServer
from tests.archives import Faxes, archiving, rows
from tests.postgres import PostgresServer

OF_ONE = 3
"""Events of one fax."""


def measure(kind: str, faxes: int, *, sealed: bool) -> float:
    """The events a second that are read from Redis and committed, with the archive's start.

    Args:
        kind: sqlite or postgresql.
        faxes: how many faxes, with OF_ONE events each.
        sealed: whether keys are configured.
    """
    keyring = Keyring({"bench": os.urandom(32)}) if sealed else None
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        client = stack.enter_context(redis.Redis.from_url(server.url(0)))
        url = f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/archive.db"
        if kind == "postgresql":
            url = stack.enter_context(PostgresServer()).url()
        line = Faxes(client, keyring=keyring)
        for number in range(faxes):
            line.queue(
                f"fax-{number}", number=f"+1202555{number % 10_000:04}", metadata={"case": str(number)}
            )
            line.deliver(f"fax-{number}")
        began = time.monotonic()
        with archiving(url, client, keyring=keyring) as archive:
            wanted = faxes * OF_ONE

            def done() -> bool:
                return sum(int(row["size"]) for row in rows(archive.engine, accounts)) == wanted

            assert wait_for(done, 600, every=0.02)
            return wanted / (time.monotonic() - began)


def main() -> None:
    """Measure both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faxes", type=int, default=20_000)
    given = parser.parse_args()
    for kind in ("postgresql", "sqlite"):
        for sealed in (False, True):
            speed = measure(kind, given.faxes, sealed=sealed)
            print(f"{kind}, {'sealed' if sealed else 'plain'}: {speed:,.0f} events/s")


if __name__ == "__main__":
    main()
