"""`make screenshots`: a picture of every page, at a desk in the light and on a phone in the dark."""

import io
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import sync_playwright
from sqlalchemy import delete

from faxline_archive.schema import positions
from tests.archives import new_archive
from tests.console.conftest import FLAGS, NAMES
from tests.console.office import Office
from tests.console.steps import BAD, push_mailing, upload_mailing
from tests.console.views import VIEWS, View
from tests.console.visitor import DESK, PHONE, People, Visitor
from tests.stage.archives import BEGIN, StagedArchive, StagedFax

FOLDER = Path(__file__).parents[2] / "docs/console"
MOST = {DESK: 1100, PHONE: 1200}
"""The most pixels of a picture from top to bottom."""
COLOURS = 256
LATER = frozenset({"accounts", "attention"})
"""Pages that are shown with a paused account."""
DEPARTMENTS = ("radiology", "billing", "cardiology", "legal")
ROUND = tuple(f"+1202555{ending}" for ending in ("0017", "0019", "0019", *(f"01{n}" for n in range(30, 51))))
"""The numbers of the mailing that is shown: three of them fail."""
ENDS = (*(["delivered"] * 12), "busy", "no_answer")


def history(url: str) -> None:
    """Faxes of the month before today, for the usage."""
    chance, now = random.Random(7), datetime.now(UTC)
    engine = new_archive(url)
    StagedArchive(engine).add_all(fax(number, at, chance) for number, at in enumerate(moments(now, chance)))
    with engine.begin() as connection:
        connection.execute(delete(positions))  # of the streams that are yet to be read, nothing is read
    engine.dispose()


def fax(number: int, at: datetime, chance: random.Random) -> StagedFax:
    """A fax that ended at some time of the month."""
    reason, pages = chance.choice(ENDS), chance.randint(1, 6)
    arrived = reason == "delivered"
    return StagedFax(
        f"clinic.{3000 + number}",
        "north",
        round(at.timestamp()) - BEGIN // 1000,
        state="delivered" if arrived else "failed",
        reason=reason,
        metadata={"department": chance.choice(DEPARTMENTS), "subject": "Referral"},
        told={"pages": pages, "transferred": pages if arrived else 0, "jobId": 5000 + number},
    )


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
        fewer_colours(picture.convert("RGB")).save(path, optimize=True)
    return path.stat().st_size


def both(visitor: Visitor, view: View) -> int:
    """Take the two pictures of a page, and return their size in bytes."""
    return shoot(visitor, view, "light", DESK) + shoot(visitor, view, "dark", PHONE)


def fewer_colours(picture: Image.Image) -> Image.Image:
    """The picture in its own most frequent colours, so that no ground and no state changes its tint."""
    found: Any = picture.getcolors(picture.width * picture.height)
    counted = sorted(found, reverse=True)
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in counted[:COLOURS] for part in colour])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


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
        sizes = [both(admin, VIEWS[0])]  # the faxes, before those of the mailing are among them
        upload_mailing(admin, (*ROUND, *BAD))
        push_mailing(admin, "autumn-letters", len(ROUND))
        give_orders(office, admin)
        admin.go("/mailings/north/autumn-letters")
        admin.page.get_by_text(f"{len(ROUND)} of {len(ROUND)} have ended").wait_for(timeout=60_000)
        for view in sorted(VIEWS[1:], key=lambda view: view.name in LATER):
            if view.name in LATER:
                office.line("south").pause(by="operator: the line is down")
            sizes.append(both(admin, view))
        people.close()
    sys.stdout.write(f"{2 * len(VIEWS)} pictures, {sum(sizes) / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
