"""The faxes that somebody chose: those that were ticked, or all that a search finds."""

from collections.abc import Sequence
from dataclasses import replace

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from faxline.reading.job import Job
from faxline_console.access.people import Person
from faxline_console.acting.picks import ANOTHER, Pick
from faxline_console.acting.plans import why_no_cancel
from faxline_console.asking.parsing import QueryInvalid
from faxline_console.asking.query import Query
from faxline_console.finding.finder import Finder
from faxline_console.finding.found import Found

MOST = 1000
"""The most faxes of a plan."""
MOST_REST = 10_000
"""The most of a plan to cancel the rest of a mailing: as many as a mailing of the console has."""
PAGE = 200
NEVER = -1
GONE = "there is no such fax, or you may not see it"


class Chosen:
    """Reads what was chosen.

    Args:
        finder: finds the faxes.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    async def to_export(
        self, form: FormData, person: Person, query: Query | None
    ) -> tuple[list[Job], list[str]]:
        """The faxes of an export, in whatever state they are, and why others are missing."""
        if query is not None:
            found = await self._found(person, query)
            return found.jobs, found.notes
        picks = picked(form)
        jobs = await self._finder.several(person, [pick.place for pick in picks])
        same = [jobs[pick.place] for pick in picks if pick.place in jobs and pick.is_same(jobs[pick.place])]
        lost = [
            f"{pick.job} {ANOTHER}"
            for pick in picks
            if pick.place in jobs and not pick.is_same(jobs[pick.place])
        ]
        return same, [*lost, *(f"{pick.job} {GONE}" for pick in picks if pick.place not in jobs)]

    async def failures(self, person: Person, form: FormData) -> list[Pick]:
        """The failed faxes of a group, whose page names them by their ids alone."""
        names = [name.partition("/") for name in str(form.get("failed", "")).split()[:MOST]]
        places = [(account, job) for account, _, job in names]
        found = await self._finder.several(person, places)
        return [_failed(place, found.get(place), str(form.get("group", ""))) for place in places]

    async def rest(self, person: Person, form: FormData) -> tuple[list[Pick], list[str]]:
        """What has not ended of a group, as it stands now, and a note if that is too much for one plan.

        Raises:
            JobNotFound: it is of no account of this person.
        """
        account, _, group = str(form.get("rest", "")).partition("/")
        if not group:
            return [], []
        jobs = [job for job in await self._finder.of_group(person, account, group) if not job.state.final]
        jobs.sort(key=lambda job: (bool(why_no_cancel(job)), len(job.id), job.id))
        more = (
            f"More than {MOST_REST:,} faxes of it are open: cancel those that are here, and then the others."
        )
        return [Pick.of(job) for job in jobs[:MOST_REST]], [more] if len(jobs) > MOST_REST else []

    async def matching(self, person: Person, query: Query) -> tuple[list[Pick], list[str]]:
        """All that match, as they were found.

        Raises:
            HTTPException: 503: Redis or the archive is away, and a plan would leave out what it has.
        """
        found = await self._found(person, query)
        if found.missing:
            raise HTTPException(503, f"{' '.join(found.notes)} Make the plan when both answer.")
        return [Pick.of(job) for job in found.jobs], found.notes

    async def _found(self, person: Person, query: Query) -> Found:
        """The latest that match, as many as a plan may have."""
        try:
            found = await self._finder.find(person, query, None, PAGE)
            jobs, notes = found.jobs, dict.fromkeys(found.notes)
            while found.more and len(jobs) < MOST:
                found = await self._finder.find(person, query, found.last, PAGE)
                jobs += found.jobs
                notes |= dict.fromkeys(found.notes)
        except QueryInvalid as error:
            raise HTTPException(400, str(error)) from None
        if found.more or len(jobs) > MOST:
            notes[f"More than {MOST:,} faxes match: only the latest {MOST:,} of them are here."] = None
        return Found(jobs[:MOST], notes=[*notes], missing=found.missing)

    async def read(
        self, person: Person, picks: Sequence[Pick], query: Query | None
    ) -> tuple[list[Job], list[tuple[str, str]]]:
        """The faxes that are what was seen, and why the others are not."""
        found = await self._finder.several(person, [pick.place for pick in picks])
        jobs: list[Job] = []
        left: list[tuple[str, str]] = []
        for pick in picks:
            job = found.get(pick.place)
            why = pick.why_not(job) if job else GONE
            if job and query and not query.any_time.matches(job):
                why = why or "no longer matches the search"
            if job and not why:
                jobs.append(job)
            else:
                left.append((pick.job, why))
        return jobs, left


def _failed(place: tuple[str, str], job: Job | None, group: str) -> Pick:
    """A fax of a group, as one that failed; what is of no such group is another fax."""
    account, name = place
    if job is None or job.group != group:
        return Pick(account, NEVER, "failed", 0, name)
    return replace(Pick.of(job), state="failed")


def picked(form: FormData) -> list[Pick]:
    """The faxes that a form names, each once.

    Raises:
        HTTPException: 400: it does not say what of them was seen.
    """
    names = [name for name in form.getlist("pick") if isinstance(name, str)]
    names += str(form.get("picks", "")).split()
    most = MOST_REST if form.get("verb") == "cancel" else MOST
    picks = [Pick.read(name) for name in names[:most]]
    if None in picks:
        raise HTTPException(400, "The form is not whole. Choose the faxes again.")
    return list(dict.fromkeys(filter(None, picks)))
