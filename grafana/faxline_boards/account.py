"""One account, or some: its queue, limits, submissions, doubts, deliveries and receipts over time."""

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Row

from faxline_boards import tables
from faxline_boards.board import account, dashboard, data_source
from faxline_boards.expressions import ACCOUNT, a_minute, of_all
from faxline_boards.panels import heat, lines
from faxline_boards.parts import (
    A_MINUTE,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    YELLOW,
    Query,
    fixed,
    option,
    place,
)

_RIGHT = [option("custom.axisPlacement", "right"), option("unit", "short")]
"""The options of a series with an axis of its own."""


def _row(title: str, y: int) -> Row:
    return Row(title).grid_pos(place(0, y, 24, 1))


def _queue(y: int) -> list[Any]:
    return [
        _row("Queue and limits", y),
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


def _intake(y: int) -> list[Any]:
    return [
        _row("Intake and events", y),
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


def _calls(y: int) -> list[Any]:
    results = {
        "accepted": GREEN,
        "refused": ORANGE,
        "retryable": YELLOW,
        "in_doubt": PURPLE,
        "rate_limited": RED,
    }
    return [
        _row("Submissions and doubts", y),
        lines(
            "Submissions a minute, by result",
            "accepted: iFax took it. retryable: provably not taken, tried again. in_doubt: unknown. "
            "refused: the fax or the account is at fault. rate_limited: a 429.",
            place(0, y + 1, 8, 8),
            [Query(a_minute("fax_submissions_total", by="result"), "{{result}}")],
            A_MINUTE,
            alerts=["FaxSubmissionsRefused", "FaxRateLimited"],
            overrides={name: [fixed(color)] for name, color in results.items()},
            stacked=True,
        ),
        lines(
            "In doubt",
            "open: waiting for a late answer, a receipt or the end of the wait. held: an operator decides, "
            "by `faxline resolve ID`. taken twice: a doubt was sent again and the first turned out to be "
            "taken too.",
            place(8, y + 1, 8, 8),
            [
                Query(of_all("fax_jobs", 'state="in_doubt"'), "open"),
                Query(of_all("fax_doubts_held"), "held"),
                Query(f"sum(increase(fax_duplicates_total{{{ACCOUNT}}}[$__rate_interval]))", "taken twice"),
            ],
            "short",
            alerts=["FaxDoubtsHeld", "FaxDoubtsMany", "FaxDoubtsOld", "FaxDuplicates"],
            overrides={"open": [fixed(YELLOW)], "held": [fixed(RED)], "taken twice": [fixed(PURPLE)]},
        ),
        lines(
            "Put off or paused",
            "Deferrals a minute by the limit that had no room; they spend no attempt. paused: how many "
            "accounts are.",
            place(16, y + 1, 8, 8),
            [
                Query(a_minute("fax_deferrals_total", by="limit"), "{{limit}}"),
                Query(of_all("fax_account_paused"), "accounts paused"),
            ],
            "short",
            alerts=["FaxAccountPaused"],
        ),
    ]


def _ends(y: int) -> list[Any]:
    outcomes = {
        "delivered": GREEN,
        "failed": RED,
        "canceled": "text",
        "unconfirmed": ORANGE,
        "rejected": PURPLE,
    }
    return [
        _row("Ends and failures", y),
        lines(
            "Ends a minute, by outcome",
            "rejected: an entry of intake that became no job. unconfirmed: no receipt in time; a late one "
            "still amends it.",
            place(0, y + 1, 8, 8),
            [Query(a_minute("fax_outcomes_total", by="outcome"), "{{outcome}}")],
            A_MINUTE,
            alerts=["FaxUnconfirmed"],
            overrides={name: [fixed(color)] for name, color in outcomes.items()},
            stacked=True,
        ),
        tables.failures(place(8, y + 1, 8, 8)),
        lines(
            "Share of deliveries that fail",
            "ours: on the way, at iFax, or by our documents. callee: busy, no answer, bad numbers. Over the "
            "last hour. The objective is that at most 2 % fail by ours.",
            place(16, y + 1, 8, 8),
            [
                Query(f"account:fax_delivery_failures_ours:ratio_rate1h{{{ACCOUNT}}}", "{{account}} ours"),
                Query(
                    f"account:fax_delivery_failures_callee:ratio_rate1h{{{ACCOUNT}}}", "{{account}} callee"
                ),
            ],
            "percentunit",
            alerts=["FaxDeliveryFailuresFast", "FaxDeliveryFailuresSlow", "FaxCalleesFail"],
            steps={0.02: RED},
        ),
    ]


def _receipts(y: int) -> list[Any]:
    return [
        _row("Receipts and pages", y),
        lines(
            "Receipts a minute, by what became of them",
            "applied: the end of a fax. repeated: it came before. unmatched: its jobId is not known yet. "
            "resolved_doubt: it settled a doubt. set_aside: it cannot be read; `faxline dead`.",
            place(0, y + 1, 6, 8),
            [Query(a_minute("fax_receipts_total", by="result"), "{{result}}")],
            A_MINUTE,
            alerts=["FaxDeadReceipts"],
            stacked=True,
        ),
        lines(
            "Longest wait for a receipt, and how many are late",
            "wait: the longest time that a fax has waited for its receipt. overdue (right): how many are "
            "later than usual.",
            place(6, y + 1, 6, 8),
            [
                Query(f"max(fax_oldest_receipt_wait_seconds{{{ACCOUNT}}})", "wait"),
                Query(of_all("fax_receipts_overdue"), "overdue"),
            ],
            "s",
            alerts=["FaxNoWebhooks", "FaxReceiptsOverdue"],
            overrides={"overdue": _RIGHT},
        ),
        lines(
            "Pages a minute, and partial deliveries",
            "total: of the faxes. transferred: that arrived. partial (right): faxes delivered without all of "
            "their pages.",
            place(12, y + 1, 6, 8),
            [
                Query(a_minute("fax_pages_total", by="kind"), "{{kind}}"),
                Query(
                    f"sum(increase(fax_partial_deliveries_total{{{ACCOUNT}}}[$__rate_interval]))", "partial"
                ),
            ],
            A_MINUTE,
            alerts=["FaxPartialDeliveries"],
            overrides={"partial": _RIGHT},
        ),
        lines(
            "Status checks a minute, and their share",
            "By iFax's answer. final: the end of a fax. sending: not yet. used, of (right): use of their "
            "share of the requests (`FAXLINE_POLL__SHARE`). When it is used up, results come late.",
            place(18, y + 1, 6, 8),
            [
                Query(a_minute("fax_polls_total", by="result"), "{{result}}"),
                Query(of_all("fax_polls_used"), "used"),
                Query(of_all("fax_polls_capacity"), "of"),
            ],
            A_MINUTE,
            overrides={"used": _RIGHT, "of": _RIGHT},
        ),
    ]


def _times(y: int) -> list[Any]:
    return [
        _row("How long it takes", y),
        heat(
            "Time in queue",
            "Faxes by how long they waited until they were admitted. If a band climbs, the backlog grows.",
            place(0, y + 1, 8, 9),
            f"fax_queue_wait_seconds{{{ACCOUNT}}}",
            alerts=["FaxUrgentWaits"],
        ),
        heat(
            "Time of a call to iFax",
            "Calls by how long they took. A band at the timeout (30 s): iFax hangs, and faxes come in doubt.",
            place(8, y + 1, 8, 9),
            f"fax_request_seconds{{{ACCOUNT}}}",
            alerts=["FaxDoubtsMany"],
        ),
        heat(
            "Time of a delivery",
            "Receipts by how long after the submission they came.",
            place(16, y + 1, 8, 9),
            f"fax_delivery_seconds{{{ACCOUNT}}}",
            alerts=["FaxReceiptsOverdue"],
        ),
    ]


def account_board() -> dict[str, Any]:
    """The board's JSON."""
    panels = [*_queue(0), *_intake(17), *_calls(26), *_ends(35), *_receipts(44), *_times(53)]
    return dashboard(
        "faxline-account",
        "Faxline: account",
        "An account's queue, limits, submissions, doubts, ends and receipts over time.",
        [data_source(), account()],
        panels,
        span="now-6h",
    )
