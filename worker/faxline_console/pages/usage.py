"""Usage: faxes and pages by account, day, month or a member of the metadata, out of the archive."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from faxline.contract.errors import ArchiveUnavailable
from faxline.reading.archived import Usage, Wanted
from faxline_archive.usage import METADATA, usage
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Person, Right
from faxline_console.archive.ended import Archive, Ended, told
from faxline_console.asking.number_words import names_number
from faxline_console.finding.removed import Removed
from faxline_console.live.lines import Lines
from faxline_console.rendering import Renderer
from faxline_console.showing.downloads import csv_file

BY = ("account", "day", "month", "reason")
MOST_ROWS = 500
"""The most rows that a page shows; the CSV has all."""
HIGH, WIDE = 125.0, 1000.0
"""The chart's own measures."""
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_KEY = re.compile(r"[^\s:\"=]{1,64}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is counted.

    Attributes:
        by: account, day, month, reason or `metadata.KEY`.
        month: the month, as 2026-11; with `by` month: the last of twelve.
        first, last: its days; last is not included.
        account: one account; empty: all of the person.
        note: what of the address was not used; empty if all was.
    """

    by: str
    month: str
    first: date
    last: date
    account: str
    note: str = ""

    @classmethod
    def read(cls, request: Request, today: date, accounts: list[str]) -> "Asked":
        """Of an address; what makes no sense counts as not given."""
        asked = request.query_params
        by, month, key = asked.get("by", "day"), asked.get("month", ""), asked.get("key", "").strip()
        note = ""
        if by != "metadata" and key:
            note = f"The key “{key[:64]}” counts only with By: metadata. Choose that to count by it."
        elif by == "metadata" and not _KEY.fullmatch(key):
            note = "Metadata needs a key, such as department. Until then faxes are counted by day."
        if by == "metadata" and _KEY.fullmatch(key):
            by = f"{METADATA}{key}"
        elif by not in BY:
            by = "day"
        if not _MONTH.fullmatch(month) or month < "1970-01":
            month = f"{today:%Y-%m}"
        first = date.fromisoformat(f"{month}-01")
        last = (first + timedelta(days=31)).replace(day=1) if month < "9999-12" else date.max
        if by == "month":
            first = first.replace(year=first.year - 1) + timedelta(days=31)
            first = first.replace(day=1)
        account = asked.get("account", "")
        return cls(by, month, first, last, account if account in accounts else "", note)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the chart, in the chart's own measures."""

    x: float
    width: float
    delivered: float
    failed: float


class UsagePages:
    """The page, and its table as CSV.

    Args:
        lines: to the accounts.
        renderer: of pages.
        archive: finds the archive.
        removed: knows the accounts that were removed.
    """

    def __init__(self, lines: Lines, renderer: Renderer, archive: Archive, removed: Removed) -> None:
        self._lines = lines
        self._removed = removed
        self._render = renderer
        self._archive = archive

    def pages(self) -> list[Page]:
        """The addresses."""
        return [
            Page("/usage", Right.USAGE, self.show),
            Page("/usage.csv", Right.USAGE, self.export),
        ]

    async def show(self, request: Request) -> Response:
        """The page."""
        names, wrong, rows = await self._accounts(request), "", list[Usage]()
        asked = self._asked(request, names)
        try:
            rows = await self._rows(request, asked, names)
        except ArchiveUnavailable as error:
            wrong = str(error)
        drawn = asked.by in {"day", "month"}
        words = {"by": "metadata" if asked.by.startswith(METADATA) else asked.by}
        given = dict(request.query_params)
        first = date.fromisoformat(f"{asked.month}-01")
        before, today = first - timedelta(days=1), datetime.now(self._render.times(request).tzinfo).date()
        after = first + timedelta(days=32) if first < today.replace(day=1) else None
        values: dict[str, Any] = {
            "asked": asked,
            "by": words["by"],
            "chosen": "metadata" if given.get("by") == "metadata" else words["by"],  # it may lack its key
            "before": "/usage?" + urlencode(given | {"month": f"{before:%Y-%m}"}),
            "after": "/usage?" + urlencode(given | {"month": f"{after:%Y-%m}"}) if after else "",
            "key": request.query_params.get("key", "").strip(),
            "word": asked.by.removeprefix(METADATA).capitalize(),
            "rows": [(row, self._faxes(row, asked)) for row in rows[:MOST_ROWS]],
            "left": max(0, len(rows) - MOST_ROWS),
            "total": _total(rows),
            "bars": bars(rows, slots_of(asked)) if drawn else [],
            "labels": labels_of(slots_of(asked)) if drawn else [],
            "top": max((row.faxes for row in rows), default=0),
            "busiest": max(rows, key=lambda row: row.faxes, default=None),
            "accounts": names,
            "csv": "/usage.csv?" + urlencode(given),
            "wrong": wrong,
        }
        return self._render.page(request, "usage.html", values, status=503 if wrong else 200)

    async def export(self, request: Request) -> Response:
        """The table as CSV."""
        names = await self._accounts(request)
        asked = self._asked(request, names)
        rows = await self._rows(request, asked, names)
        columns = [asked.by.removeprefix(METADATA), "faxes", "delivered", "failed", "pages"]
        cells = [(row.key, row.faxes, row.delivered, row.failed, row.pages) for row in rows]
        return csv_file(columns, cells, f"usage-{asked.month}.csv")

    async def _accounts(self, request: Request) -> list[str]:
        """The names of a person's accounts, also of those that were removed."""
        person = person_of(request)
        return sorted([*self._lines.accounts_of(person), *await self._removed.names(person)])

    def _asked(self, request: Request, names: list[str]) -> Asked:
        today = datetime.now(self._render.times(request).tzinfo).date()
        return Asked.read(request, today, names)

    async def _rows(self, request: Request, asked: Asked, accounts: list[str]) -> list[Usage]:
        if (ended := self._archive()) is None:
            raise ArchiveUnavailable("there is no archive: faxes are counted there")
        person, zone = person_of(request), self._render.times(request).tzinfo
        names = [asked.account] if asked.account else accounts
        return await run_in_threadpool(_count, ended, asked, person, names, zone)

    @staticmethod
    def _faxes(row: Usage, asked: Asked) -> str:
        """The faxes of a row, as an address."""
        since, until = asked.first, asked.last - timedelta(days=1)
        words = [f"account:{asked.account}"] if asked.account else []
        if asked.by == "day":
            since = until = date.fromisoformat(row.key)
        elif asked.by == "month":
            since = date.fromisoformat(f"{row.key}-01")
            until = (since + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        elif asked.by == "account":
            words = [f"account:{row.key}"]
        elif asked.by == "reason":
            words += ["state:failed", *([f"reason:{row.key}"] if row.key else [])]
        elif not row.key or '"' in row.key or "," in row.key or names_number(row.key):
            return ""
        else:
            words.append(f'meta.{asked.by.removeprefix(METADATA)}:"{row.key}"')
        return "/faxes?" + urlencode({"q": " ".join([*words, f"since:{since}", f"until:{until}"])})


def _count(ended: Ended, asked: Asked, person: Person, names: list[str], zone: tzinfo) -> list[Usage]:
    """Count the faxes of a person's accounts, and of the person's department alone."""
    wanted = Wanted(
        since=datetime.combine(asked.first, time(), zone),
        until=datetime.combine(asked.last, time(), zone),
        metadata=dict([person.department]) if person.department else {},
    )
    with told():
        return usage(ended.engine, asked.by, wanted, ended.privacy, accounts=names, zone=zone)


def _total(rows: list[Usage], key: str = "") -> Usage:
    return Usage(
        key,
        sum(row.faxes for row in rows),
        sum(row.delivered for row in rows),
        sum(row.failed for row in rows),
        sum(row.pages for row in rows),
    )


def bars(rows: list[Usage], slots: list[str]) -> list[Bar]:
    """The bars of the chart: delivered, and failed on top. A slot without faxes stays empty."""
    top, places = max((row.faxes for row in rows), default=0), {key: n for n, key in enumerate(slots)}
    if not top:
        return []
    step = WIDE / len(slots)
    return [
        Bar(
            round(step * (places[row.key] + 0.15), 1),
            round(step * 0.7, 1),
            round(HIGH * row.delivered / top, 1),
            round(HIGH * row.failed / top, 1),
        )
        for row in rows
        if row.key in places
    ]


def slots_of(asked: Asked) -> list[str]:
    """The days or months of a chart."""
    days = [asked.first + timedelta(days=n) for n in range((asked.last - asked.first).days)]
    return list(dict.fromkeys(str(day) if asked.by == "day" else f"{day:%Y-%m}" for day in days))


def labels_of(slots: list[str]) -> list[str]:
    """What stands below the chart: each month, or each seventh day."""
    if len(slots[0]) == len("2026-11"):
        return slots
    return [str(int(slot[-2:])) if n % 7 == 0 else "" for n, slot in enumerate(slots)]
