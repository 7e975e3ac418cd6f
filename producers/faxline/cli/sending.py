"""`send`: check faxes and push them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from faxline.cli.app import (
    DELIVERED,
    ENDED_OTHERWISE,
    WAIT,
    Json,
    Timeout,
    UsageError,
    app,
    examples,
    line_of,
)
from faxline.cli.explaining import ending
from faxline.cli.inputs import file_of, number_of
from faxline.cli.mailing import MailingLine, mail
from faxline.cli.output import complain, write, write_json
from faxline.cli.presence import warn_after_push, watching
from faxline.client.sync import FaxLine
from faxline.contract.choices import InDoubtPolicy, Priority
from faxline.contract.errors import FaxlineError, QueueUnavailable, RejectedFax
from faxline.reading.group import Group
from faxline.reading.job import Job
from faxline.sending.fax import FaxParameters
from faxline.sending.files import File, Selection
from faxline.sending.mailing import job_ids_of

PARAMETERS = frozenset(FaxParameters.__annotations__)
"""The parameters that --param takes."""

Id = Annotated[
    str | None,
    typer.Option("--id", help="The idempotency key: a repeat is ignored. [default: a UUID]"),
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait for the end. Exit code 1 if not all pages are delivered.")
]
Metadata = Annotated[str | None, typer.Option(metavar="JSON", help="A JSON object, repeated in every event.")]
Level = Annotated[Priority, typer.Option(help="Urgent jobs go first, bulk jobs last.")]


@app.command(
    epilog=examples(
        "faxline send --to +12025550123 letter.pdf",
        "faxline send --to +12025550123 --to +12025550124 a.pdf https://example.com/b.pdf",
        "faxline send --to +12025550123 letter.pdf --id invoice-77 --priority urgent --wait",
        """faxline send --to +12025550123 letter.pdf --metadata '{"customer": 7}' --json""",
        "faxline send --to +12025550123 letter.pdf --pages 1-5,7 --send-at 2030-01-31T12:00:00Z",
        "faxline send --to '(202) 555-0123' --region US invoice.pdf=https://example.com/9f86d081",
        "faxline send --csv recipients.csv --file letter.pdf --group june --wait",
        "",
        "A CSV file has a header line with a column `to` and, as needed, id, priority, send_at,",
        "expires_at, subject, to_name, from_name, message, file and metadata.NAME. Its ids are",
        "GROUP.ROW, so the same command again pushes nothing twice, until their retention (30 days) is",
        "over. Another letter to the same file needs a --group of its own, and is refused without. If the",
        "file is changed, repeat with the --group that was printed.",
        "",
        "A number is understood as people write it: +1 (202) 555-0123, 0049 30 901820, or with",
        "--region DE 030 901820. In a spreadsheet, format the column of numbers as text.",
    )
)
def send(
    ctx: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Paths, or URLs that iFax can reach; NAME=URL sets the file name."
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBER",
            help="With a country code, or with --region. Several numbers make a job each: ID.1 and so on.",
        ),
    ] = None,
    more_files: Annotated[
        list[str] | None, typer.Option("--file", metavar="FILE", help="A further file; useful with --csv.")
    ] = None,
    recipients: Annotated[
        Path | None, typer.Option("--csv", metavar="CSV", help="One fax for each row of this file.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="With --csv: skip rows that break a rule, and push the others.")
    ] = False,
    unique: Annotated[
        bool,
        typer.Option("--unique", help="Send to each number once; with --csv, for its first row."),
    ] = False,
    job: Id = None,
    group: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The group of the job. [default with --csv: made of its content]"),
    ] = None,
    priority: Level = Priority.NORMAL,
    expires_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="ISO 8601 with an offset. A fax not submitted by then fails."),
    ] = None,
    in_doubt: Annotated[
        InDoubtPolicy | None, typer.Option(help="What to do if nobody knows whether iFax took the fax.")
    ] = None,
    attempts: Annotated[int | None, typer.Option(metavar="N", help="The most deliveries to try.")] = None,
    metadata: Metadata = None,
    subject: Annotated[str | None, typer.Option(help="The subject on the cover page.")] = None,
    message: Annotated[str | None, typer.Option(help="The text on the cover page.")] = None,
    from_name: Annotated[str | None, typer.Option(help="The sender's name.")] = None,
    to_name: Annotated[str | None, typer.Option(help="The recipient's name.")] = None,
    quality: Annotated[str | None, typer.Option(help="Low, Standard or HD.")] = None,
    caller_id: Annotated[str | None, typer.Option(help="The sender's number on the fax.")] = None,
    template_id: Annotated[str | None, typer.Option(metavar="ID", help="A template at iFax.")] = None,
    smart_document_id: Annotated[
        str | None, typer.Option(metavar="ID", help="A smart document at iFax.")
    ] = None,
    send_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="ISO 8601 with an offset. iFax sends the fax then.")
    ] = None,
    pages: Annotated[
        list[str] | None,
        typer.Option(metavar="[FILE=]PAGES", help="Only these pages of a file, such as 1-5,7 or a.pdf=1-5."),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter of fax-send, by iFax's name.")
    ] = None,
    wait: Wait = False,
    timeout: Timeout = WAIT,
    as_json: Json = False,
) -> None:
    """Check a fax and push it, or one for each row of a CSV file.

    Prints the id, and with --wait how it ended. Exit code 1 if that is otherwise than delivered with all of
    its pages.
    """
    named = {
        "subject": subject,
        "message": message,
        "from_name": from_name,
        "to_name": to_name,
        "faxQuality": quality,
        "callerId": caller_id,
        "templateId": template_id,
        "smartDocumentId": smart_document_id,
        "send_at": send_at,
    }
    common: dict[str, Any] = {
        "files": selected([*(files or ()), *(more_files or ())], pages or ()),
        "priority": priority,
        "expires_at": expires_at,
        "in_doubt": in_doubt,
        "attempts": attempts,
        "metadata": object_of(metadata),
        **parameters_of(named, param or ()),
    }
    if recipients is not None:
        if to or job:
            raise UsageError("with --csv the numbers and ids are in the file: leave out --to and --id")
        mail(
            ctx,
            recipients,
            common,
            group,
            skip_bad=skip_bad,
            unique=unique,
            wait=wait,
            timeout=timeout,
            as_json=as_json,
        )
        return
    if not to:
        raise UsageError("name the recipient: --to NUMBER, or --csv FILE")
    if not common["files"]:
        raise UsageError("Missing argument 'FILE...': say what to send")
    numbers = [number_of(one, ctx.obj.region) for one in to]
    if unique:
        numbers = list(dict.fromkeys(numbers))
    elif len(set(numbers)) < len(numbers):
        complain("a number is given twice and gets a fax each time; --unique sends to a number once")
    name = job or str(uuid4())
    with line_of(ctx, MailingLine) as line, naming(name):
        try:
            pushed = line.send(to=numbers if len(numbers) > 1 else numbers[0], id=name, group=group, **common)
        except OSError as error:
            raise UsageError(f"cannot read {error.filename}: {error.strerror}") from None
        if job and len(numbers) == 1:
            _refuse_other(line, {"to": numbers[0], "id": name, "group": group, **common})
        finish(line, pushed, wait=wait, timeout=timeout, as_json=as_json)


def _refuse_other(line: MailingLine, fax: Any) -> None:
    """Raise what intake will say if another fax has the id. Other errors are ignored: the push succeeded."""
    found: list[RejectedFax] = []
    with suppress(FaxlineError):
        found = line.find_reused([fax], "")
    for other in found:
        raise other.error


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Tell the id whenever nobody knows how far it came: the same command without it would send it twice."""
    try:
        yield
    except QueueUnavailable as error:
        told = str(error).replace(f"with the id {name}", f"with --id {name}")
        again = "" if f"--id {name}" in told else f"; again with --id {name}"
        raise QueueUnavailable(f"{told}{again}", name) from None
    except KeyboardInterrupt:
        complain(f"interrupted: if you repeat it, add --id {name}, so that nothing goes twice")
        raise


def show_ends(jobs: list[Job], *, as_json: bool) -> None:
    """Print how jobs ended, and exit with 0 if all pages of all jobs were delivered, else with 1."""
    for job in jobs:
        if as_json:
            write_json(job.to_dict())
        else:
            write(f"{job.id}: {ending(job)}")
    raise typer.Exit(DELIVERED if all(job.succeeded for job in jobs) else ENDED_OTHERWISE)


def finish(line: FaxLine, pushed: Job, *, wait: bool, timeout: float, as_json: bool) -> None:
    """Print the ids, and wait for the ends with --wait."""
    names = job_ids_of(pushed)
    for name in names:
        if not as_json:
            write(name)
        elif not wait:
            write_json(replace(pushed, id=name, size=None).to_dict())
    if wait:
        with watching(line, pushed.id, group=len(names) > 1):
            ended = line.wait(pushed, timeout)
        show_ends(
            [line.job(name) for name in names] if isinstance(ended, Group) else [ended], as_json=as_json
        )
    warn_after_push(line)


def object_of(text: str | None) -> dict[str, Any] | None:
    """Parse the JSON object of an option.

    Raises:
        UsageError: the text is not a JSON object.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UsageError("""--metadata is a JSON object, such as '{"customer": 7}'""")
    return value


def selected(files: Sequence[str], pages: Sequence[str]) -> list[File]:
    """Combine the files with the pages that --pages selects.

    Raises:
        UsageError: it is not clear which file the pages belong to.
    """
    chosen: dict[str, list[str]] = {}
    for text in pages:
        file, equals, selection = text.rpartition("=")
        if not equals and len(files) == 1:
            file = files[0]
        if file not in files:
            raise UsageError(f"--pages {text}: name the file, as FILE={selection}, spelled as it was given")
        chosen.setdefault(file, []).extend(selection.split(","))
    return [
        Selection(file=file_of(file), pages=chosen[file]) if file in chosen else file_of(file)
        for file in files
    ]


def parameters_of(named: Mapping[str, str | None], given: Sequence[str]) -> dict[str, str]:
    """Collect the parameters of fax-send from the named options and from --param.

    Raises:
        UsageError: a parameter is not documented, has no value, or is given twice.
    """
    found = {name: value for name, value in named.items() if value is not None}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in PARAMETERS:
            raise UsageError(f"--param is NAME=VALUE, NAME one of {', '.join(sorted(PARAMETERS))}")
        if name in found:
            raise UsageError(f"{name} is given twice")
        found[name] = value
    return found
