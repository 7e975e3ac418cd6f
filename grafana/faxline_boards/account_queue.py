"""The account board's upper half: the queue, the limits, intake and events."""

from typing import Any

from faxline_boards import tables
from faxline_boards.expressions import ACCOUNT, a_minute, of_all
from faxline_boards.panels import lines
from faxline_boards.parts import A_MINUTE, RED, Query, place, section


def queue(y: int) -> list[Any]:
    """What waits, and the limits."""
    return [
        section("Queue and limits", y),
        lines(
            "Queued, waiting for",
            "turn: a permit or a free worker. time: a retry's time or a date. line: another fax to the same "
            "number.",
            place(0, y + 1, 8, 8),
            [Query(of_all("fax_queued_jobs", by="waits_for"), "{{waits_for}}")],
            "short",
            alerts=["FaxNoneSubmitted"],
            stacked=True,
        ),
        lines(
            "Oldest that could be sent",
            "By priority. `faxline explain ID` says what holds one.",
            place(8, y + 1, 8, 8),
            [
                Query(
                    f"max by (account, priority) (fax_oldest_job_age_seconds{{{ACCOUNT}}})",
                    "{{account}} {{priority}}",
                )
            ],
            "s",
            alerts=["FaxUrgentWaits"],
        ),
        tables.limits(place(16, y + 1, 8, 8)),
        lines(
            "Window: requests of the last hour",
            "Used, and in effect. It shrinks after a 429 that our own traffic did not cause, and recovers by "
            "itself.",
            place(0, y + 9, 8, 8),
            _limit("window"),
            "short",
            alerts=["FaxRateLimited"],
        ),
        lines(
            "Concurrency: calls in flight",
            "Used, and in effect. If it is always full, calls take long: see the time of a call.",
            place(8, y + 9, 8, 8),
            _limit("concurrency"),
            "short",
            alerts=["FaxUrgentWaits"],
        ),
        lines(
            "Burst",
            "Used, and in effect. It drains as fast as the window allows requests.",
            place(16, y + 9, 8, 8),
            _limit("burst"),
            "short",
            alerts=["FaxUrgentWaits"],
        ),
    ]


def intake(y: int) -> list[Any]:
    """What is pushed, and the events that are to be read."""
    return [
        section("Intake and events", y),
        lines(
            "Entries that wait in intake",
            "Pushed, and not taken in yet. If it keeps growing, producers push faster than dispatchers take.",
            place(0, y + 1, 6, 8),
            [Query(f"max by (account) (fax_intake_entries{{{ACCOUNT}}})", "{{account}}")],
            "short",
            alerts=["FaxIntakeStalled"],
        ),
        lines(
            "Oldest entry in intake",
            "Seconds are usual under load. If it climbs in a straight line, nothing is taken.",
            place(6, y + 1, 6, 8),
            [Query(f"max by (account) (fax_intake_oldest_age_seconds{{{ACCOUNT}}})", "{{account}}")],
            "s",
            alerts=["FaxIntakeStalled"],
            steps={60: RED},
        ),
        lines(
            "Entries taken a minute, streams replaced",
            "Registered, repeated, rejected, canceled or set aside. A stream is replaced when somebody used "
            "up its ids.",
            place(12, y + 1, 6, 8),
            [
                Query(a_minute("fax_intake_taken_total", by="account"), "{{account}}"),
                Query(
                    f"sum by (account, stream) (increase(fax_streams_replaced_total{{{ACCOUNT}}}"
                    "[$__rate_interval]))",
                    "{{account}} {{stream}} replaced",
                ),
            ],
            A_MINUTE,
            alerts=["FaxStreamReplaced"],
        ),
        lines(
            "Events unread",
            "By the consumer group that is furthest behind. At the cap the oldest are dropped unread.",
            place(18, y + 1, 6, 8),
            [
                Query(f"max by (account) (fax_events_unread{{{ACCOUNT}}})", "{{account}}"),
                Query("max(fax_events_cap)", "cap"),
            ],
            "short",
            alerts=["FaxEventsUnread"],
        ),
    ]


def _limit(name: str) -> list[Query]:
    inside = f'{ACCOUNT}, limit="{name}"'
    return [
        Query(f"max by (account) (fax_limit_used{{{inside}}})", "{{account}} used"),
        Query(f"max by (account) (fax_limit_capacity{{{inside}}})", "{{account}} in effect"),
    ]
