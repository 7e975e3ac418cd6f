"""One account, or some: its queue, limits, submissions, doubts, deliveries and receipts over time."""

from typing import Any

from faxline_boards import tables
from faxline_boards.account_queue import intake, queue
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
    section,
)

_RIGHT = [option("custom.axisPlacement", "right"), option("unit", "short")]
"""The options of a series with its own axis."""


def _calls(y: int) -> list[Any]:
    results = {
        "accepted": GREEN,
        "refused": ORANGE,
        "retryable": YELLOW,
        "in_doubt": PURPLE,
        "rate_limited": RED,
    }
    return [
        section("Submissions and doubts", y),
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
            "taken too. delivered late: iFax delivered it after it had ended as failed or canceled.",
            place(8, y + 1, 8, 8),
            [
                Query(of_all("fax_jobs", 'state="in_doubt"'), "open"),
                Query(of_all("fax_doubts_held"), "held"),
                Query(f"sum(increase(fax_duplicates_total{{{ACCOUNT}}}[$__rate_interval]))", "taken twice"),
                Query(
                    f"sum(increase(fax_delivered_after_end_total{{{ACCOUNT}}}[$__rate_interval]))",
                    "delivered late",
                ),
            ],
            "short",
            alerts=[
                "FaxDoubtsHeld",
                "FaxDoubtsMany",
                "FaxDoubtsOld",
                "FaxDuplicates",
                "FaxDeliveredAfterEnd",
            ],
            overrides={
                "open": [fixed(YELLOW)],
                "held": [fixed(RED)],
                "taken twice": [fixed(PURPLE)],
                "delivered late": [fixed(ORANGE)],
            },
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
        section("Ends and failures", y),
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
        section("Receipts and pages", y),
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
        section("How long it takes", y),
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
    panels = [*queue(0), *intake(17), *_calls(26), *_ends(35), *_receipts(44), *_times(53)]
    return dashboard(
        "faxline-account",
        "Faxline: account",
        "An account's queue, limits, submissions, doubts, ends and receipts over time.",
        [data_source(), account()],
        panels,
        span="now-6h",
    )
