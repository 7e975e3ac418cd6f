"""A whole Faxline with its console, and the faxes of an ordinary day, for tests in a real browser."""

import base64
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from faxline import FaxLine, JobNotFound, JobState
from faxline.contract.errors import ArchiveUnavailable
from faxline.reading.archived import Wanted
from faxline_archive.database import open_database
from faxline_archive.inquiries import URL, Inquiries
from faxline_console.access.people import Person, Role
from faxline_console.access.store import ConsoleStore
from faxline_local.processes import free_port, wait_for
from faxline_local.redis_access import Access
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local
from tests.hostile_files import plain_pdf

PASSWORD = "correct horse battery"
SANDBOX = ("--call-seconds", "0.1", "--page-seconds", "0.01", "--time-scale", "0.001")
SETTINGS = {
    "RETRIES__DELIVERY__ATTEMPTS": "2",
    **{f"RETRIES__DELIVERY__{cause}": "0.2" for cause in ("BUSY", "NO_ANSWER", "OTHER")},
    "HTTP_TIMEOUT": "2",
    "IN_DOUBT__WAIT": "1",
    "RECEIPT_DEADLINE": "4",
    "SWEEP": "0.5",
    "ACCOUNTS__SOUTH__LIMITS__REQUESTS": "2",
    "CONSOLE__ZONE": "America/New_York",
}
ENDS = frozenset({JobState.DELIVERED, JobState.FAILED, JobState.UNCONFIRMED, JobState.CANCELED})


@dataclass(frozen=True)
class Letter:
    """A fax of the day: its end is that of the last four digits (docs/sandbox.md)."""

    id: str
    number: str
    subject: str
    account: str = "north"
    department: str = "radiology"
    pages: int = 1
    state: JobState = JobState.DELIVERED


LETTERS = (
    Letter("clinic.4600", "0104", "Appointment list", pages=4),
    Letter("clinic.4601", "0017", "Referral, radiology", state=JobState.FAILED),
    Letter("clinic.4602", "0019", "Prescription", state=JobState.FAILED),
    Letter("clinic.4603", "0206", "Discharge letter", pages=6),
    Letter("clinic.4604", "0601", "Lab report", state=JobState.UNCONFIRMED),
    Letter("clinic.4605", "0001", "Second opinion", department="cardiology", state=JobState.FAILED),
    Letter("billing.2210", "0110", "Cost estimate", department="billing", pages=3),
    Letter("billing.2211", "0111", "Invoice 2211", department="billing", pages=2),
    Letter("court.118-1", "0114", "Notice of hearing", "south", "legal", 6),
    Letter("court.118-2", "0115", "Filing 0-2026-118", "south", "legal", 14),
    Letter("court.118-3", "0116", "Filing 0-2026-119", "south", "legal", 2, JobState.QUEUED),
    Letter("court.118-4", "0117", "Filing 0-2026-120", "south", "legal", 3, JobState.QUEUED),
    Letter("lab.90311", "0444", "Lab report", state=JobState.IN_DOUBT, pages=2),
    Letter("lab.90312", "0408", "Pathology report", state=JobState.IN_DOUBT),
)
"""What was sent before anybody looks."""
STRANGE_KEY = f"strange:{base64.b64encode(bytes(32)).decode()}"
"""What is sealed with it cannot be read here, so it is set aside."""


class Office:
    """Faxline with the sandbox, an archive and the console, as processes; and people of every role.

    Args:
        folder: for logs and databases.
        binary: the Redis server.
        access: its users.
        before: is given the URL of the archive before anything runs.
    """

    def __init__(
        self,
        folder: Path,
        binary: ServerBinary | None,
        access: Access | None,
        before: Callable[[str], None] | None = None,
    ) -> None:
        self.folder = folder
        self.local = Local(
            folder,
            accounts=("north", "south"),
            archives=1,
            settings=SETTINGS,
            sandbox=SANDBOX,
            binary=binary,
            access=access,
        )
        self._before = before
        self._lines: dict[str, FaxLine] = {}

    def __enter__(self) -> Self:
        if self._before is not None:
            self._before(self.local.archive_url)
        self.local.__enter__()
        try:
            self._start_console()
            self.desk = Inquiries({URL: self.local.archive_url}, None)
        except BaseException:
            self.local.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for line in self._lines.values():
            line.close()
        self.local.__exit__(*error)

    @property
    def public_key(self) -> Path:
        """By which a proof is verified."""
        return self.folder / "archive.pem.pub"

    def line(self, account: str = "north") -> FaxLine:
        """An operator's line to an account."""
        if account not in self._lines:
            self._lines[account] = FaxLine(self.local.url_of("operator"), account)
        return self._lines[account]

    def send(self, letter: Letter, metadata: Mapping[str, str] | None = None) -> None:
        """Push a letter."""
        told = {"subject": letter.subject, "department": letter.department, **(metadata or {})}
        self.line(letter.account).send(
            to=f"+1202555{letter.number}",
            files=[(f"{letter.id}.pdf", plain_pdf(letter.pages))],
            id=letter.id,
            subject=letter.subject,
            metadata=told,
        )

    def live_through_a_day(self) -> None:
        """Send what is sent on a day, set an entry aside, and wait until all is as it was to be."""
        for letter in LETTERS:
            self.send(letter)
        with FaxLine(self.local.url_of("producer"), "north", keys=STRANGE_KEY) as line:
            line.send(to="+12025550118", files=[("a.pdf", plain_pdf())], id="sealed.1")
        for letter in LETTERS:
            self.await_state(letter.id, letter.state, letter.account)
        assert wait_for(lambda: self.line().account_state().dead == 1, 60), "nothing was set aside"
        for letter in LETTERS:
            if letter.state in ENDS:
                self.await_archive(letter.account, letter.id)

    def await_state(self, job: str, state: JobState, account: str = "north") -> None:
        """Wait until a fax is in a state."""

        def there() -> bool:
            try:
                return self.line(account).job(job).state is state
            except JobNotFound:
                return False  # the dispatcher has not taken it yet

        assert wait_for(there, 60), f"{job} is not {state}: {self.line(account).job(job)}"

    def await_archive(self, account: str, job: str) -> None:
        """Wait until the archive has a fax that ended."""
        assert wait_for(lambda: self._archived(account, job), 60), f"{job} is not in the archive"

    def await_gone(self, job: str) -> None:
        """Wait until the archive has forgotten a fax of north."""
        assert wait_for(lambda: not self._archived("north", job), 60), f"{job} is still in the archive"

    def _archived(self, account: str, job: str) -> bool:
        try:
            return any(fax.id == job and fax.ended_at for fax in self.desk.find(account, Wanted()))
        except ArchiveUnavailable:
            return False  # it makes its tables

    @property
    def database(self) -> str:
        """The URL of the console's own database."""
        return f"sqlite:///{self.folder / 'console.db'}"

    def _start_console(self) -> None:
        port = free_port()
        engine = open_database(self.database, writes=True)
        store = ConsoleStore(engine)
        for role in Role:
            store.add_user(Person(str(role), role), PASSWORD)
        store.add_user(Person("radiologist", Role.CLERK, department=("department", "radiology")), PASSWORD)
        engine.dispose()
        self.url = f"http://127.0.0.1:{port}"
        own = {
            "FAXLINE_CONSOLE__DATABASE": self.database,
            "FAXLINE_CONSOLE__PORT": str(port),
            "FAXLINE_METRICS__CONSOLE_PORT": str(free_port()),
        }
        command = [sys.executable, "-m", "faxline_worker", "console"]
        part = self.local.add("console", command, self.local.environment("console") | own)
        part.await_start(self._answers)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False
