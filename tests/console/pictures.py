"""`make screenshots`: a picture of every page, at a desk in the light and on a phone in the dark."""

import io
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.archives import new_archive
from tests.console.conftest import FLAGS, NAMES
from tests.console.office import Office
from tests.console.steps import BAD, push_mailing, upload_mailing
from tests.console.views import VIEWS, View
from tests.console.visitor import DESK, PHONE, People, Visitor
from tests.stage.archives import BEGIN, StagedArchive

FOLDER = Path(__file__).parents[2] / "docs/console"
MOST = {DESK: 1100, PHONE: 1200}
"""The most pixels of a picture from top to bottom."""
COLOURS = 128
LATER = frozenset({"accounts", "attention"})
"""Pages that are shown with a paused account."""
DEPARTMENTS = ("radiology", "billing", "cardiology", "legal")
ROUND = tuple(f"+1202555{ending}" for ending in ("0017", "0019", "0019", *(f"01{n}" for n in range(30, 51))))
"""The numbers of the mailing that is shown: three of them fail."""
ENDS = (*(["delivered"] * 12), "busy", "no_answer")


def history(url: str) -> None:
    """Faxes of the month before today, for the usage."""
    chance, now = random.Random(7), datetime.now(UTC)  # noqa: S311 - no secret
    engine = new_archive(url)
    archive = StagedArchive(engine)
    for number, at in enumerate(moments(now, chance)):
        reason, pages = chance.choice(ENDS), chance.randint(1, 6)
        state = "delivered" if reason == "delivered" else "failed"
        archive.add(
            f"clinic.{3000 + number}",
            account="north",
            at=round(at.timestamp()) - BEGIN // 1000,
            metadata={"department": chance.choice(DEPARTMENTS), "subject": "Referral"},
            state=state,
            reason=reason,
            pages=pages,
            transferred=pages if state == "delivered" else 0,
            job_id=5000 + number,
        )
    engine.dispose()


def moments(now: datetime, chance: random.Random) -> Iterator[datetime]:
    """The times of the faxes of a month, fewer on weekends."""
    for back in range(now.day - 1, 0, -1):
        day = now - timedelta(days=back)
        for _ in range(chance.randint(1, 2) if day.weekday() > 4 else chance.randint(4, 9)):
            yield day.replace(hour=chance.randint(13, 21), minute=chance.randint(0, 59))


def give_orders(office: Office, admin: Visitor) -> None:
    """What the audit tells of."""
    north = office.line()
    north.pause(by="operator: iFax announced an outage")
    north.resume(by="operator: the outage is over")
    north.resend("clinic.4601", by="clerk: they were out of paper")
    admin.go("/faxes/north/clinic.4600")
    admin.page.get_by_role("button", name="Reveal the number").click()


def shoot(visitor: Visitor, view: View, theme: Literal["light", "dark"], width: int) -> int:
    """Take a picture of a page, and return its size in bytes."""
    visitor.look(theme, width)
    view.open(visitor)
    visitor.page.evaluate("scrollTo(0, 0)")
    high = min(visitor.page.evaluate("document.documentElement.scrollHeight"), MOST[width])
    clip: dict[str, float] = {"x": 0, "y": 0, "width": width, "height": high}
    taken = visitor.page.screenshot(full_page=True, clip=clip, animations="disabled")  # type: ignore[arg-type]
    path = FOLDER / f"{view.name}{'-phone' if width == PHONE else ''}.png"
    with Image.open(io.BytesIO(taken)) as picture:
        small = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        small.save(path, optimize=True)
    return path.stat().st_size


def main() -> None:
    """Take all pictures."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with (
        tempfile.TemporaryDirectory() as folder,
        Office(Path(folder), None, None, before=history) as office,
        sync_playwright() as playwright,
    ):
        office.live_through_a_day()
        path = next(filter(None, map(shutil.which, NAMES)))
        people = People(playwright.chromium.launch(executable_path=path, args=list(FLAGS)), office.url)
        admin = people("admin")
        upload_mailing(admin, (*ROUND, *BAD))
        push_mailing(admin, "autumn-letters", len(ROUND))
        give_orders(office, admin)
        admin.go("/mailings/north/autumn-letters")
        admin.page.get_by_text(f"{len(ROUND)} of {len(ROUND)} have ended").wait_for(timeout=60_000)
        bytes_taken = 0
        for view in sorted(VIEWS, key=lambda view: view.name in LATER):
            if view.name in LATER:
                office.line("south").pause(by="operator: the line is down")
            bytes_taken += shoot(admin, view, "light", DESK) + shoot(admin, view, "dark", PHONE)
        people.close()
    sys.stdout.write(f"{2 * len(VIEWS)} pictures, {bytes_taken / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
