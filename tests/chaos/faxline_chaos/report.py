"""The one table at the end of a run."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.table import Table

from faxline_chaos import nodes
from faxline_chaos.baseline_verdict import BaselineEnd
from faxline_chaos.document_fuzzing import DocumentFuzzEnd
from faxline_chaos.doubts import SETTLERS, Doubt, doubts_of, spread
from faxline_chaos.evidence import Evidence, Recovery
from faxline_chaos.faults import Fax
from faxline_chaos.fuzzing import FuzzEnd
from faxline_chaos.schedule import Hit
from faxline_chaos.verdict import DUPLICATE, LOST, ZEROS, Finding, tried_again
from faxline_chaos.world import LENGTHS
from faxline_local.redis_cluster import NODE_TIMEOUT

Row = tuple[str, str]

GOAL = NODE_TIMEOUT / 1000 + 5
"""Seconds after the end of a trouble of nodes in which all accounts are to go on."""
SHOWN = 12
"""Faxes that are named for each kind of finding."""


def table(title: str, rows: Sequence[Row], baseline: Sequence[Row] | None) -> Table:
    """What came out, the plain actor beside it if it ran too."""
    made = Table(title=title)
    made.add_column("")
    made.add_column("Faxline")
    if baseline is not None:
        made.add_column("plain Dramatiq actor")
    other = dict(baseline or ())
    for name, value in rows:
        style = ("green" if value == "0" else "bold red") if name in ZEROS else ""
        cells = [name, f"[{style}]{value}[/]" if style else value]
        made.add_row(*cells, *([other.get(name, "")] if baseline is not None else []))
    return made


def rows_of(
    faxes: Sequence[Fax],
    hits: Sequence[Hit],
    evidence: Evidence,
    findings: Sequence[Finding],
    seconds: float,
) -> list[Row]:
    """The rows of Faxline."""
    broken = Counter(finding.zero for finding in findings)
    accepted = [len(evidence.accepted.get(fax.id, ())) for fax in faxes]
    events = [event for fax in faxes for event in evidence.events.get(fax.id, ())]
    doubts = [doubt for fax in faxes for doubt in doubts_of(evidence.events.get(fax.id, ()))]
    jobs = [evidence.jobs.get(fax.id) for fax in faxes]
    states = Counter(str(job.state) if job else "no record" for job in jobs)
    again = sum(tried_again(event) for event in events)
    extra = sum(n - 1 for n in accepted if n > 1) - broken[DUPLICATE] - again
    return [
        ("faxes pushed", str(len(faxes))),
        ("accepted by the sandbox", str(sum(accepted))),
        *((zero, str(broken[zero])) for zero in ZEROS),
        ("deliveries that failed and were followed by another", str(again)),
        ("duplicates the policy resend allows", str(max(0, extra))),
        ("… told by fax.duplicate", str(sum(event.name == "fax.duplicate" for event in events))),
        ("states at the end", _counted(states)),
        ("doubts entered", _counted(Counter(doubt.reason for doubt in doubts), total=True)),
        *((f"… settled by {settler}", _settled(doubts, settler)) for settler in SETTLERS),
        ("answers gone wrong", _counted(Counter(evidence.stats.get("faults", {})), total=True)),
        ("kills", _hit(hits, stall=False)),
        ("stalls", _hit(hits, stall=True)),
        (
            "troubles of the world",
            _counted(Counter(hit.name for hit in hits if hit.name in LENGTHS), total=True),
        ),
        ("lost by restores, and put in order", _lost(evidence)),
        *_recoveries(evidence),
        ("duration", f"{seconds:.0f} s"),
    ]


def baseline_rows(faxes: Sequence[Fax], hits: Sequence[Hit], end: BaselineEnd, seconds: float) -> list[Row]:
    """The rows of the plain actor, with the same names."""
    return [
        ("faxes pushed", str(len(faxes))),
        ("accepted by the sandbox", str(end.accepted)),
        (DUPLICATE, f"{end.doubled} extra, of {end.doubled_faxes} faxes"),
        (LOST, f"{end.lost} gone, {end.stranded} stranded in the broker"),
        ("answers gone wrong", _counted(Counter(end.faults), total=True)),
        ("kills", _hit(hits, stall=False)),
        ("stalls", _hit(hits, stall=True)),
        ("duration", f"{seconds:.0f} s"),
    ]


def fuzz_table(requests: int, seed: int, end: FuzzEnd, seconds: float) -> Table:
    """What came out of a fuzz."""
    made = Table(title=f"the webhook under fuzz, seed {seed}", show_header=False)
    bad = sum(n for status, n in end.answers.items() if status.startswith("5") and status != "503")
    rows = (
        ("requests", str(requests)),
        ("answers", _counted(end.answers, total=True)),
        ("5xx but 503 (0)", str(bad)),
        ("whole requests without an answer (0)", str(end.unanswered)),
        ("slow clients closed", _counted(end.closed, total=True)),
        ("slow clients not closed, connections left (0)", f"{sum(end.held.values())}, {end.left}"),
        ("stored", str(end.stored)),
        ("stored and not signed (0)", str(end.unsigned)),
        ("tracebacks, bodies, numbers, secrets in the log (0)", str(sum(end.logged.values()))),
        ("memory warm, last, growth", f"{end.warm} KiB, {end.memory[-1]} KiB, {end.growth} KiB"),
        ("the process lives", "yes" if end.alive else "no"),
        ("duration", f"{seconds:.0f} s"),
    )
    for row in rows:
        made.add_row(*row)
    return made


def document_table(count: int, seed: int, end: DocumentFuzzEnd, seconds: float) -> Table:
    """What came out of documents under fuzz."""
    made = Table(title=f"documents under fuzz, seed {seed}", show_header=False)
    rows = (
        ("documents", str(count)),
        ("the library told", _counted(end.counted, total=True)),
        ("it raised (0)", str(sum(end.raised.values()))),
        ("right ones that it did not count rightly (0)", str(end.miscounted)),
        ("the dispatcher told", _counted(end.events, total=True)),
        ("entries without one event (0)", str(end.unanswered)),
        ("right ones that it rejected (0)", str(end.refused)),
        ("entries set aside (0)", str(end.dead)),
        ("tracebacks in the log (0)", str(sum(end.logged.values()))),
        ("the dispatcher's memory: first, most", f"{end.memory[0]} KiB, {max(end.memory)} KiB"),
        ("the largest child", f"{end.children} KiB"),
        ("the dispatcher lives and is ready", "yes" if end.alive else "no"),
        ("duration", f"{seconds:.0f} s"),
    )
    for row in rows:
        made.add_row(*row)
    return made


def findings_lines(findings: Sequence[Finding]) -> list[str]:
    """What was found, alike things in one line with some of their faxes."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.zero, re.sub(r"[0-9]+", "N", finding.text)), []).append(finding)
    return [
        f"{zero}: {len(group)} times: {group[0].text} ({', '.join(f.subject for f in group[:SHOWN])}"
        f"{', …' if len(group) > SHOWN else ''})"
        for (zero, _), group in groups.items()
    ]


def _hit(hits: Sequence[Hit], *, stall: bool) -> str:
    mine = (hit.role for hit in hits if hit.stall is stall and hit.name not in {**LENGTHS, **nodes.LENGTHS})
    return _counted(Counter(mine), total=True)


def _lost(evidence: Evidence) -> str:
    counts = Counter[str]()
    for lost in evidence.lost:
        counts += Counter(
            {"calls": lost.calls, "pushes": lost.pushed, "known by their id only": len(lost.nameless)}
        )
        counts["seconds"] += round(lost.ended - lost.begun)
        counts["pushed again"] += len(lost.repeated)
    return _counted(counts)


def _recoveries(evidence: Evidence) -> list[Row]:
    """How long the accounts of a cluster took to go on after each trouble of its nodes."""
    found = evidence.recoveries
    rows = [
        (
            f"{trouble}: all accounts went on after",
            ", ".join(_seconds(each) for each in found if each.trouble == trouble),
        )
        for trouble in dict.fromkeys(each.trouble for each in found)
    ]
    late = sum(each.seconds is None or each.seconds > GOAL for each in found)
    return (
        [*rows, (f"… later than the node timeout and 5 s ({GOAL:g} s)", f"{late} of {len(found)}")]
        if found
        else []
    )


def _seconds(recovery: Recovery) -> str:
    return "never within minutes" if recovery.seconds is None else f"{recovery.seconds:.1f} s"


def _settled(doubts: Iterable[Doubt], settler: str) -> str:
    mine = [doubt for doubt in doubts if doubt.settled == settler]
    if not mine:
        return "0"
    return ", ".join(
        filter(None, (str(len(mine)), spread([d.seconds for d in mine if d.seconds is not None])))
    )


def _counted(counts: Counter[str], *, total: bool = False) -> str:
    parts = ", ".join(f"{n} {name}" for name, n in sorted(counts.items()) if n)
    return f"{counts.total()}: {parts}" if total and parts else parts or "0"
