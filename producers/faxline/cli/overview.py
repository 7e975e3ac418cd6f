"""Show a group: how many faxes are in each state, the pages, and why some failed."""

from collections import Counter

from faxline.cli.explaining import pages_of
from faxline.cli.output import json_text, write, write_piece, write_table
from faxline.contract.wording import plural
from faxline.reading.group import Group, light_dict
from faxline.reading.job import Job

MOST = 20
"""The most failed jobs to show one by one; --json has all."""


class Failures:
    """The jobs of a group that were not delivered completely."""

    def __init__(self) -> None:
        self.total = 0
        self.reasons: Counter[str] = Counter()
        self.first: list[list[str]] = []

    def add(self, job: Job) -> None:
        """Add a job, if it is one of these."""
        if not job.state.final or job.succeeded:
            return
        reason = pages_of(job) if job.partial else job.reason or ""
        self.reasons[job.state_text if job.partial else reason or str(job.state)] += 1
        code = "" if job.code is None or job.partial else str(job.code)
        self._show([job.id, job.state_text, job.to or "", reason, code])

    def add_rejected(self, group: Group) -> None:
        """Add the rejected faxes."""
        for name, error in group.rejected.items():
            self.reasons[f"rejected: {error.reason}"] += 1
            self._show([name, "rejected", "", str(error.reason), ""])

    def by_reason(self) -> dict[str, int]:
        """The number of jobs by reason, the most frequent first."""
        return dict(self.reasons.most_common())

    def _show(self, row: list[str]) -> None:
        self.total += 1
        if len(self.first) < MOST:
            self.first.append(row)


class GroupJson:
    """The one JSON document of a group, written as its jobs are read."""

    def __init__(self) -> None:
        self._begun = False

    def add(self, job: Job) -> None:
        """Write one more job."""
        write_piece((", " if self._begun else '{"jobs": [') + json_text(light_dict(job)))
        self._begun = True

    def end(self, group: Group) -> None:
        """Write what describes the whole group."""
        content = group.to_dict()
        del content["jobs"]
        write_piece(("" if self._begun else '{"jobs": [') + "], " + json_text(content)[1:] + "\n")


def show_group(group: Group, failures: Failures) -> None:
    """Print a group whose jobs were already added to `failures`."""
    failures.add_rejected(group)
    state = "has ended" if group.final else f"{group.ended} of {group.total} have ended"
    total = (
        plural(group.total, "fax pushed", "faxes pushed")
        if group.pushed == group.total
        else plural(group.total, "job")
    )
    write(f"group {group.name} on account {group.account}: {total}, {state}")
    partly = group.partly_delivered
    counts = {("not taken yet" if state == "intake" else str(state)): n for state, n in group.counts.items()}
    if partly:
        counts["delivered"] -= partly
        counts["partly delivered"] = partly
    counts |= {"rejected": len(group.rejected), "forgotten": group.forgotten}
    write_table(["state", "jobs"], [[state, str(count)] for state, count in counts.items() if count])
    if group.pages is not None:
        write(f"pages: {group.transferred or 0} of {group.pages} transferred")
    if failures.total:
        write("")
        write_table(["reason", "jobs"], [[why, str(count)] for why, count in failures.by_reason().items()])
        write("")
        write_table(["id", "state", "to", "reason", "code"], failures.first)
        if failures.total > MOST:
            write(f"and {failures.total - MOST} more: --json tells all")
