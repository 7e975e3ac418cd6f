"""The search line: `to:0147 state:failed,unconfirmed since:2026-11-17 meta.department:radiology`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline_archive.members import member_text
from faxline_console.access.people import Person
from faxline_console.asking.number_words import digits, goes_to, is_day, is_number, joined, whole

WORDS = ("to", "id", "group", "jobid", "state", "reason", "account", "since", "until")
"""What may stand before a colon; also `meta.NAME`."""
STATES = ("queued", "sending", "in_doubt", "delivered", "partial", "failed", "unconfirmed", "canceled")
"""What `state:` understands. `sending` is submitting and submitted, `partial` delivered without all pages."""
FEWEST = 4
"""The fewest digits of the end of a number: fewer find too much, and are shown by nobody."""
LONGEST = 1000
"""The most characters of a line."""
_ARRIVED = ("pages", "transferred")
_FIELDS = {
    "to": ("number",),
    "group": ("group", *_ARRIVED),
    "id": _ARRIVED,
    "jobid": ("job_id",),
    "reason": ("reason",),
}
"""The fields of a record that a word takes. By an id or a group also faxes are found that arrived in part."""
_PART = re.compile(r'(-?)(?:([A-Za-z]+(?:\.[^\s:"]+)?):)?("[^"]*"|\S+)')


class QueryInvalid(ValueError):
    """The line makes no sense. The message says which part, and what would."""


@dataclass(frozen=True, slots=True)
class Term:
    """What one member must be (one of these), or must not be."""

    values: tuple[str, ...]
    without: bool = False

    def matches(self, value: str) -> bool:
        """Whether a value fits."""
        return (value in self.values) is not self.without


@dataclass(frozen=True, slots=True)
class Query:
    """A search.

    Attributes:
        text: the line.
        terms: for each word what the member must be.
        metadata: the same for members of the metadata.
        since, until: when the fax was pushed; the end is not included.
    """

    text: str = ""
    terms: Mapping[str, Term] = field(default_factory=dict)
    metadata: Mapping[str, Term] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None

    @property
    def any_state(self) -> "Query":
        """The same for faxes in any state."""
        return replace(self, terms={word: term for word, term in self.terms.items() if word != "state"})

    @property
    def any_time(self) -> "Query":
        """The same for faxes that were pushed at any time."""
        return replace(self, since=None, until=None)

    @property
    def is_of_accounts(self) -> bool:
        """Whether it asks for no more than accounts and states."""
        return self.terms.keys() <= {"account", "state"} and not (self.metadata or self.since or self.until)

    def fields(self, person: Person) -> list[str]:
        """The fields of a record, besides the state, that decide whether a person finds a job by this.

        Example:
            >>> parse_query("reason:busy", UTC).fields(person)
            ['created_at', 'reason']
        """
        asked = [field for word, fields in _FIELDS.items() if word in self.terms for field in fields]
        whose = ["metadata"] if self.metadata or person.department is not None else []
        return ["created_at", *asked, *whose]

    def matches(self, job: Job, number: str | None = None) -> bool:
        """Whether a job is looked for.

        Args:
            job: shows the last four digits of its number.
            number: all of it. Without it a job is left out only if these four tell that it does not match.
        """
        own = {
            "id": job.id,
            "group": job.group or "",
            "jobid": str(job.job_id or ""),
            "state": state_word(job),
            "reason": job.reason or "",
            "account": job.account,
        }
        members = {key: member_text(job.metadata.get(key)) or "" for key in self.metadata}
        pushed = job.created_at
        return (
            all(term.matches(own[word]) for word, term in self.terms.items() if word != "to")
            and ("to" not in self.terms or self._to(job.to or "", number))
            and all(term.matches(members[key]) for key, term in self.metadata.items())
            and (self.since is None or (pushed is not None and pushed >= self.since))
            and (self.until is None or (pushed is not None and pushed < self.until))
        )

    def _to(self, shown: str, number: str | None) -> bool:
        term, last = self.terms["to"], digits(shown)[-4:]
        if number is not None:
            return any(goes_to(number, value) for value in term.values) is not term.without
        return term.without or any(digits(value)[-4:] == last for value in term.values)


_SHOWN = {
    JobState.INTAKE: "queued",
    JobState.SUBMITTING: "sending",
    JobState.SUBMITTED: "sending",
}


def state_word(job: Job) -> str:
    """The word of STATES for a job's state."""
    return "partial" if job.partial else word_of(job.state)


def word_of(state: JobState) -> str:
    """The word of STATES for a state."""
    return _SHOWN.get(state, str(state))


def parse_query(line: str, zone: tzinfo, now: datetime | None = None) -> Query:
    """Read a search line.

    A comma means "or", a minus before a word "not". A word without a colon is an id, or
    with a plus a number. Days are the viewer's.

    Example:
        >>> parse_query("state:failed since:today", UTC).terms["state"].values
        ('failed',)

    Args:
        line: what was typed.
        zone: whose days are meant.
        now: the present.

    Raises:
        QueryInvalid: a word, a state or a date is not known, or the line is too long.
    """
    if len(line) > LONGEST:
        raise QueryInvalid(f"The line is longer than {LONGEST} characters.")
    terms: dict[str, Term] = {}
    metadata: dict[str, Term] = {}
    bounds: dict[str, datetime] = {}
    today = (now or datetime.now(UTC)).astimezone(zone).date()
    for minus, key, value in joined(_PART.findall(line)):
        text = value.strip('"')
        prefix, dot, member = key.partition(".")
        word = prefix.lower() + dot + member or ("to" if is_number(text) else "id")
        values = tuple(filter(None, (part.strip() for part in text.split(","))))
        if not values or (not key and text.endswith(":")):
            raise QueryInvalid(f"{word if not values else text.rstrip(':')}: has no value.")
        if not key and is_day(text):
            raise QueryInvalid(
                f"“{text}” is a day: for that day write since:{text} until:{text}. For an id write id:{text}."
            )
        if word in {*terms, *bounds, *(f"meta.{name}" for name in metadata)}:
            raise QueryInvalid(_twice(word, text if not key else "", terms))
        if prefix.lower() == "meta" and member:
            metadata[member] = Term(values, bool(minus))
        elif word in {"since", "until"}:
            if minus:
                raise QueryInvalid(f"{word}: takes no minus.")
            bounds[word] = _moment(word, text, zone, today)
        elif word in WORDS:
            terms[word] = Term(_checked(word, values), bool(minus))
        else:
            raise QueryInvalid(f"{key}: is not known. Known are {', '.join(WORDS)} and meta.NAME.")
    return Query(line.strip(), terms, metadata, bounds.get("since"), bounds.get("until"))


def with_state(line: str, state: str) -> str:
    """The line with another state; empty: any."""
    rest = [part.group() for part in _PART.finditer(line) if (part.group(2) or "").lower() != "state"]
    return " ".join([*rest, *([f"state:{state}"] if state else [])])


def without_days(line: str) -> str:
    """The line for any time."""
    parts = _PART.finditer(line)
    return " ".join(part.group() for part in parts if (part.group(2) or "").lower() not in {"since", "until"})


def line_of(form: Mapping[str, str]) -> str:
    """The line that the form's fields say.

    Example:
        >>> line_of({"to": "+1 202 555 0147", "state": "failed"})
        'to:"+1 202 555 0147" state:failed'
    """
    parts = [(word, form.get(word, "").strip().replace('"', "")) for word in WORDS]
    key, _, value = form.get("meta", "").replace('"', "").partition("=")
    if key.strip() and value.strip():
        parts.append((f"meta.{key.strip()}", value.strip()))
    return " ".join(
        f'{word}:"{value}"' if " " in value else f"{word}:{value}" for word, value in parts if value
    )


def _twice(word: str, bare: str, terms: Mapping[str, Term]) -> str:
    if word != "id" or not bare:
        return f"{word}: is there twice. Join what it may be by a comma."
    first = ",".join(terms["id"].values)
    return (
        f"“{first}” and “{bare}” were both read as ids: that is what a word alone is. For either id write "
        f"id:{first},{bare}. Before other words goes what they are, such as state:failed or "
        'meta.subject:"two words".'
    )


def _checked(word: str, values: tuple[str, ...]) -> tuple[str, ...]:
    if word == "state":
        for value in values:
            if value not in STATES:
                raise QueryInvalid(f"state:{value} is not known. Known are {', '.join(STATES)}.")
    if word == "to":
        for value in values:
            if len(digits(value)) < FEWEST:
                raise QueryInvalid(f"to:{value} has fewer than four digits. Give a number, or its end.")
            if "+" in value and whole(value) is None:
                raise QueryInvalid(f"to:{value} is no whole number. Give the end of a number without a plus.")
    return values


def _moment(word: str, text: str, zone: tzinfo, today: date) -> datetime:
    """The beginning of a day, or for `until` its end."""
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        day = named[text] if text in named else date.fromisoformat(text)
        return datetime.combine(day + timedelta(days=word == "until"), time(), zone)
    except (ValueError, OverflowError):
        raise QueryInvalid(
            f"{word}:{text} is no day. Write it as 2026-11-17, or today or yesterday."
        ) from None
