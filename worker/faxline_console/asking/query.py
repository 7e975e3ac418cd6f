"""What a search asks for: the words of its line, and whether a fax is looked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline_archive.members import member_text
from faxline_console.access.people import Person
from faxline_console.asking.number_words import digits, goes_to

WORDS = ("to", "id", "group", "jobid", "state", "reason", "account", "since", "until")
"""What may stand before a colon; also `meta.NAME`."""
STATES = ("queued", "sending", "in_doubt", "delivered", "partial", "failed", "unconfirmed", "canceled")
"""What `state:` understands. `sending` is submitting and submitted, `partial` delivered without all pages."""
_ARRIVED = ("pages", "transferred")
_FIELDS = {
    "to": ("number",),
    "group": ("group", *_ARRIVED),
    "id": _ARRIVED,
    "jobid": ("job_id",),
    "reason": ("reason",),
}
"""The fields of a record that a word takes. By an id or a group also faxes are found that arrived in part."""


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
