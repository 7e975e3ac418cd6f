"""The settings of the archive."""

import re
from datetime import timedelta

from pydantic import Field, SecretStr

from faxline_worker.config.values import Part, PositiveSeconds

DRIVERS = ("sqlite:///", "postgresql+psycopg://")
"""How the URL of a database begins."""
_URL = re.compile(r"sqlite:///(?!:memory:).+|postgresql\+psycopg://.+", re.DOTALL)


class Archive(Part):
    """Where the archive is, how long it keeps what happened, and how it writes.

    Attributes:
        url: a SQLite file or a PostgreSQL database, as SQLAlchemy names it.
        retention: how long an entry and a fax are kept. Six years by default.
        signing_key: the Ed25519 key in PEM that signs checkpoints. Without one, the archive makes a key
            beside a SQLite file.
        checkpoint: how often a checkpoint of each account that has changed is signed.
        batch: the most entries of one transaction.
        poll: the pause after a look at all accounts that found nothing.
    """

    url: str = "sqlite:///faxline-archive.db"
    retention: PositiveSeconds = timedelta(days=2192)
    signing_key: SecretStr = SecretStr("")
    checkpoint: PositiveSeconds = timedelta(minutes=5)
    batch: int = Field(1000, ge=1, le=10_000)
    poll: PositiveSeconds = timedelta(seconds=1)


def check_archive_url(url: str) -> None:
    """Check where the archive is to be.

    Raises:
        ValueError: it is neither SQLite nor PostgreSQL. The message begins with the setting's name.
    """
    if _URL.fullmatch(url) is None:
        raise ValueError(
            "ARCHIVE__URL must be sqlite:///PATH (a file) or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
        )
