"""A group as it is shown: how many are in which state, the pages, and why some failed."""

from collections import Counter

from faxline.cli.output import write, write_table
from faxline.groups import Group

MOST = 20
"""Failed jobs that are shown one by one; --json has all."""


def failures_of(group: Group) -> dict[str, int]:
    """How many ended otherwise than delivered, by reason, the most frequent first."""
    reasons = Counter(job.reason or str(job.state) for job in group.failed)
    reasons.update(f"rejected: {error.reason}" for error in group.rejected.values())
    return dict(reasons.most_common())


def show_group(group: Group) -> None:
    """Print it."""
    state = "has ended" if group.final else f"{group.ended} of {group.total} have ended"
    write(f"group {group.name} on account {group.account}: {group.total} jobs, {state}")
    counts = {str(state): count for state, count in group.counts.items()}
    counts |= {"rejected": len(group.rejected)} if group.rejected else {}
    counts |= {"forgotten": group.forgotten} if group.forgotten else {}
    write_table(["state", "jobs"], [[state, str(count)] for state, count in counts.items()])
    if group.pages is not None:
        write(f"pages: {group.transferred or 0} of {group.pages} transferred")
    if reasons := failures_of(group):
        write("")
        write_table(["reason", "jobs"], [[reason, str(count)] for reason, count in reasons.items()])
        write("")
        failed = [
            [
                job.id,
                str(job.state),
                job.to or "",
                job.reason or "",
                "" if job.code is None else str(job.code),
            ]
            for job in group.failed
        ]
        failed += [[name, "rejected", "", str(e.reason), ""] for name, e in group.rejected.items()]
        write_table(["id", "state", "to", "reason", "code"], failed[:MOST])
        if len(failed) > MOST:
            write(f"and {len(failed) - MOST} more: --json tells all")
