"""What the library and the command `faxline` ask of an archive: find a fax, its report and proof, usage."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from faxline.contract.errors import ArchiveUnavailable
from faxline.contract.sealing.keyring import Keyring
from faxline.reading.archived import ArchivedFax, Usage, Wanted
from faxline_archive.database import in_words, open_database
from faxline_archive.privacy import Privacy
from faxline_archive.records import plain
from faxline_archive.search import PAGE, find
from faxline_archive.signing_key import SigningKey, SigningKeyInvalid, signing_key
from faxline_archive.usage import usage

URL, KEY = "FAXLINE_ARCHIVE__URL", "FAXLINE_ARCHIVE__SIGNING_KEY"
DEFAULT = "sqlite:///faxline-archive.db"
_DRIVERS = ("sqlite", "postgresql+psycopg")


class Inquiries:
    """An archive that is asked. It reads; only a proof writes, because it signs a checkpoint.

    Args:
        environment: where FAXLINE_ARCHIVE__URL and FAXLINE_ARCHIVE__SIGNING_KEY (or …_FILE) are.
        keyring: opens what is sealed; None without any.

    Raises:
        ArchiveUnavailable: the URL is not valid, or there is no such SQLite file.
    """

    def __init__(self, environment: Mapping[str, str], keyring: Keyring | None) -> None:
        self._url = _setting(environment, URL) or DEFAULT
        self._pem = environment, KEY
        self._keyring = keyring
        self._check_url()
        self._engine = open_database(self._url)

    def find(self, account: str, wanted: Wanted, *, page: int = PAGE) -> Iterator[ArchivedFax]:
        """Find faxes, the last one queued first.

        Raises:
            ValueError: nothing is found, no fax of the account has the reason, and none can have it.
        """
        account, nothing = plain(account), True
        with _told(self._engine):
            for fax in find(self._engine, account, wanted, self._privacy(account), page=page):
                nothing = False
                yield fax
            if nothing and wanted.reason is not None:
                self._check_reason(account, wanted.reason)

    def report(self, account: str, job: str, *, zone: tzinfo, paper: str) -> bytes:
        """The transmission report of a fax: a PDF."""
        from faxline_archive.evidence import report_of  # noqa: PLC0415 - with the PDF's fonts, half a second

        try:
            key: SigningKey | None = self._key(make=False)
        except SigningKeyInvalid:
            key = None  # a report needs none; it then names no checkpoint
        account = plain(account)
        with _told(self._engine):
            return report_of(
                self._engine, account, job, self._privacy(account), zone=zone, paper=paper, key=key
            )

    def proof(self, account: str, job: str, *, zone: tzinfo) -> bytes:
        """The proof of a fax: a zip."""
        from faxline_archive.evidence import proof_of  # noqa: PLC0415 - as above
        from faxline_archive.proof import write_proof  # noqa: PLC0415 - as above

        key, writing = self._key(make=True), open_database(self._url, writes=True)
        account = plain(account)
        try:
            with _told(writing):
                now = time.time_ns() // 1_000_000
                evidence = proof_of(writing, account, job, self._privacy(account), key, zone=zone, now_ms=now)
        finally:
            writing.dispose()
        return write_proof(evidence, key, datetime.now(UTC))

    def usage(self, by: str, wanted: Wanted, *, account: str | None, zone: tzinfo) -> list[Usage]:
        """How many faxes there were."""
        only = None if account is None else [plain(account)]
        with _told(self._engine):
            return usage(self._engine, by, wanted, self._privacy, accounts=only, zone=zone)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _privacy(self, account: str) -> Privacy:
        return Privacy(self._keyring, account)

    def _key(self, *, make: bool) -> SigningKey:
        pem = _setting(*self._pem)
        if not make and not pem:
            parsed = make_url(self._url)
            if parsed.get_backend_name() == "sqlite":
                return SigningKey.load(Path(parsed.database or "").with_suffix(".pem"))
        return signing_key(self._url, pem)

    def _check_reason(self, account: str, reason: str) -> None:
        """Refuse a reason that does not exist. What another version of Faxline wrote is in the archive."""
        from faxline_archive.reasons import why_unknown  # noqa: PLC0415 - with iFax's client, half a second

        kept = find(self._engine, account, Wanted(reason=reason), self._privacy(account), page=1)
        if (why := why_unknown(reason)) and next(kept, None) is None:
            raise ValueError(f"{why} docs/causes.md has those of a delivery.")

    def _check_url(self) -> None:
        try:
            parsed = make_url(self._url)
        except (ArgumentError, ValueError):  # also a port that is no number
            parsed = None
        if parsed is None or parsed.drivername not in _DRIVERS:
            raise ArchiveUnavailable(
                f"{URL} must be sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
            )
        if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
            raise ArchiveUnavailable(
                f"there is no archive {parsed.database}: set {URL} to the one of `faxline-worker archive`"
            )


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    """Say in one line that the database is away, without its parameters."""
    try:
        yield
    except DBAPIError as error:
        raise ArchiveUnavailable(in_words(error, engine)) from None


def _setting(environment: Mapping[str, str], name: str) -> str:
    if environment.get(f"{name}_FILE"):
        try:
            return Path(environment[f"{name}_FILE"]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise ArchiveUnavailable(f"the file of {name}_FILE cannot be read") from None
    return environment.get(name, "")
