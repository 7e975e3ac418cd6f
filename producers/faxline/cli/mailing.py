"""`send --csv`: push a fax for each row of a file, and show how they ended."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from faxline.cli.app import AWAY, BAD_USAGE, DELIVERED, ENDED_OTHERWISE, UsageError, line_of
from faxline.cli.output import complain, masked, write, write_json
from faxline.cli.overview import Failures, show_group
from faxline.cli.presence import warn_after_push, watching
from faxline.cli.progress import progress_of
from faxline.cli.recipients import Recipients, Row, Rows, read_recipients
from faxline.client.sync import FaxLine
from faxline.contract.errors import FaxesRejected, PushInterrupted, RejectedFax
from faxline.contract.wording import plural
from faxline.reading.group import Group, light_dict
from faxline.reading.job import Job
from faxline.sending.fax import Fax
from faxline.sending.mailing import Mailing
from faxline.sending.reused import find_reused


class MailingLine(FaxLine):
    """A line that looks, before it pushes, whether the ids are those of other faxes."""

    def find_reused(self, faxes: Iterable[Fax], group: str) -> list[RejectedFax]:
        """The faxes that intake would reject because another fax has their id."""
        return self._run(find_reused(self._context, faxes, group))


def mail(
    ctx: typer.Context,
    path: Path,
    common: Mapping[str, Any],
    group: str | None,
    *,
    skip_bad: bool,
    unique: bool,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Push a fax for each row, print the result, and exit: 0 if all were pushed (with `wait`, delivered).

    Args:
        ctx: the command's context.
        path: the CSV file.
        common: the values of all rows, as keyword arguments of `FaxLine.send`. A row's own values come first.
        group: the name of the mailing; None makes it from the file's content.
        skip_bad: skip rows that break a rule, and push the others.
        unique: send to each number once.
        wait: wait for the end of all faxes.
        timeout: seconds to wait.
        as_json: print JSON: one document for each job, and a summary at the end.
    """
    recipients = read_recipients(path, ctx.obj.region, unique=unique)
    if common.get("files") and recipients.rows.name_files:
        raise UsageError("the rows name their files in the column `file`, so leave out all others")
    for note in recipients.notes:
        complain(note)
    name = group or recipients.name
    with line_of(ctx, MailingLine) as line:
        mailing, bad = _push(line, recipients, common, name, skip_bad=skip_bad, quiet=as_json)
        if not wait:
            _report(mailing, name, bad, as_json=as_json)
            warn_after_push(line)
            raise typer.Exit(ENDED_OTHERWISE if bad else DELIVERED)
        failures = Failures()

        def see(job: Job) -> None:
            failures.add(job)
            if as_json:
                write_json(light_dict(job))

        with progress_of("ended", quiet=as_json) as tell, watching(line, name, group=True):
            ended = line.wait(mailing, timeout, progress=tell, each=see)
    _show(replace(ended, id=name, group=name), failures, bad, as_json=as_json)
    raise typer.Exit(DELIVERED if ended.succeeded and not bad else ENDED_OTHERWISE)


def _push(
    line: MailingLine,
    recipients: Recipients,
    common: Mapping[str, Any],
    name: str,
    *,
    skip_bad: bool,
    quiet: bool,
) -> tuple[Mailing, int]:
    """Push the valid rows. Returns the mailing, and the number of invalid rows."""
    problems = dict(recipients.problems)
    if problems and not skip_bad:
        raise _bad(problems, recipients.total)
    faxes = _Faxes(recipients.rows, common, name)
    if reused := faxes.describe_problems(line.find_reused(faxes, name)):
        if not skip_bad:
            raise _reused(reused, name)
        problems |= reused
        rows = replace(recipients.rows, left_out=recipients.rows.left_out | reused.keys())
        faxes = replace(faxes, rows=rows)
    try:
        with progress_of("pushed", quiet=quiet) as tell:
            mailing = line.send_many(faxes, group=name, skip_rejected=skip_bad, progress=tell)
    except FaxesRejected as error:
        raise _bad(faxes.describe_problems(error.rejected), recipients.total) from None
    except PushInterrupted as error:
        complain(
            f"{error}; to do that, run the same command again, with --group {name} if the file is changed"
        )
        raise typer.Exit(AWAY) from None
    problems |= faxes.describe_problems(mailing.rejected)
    _complain(problems)
    if problems and mailing.jobs:
        complain(
            "to push the bad rows, mend them in a file of their own, with another --group or none; or "
            f"mend them here, each row in its place, and repeat with --group {name}: a changed file is "
            "another mailing otherwise, and its good rows would be sent twice"
        )
    return mailing, len(problems)


@dataclass(frozen=True, slots=True)
class _Faxes:
    """The faxes of the valid rows. Each iteration builds them again."""

    rows: Rows
    common: Mapping[str, Any]
    name: str

    def __iter__(self) -> Iterator[Fax]:
        for row in self._good():
            yield _fax(row, self.common, f"{self.name}.{row.place}")

    def _good(self) -> Iterator[Row]:
        return (row for row in self.rows if not row.problem)

    def describe_problems(self, rejected: Sequence[RejectedFax]) -> dict[int, str]:
        """Why some faxes were rejected, by the lines of their rows."""
        errors = {fax.index: str(fax.error) for fax in rejected}
        return {row.line: errors[i] for i, row in enumerate(self._good() if errors else ()) if i in errors}


def _fax(row: Row, common: Mapping[str, Any], fallback: str) -> Fax:
    """Build the fax of a row. The row's values take precedence over the options."""
    own = dict(row.fax)
    if common.get("metadata") or own.get("metadata"):
        own["metadata"] = {**(common.get("metadata") or {}), **(own.get("metadata") or {})}
    fax: Any = {"id": fallback, **{k: v for k, v in common.items() if v is not None}, **own}
    made: Fax = fax
    return made


def _bad(problems: Mapping[int, str], total: int) -> typer.Exit:
    _complain(problems)
    complain(
        f"{len(problems)} of {plural(total, 'row')} break a rule and nothing was pushed; "
        "fix them, or push the others with --skip-bad"
    )
    return typer.Exit(BAD_USAGE)


def _reused(problems: Mapping[int, str], name: str) -> typer.Exit:
    _complain(problems)
    complain(
        f"nothing was pushed: a mailing with another letter or other options went under {name}. Repeat it as "
        "it was, or give this one a --group of its own: then everybody in the file gets it"
    )
    return typer.Exit(BAD_USAGE)


def _complain(problems: Mapping[int, str]) -> None:
    for line, problem in sorted(problems.items()):
        complain(f"line {line}: {masked(problem)}")


def _report(mailing: Mailing, name: str, bad: int, *, as_json: bool) -> None:
    if as_json:
        for job in mailing.jobs:
            write_json(job.to_dict())
        write_json({"group": name, "pushed": len(mailing.jobs), "skipped": bad})
        return
    skipped = f", {plural(bad, 'row')} left out" if bad else ""
    pushed = plural(len(mailing.jobs), "fax is", "faxes are")
    write(f"{pushed} pushed{skipped}; group {name}: faxline wait {name}")


def _show(ended: Group, failures: Failures, bad: int, *, as_json: bool) -> None:
    if not as_json:
        show_group(ended, failures)
        return
    failures.add_rejected(ended)
    content = ended.to_dict()
    del content["jobs"]
    for rejected in content.pop("rejected"):
        write_json(rejected)
    write_json(content | {"failures": failures.by_reason(), "skipped": bad})
