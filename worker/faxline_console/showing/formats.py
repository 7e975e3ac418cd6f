"""Numbers, times and texts as every page has them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from faxline_archive.members import member_text


class Times:
    """Shows times in one zone.

    Example:
        >>> Times("America/New_York").clock(datetime(2026, 11, 24, 18, 58, 40, tzinfo=UTC))
        '13:58:40'

    Args:
        zone: an IANA name; one that is unknown counts as UTC.
        now: the present, for what is said of today.
    """

    def __init__(self, zone: str, now: datetime | None = None) -> None:
        try:
            self._zone: ZoneInfo = ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            self._zone = ZoneInfo("UTC")
        self._now = (now or datetime.now(UTC)).astimezone(self._zone)

    @property
    def tzinfo(self) -> ZoneInfo:
        """The zone."""
        return self._zone

    @property
    def zone(self) -> str:
        """The zone's short name, such as EST."""
        return self._now.tzname() or ""

    @property
    def offset(self) -> str:
        """The zone and its distance from UTC, such as EST (UTC-5)."""
        return self.offset_at(self._now)

    def offset_at(self, moment: datetime) -> str:
        """The same as it was then."""
        here = moment.astimezone(self._zone)
        minutes = round((here.utcoffset() or timedelta()).total_seconds() / 60)
        hours, rest = divmod(abs(minutes), 60)
        sign = "−" if minutes < 0 else "+"  # noqa: RUF001 - a minus, not a hyphen
        return f"{here.tzname()} (UTC{sign}{hours}{f':{rest:02}' if rest else ''})"

    @property
    def place(self) -> str:
        """Whose time it is, for days and times of any season: `New York time`."""
        name = self._zone.key.rpartition("/")[2].replace("_", " ")
        return name if name == "UTC" else f"{name} time"

    def clock(self, moment: datetime | None) -> str:
        """`13:58:40`, on another day with the date; a dash for None.

        The zone follows where it is not that of now, which the head of a table has: `1 Jul 13:18:55 EDT`.
        """
        text = self.moment(moment)
        return text.removesuffix(f" {self.zone}")

    def moment(self, moment: datetime | None) -> str:
        """As `clock`, always with the zone of that moment behind it."""
        if moment is None:
            return "–"  # noqa: RUF001 - a dash, as the tables have it
        here = moment.astimezone(self._zone)
        day = (
            ""
            if here.date() == self._now.date()
            else f"{here.day} {here:%b} " + ("" if here.year == self._now.year else f"{here.year} ")
        )
        return f"{day}{here:%H:%M:%S} {here.tzname()}"

    def day(self, moment: datetime) -> str:
        """`Tuesday 24 November 2026`."""
        here = moment.astimezone(self._zone)
        return f"{here:%A} {here.day} {here:%B %Y}"

    @staticmethod
    def iso(moment: datetime) -> str:
        """For the attribute of a `time` element."""
        return moment.astimezone(UTC).isoformat(timespec="seconds")


def number(value: int | None) -> str:
    """`3,591`; a dash for None."""
    return "–" if value is None else f"{value:,}"  # noqa: RUF001 - a dash, as the tables have it


def plural(count: int, one: str, many: str = "") -> str:
    """`1 fax`, `2 faxes`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def mask(last: str | None) -> str:
    """A number of which the last four digits are known, as `+… •••• 0147`."""
    digits = "".join(letter for letter in last or "" if letter.isdigit())[-4:]
    return f"••• ••• {digits}" if digits else "–"  # noqa: RUF001 - a dash, as the tables have it


def member(value: Any) -> str:
    """A member of the metadata as the search line has it; what cannot be searched, as JSON."""
    text = member_text(value)
    return json.dumps(value, ensure_ascii=False) if text is None else text


def duration(seconds: float) -> str:
    """`18 s`, `18 min`, `3 h 12 min`, `2 days`."""
    whole = max(0, round(seconds))
    if whole < 100:  # noqa: PLR2004 - a minute and a half is still told in seconds
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004
        return f"{hours} h" + (f" {rest} min" if rest else "")
    return f"{round(hours / 24)} days"
