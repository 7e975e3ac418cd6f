"""The figures of the present: what waits, what is in trouble, jobs by state, which processes run."""

from typing import Any

from faxline_boards.expressions import ACCOUNT, of_all
from faxline_boards.panels import bars, stat
from faxline_boards.parts import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    YELLOW,
    Query,
    fixed,
    now,
    option,
    place,
    threshold_override,
    words,
)


def waiting() -> list[Any]:
    """What is queued, how long, and what it waits for."""
    return [
        stat(
            "Waiting longest",
            "Age of the oldest fax that could be sent now, by priority. Red: a customer will call soon. "
            "`faxline explain ID` says what holds it.",
            place(7, 0, 5, 5),
            [
                Query(f'max(fax_oldest_job_age_seconds{{{ACCOUNT}, priority="{priority}"}})', priority)
                for priority in ("urgent", "normal", "bulk")
            ],
            "s",
            {60: YELLOW, 300: RED},
            alerts=["FaxUrgentWaits", "FaxNoneSubmitted"],
            overrides={
                "normal": [threshold_override({900: YELLOW, 3600: RED})],
                "bulk": [threshold_override({14400: YELLOW, 86400: RED})],
            },
            upright=True,
        ),
        stat(
            "Queued, waiting for",
            "turn: a permit under iFax's limits, or a free worker. time: a retry's time, or a date. line: "
            "another fax to the same number. Many at `turn` with room under the limits: look at the workers.",
            place(12, 0, 4, 5),
            [
                Query(of_all("fax_queued_jobs", f'waits_for="{what}"'), what)
                for what in ("turn", "time", "line")
            ],
            "short",
            {},
            alerts=["FaxNoneSubmitted", "FaxWorkersBusy"],
            overrides={name: [threshold_override({}, BLUE)] for name in ("turn", "time", "line")},
            upright=True,
            area=True,
        ),
    ]


def trouble() -> list[Any]:
    """What needs an operator."""
    return [
        stat(
            "Paused",
            "Accounts that are paused; their faxes stay queued. `faxline accounts` says why and until when; "
            "`faxline accounts resume NAME` opens one.",
            place(16, 0, 2, 5),
            [now(of_all("fax_account_paused"), "accounts")],
            "short",
            {1: RED},
            alerts=["FaxAccountPaused", "FaxIfaxUnreachable", "FaxStateRolledBack", "FaxWorkerSteppedBack"],
        ),
        stat(
            "In doubt",
            "open: it is not known whether iFax took them. held: their wait is over, an operator decides by "
            "`faxline resolve ID`.",
            place(18, 0, 3, 5),
            [
                now(of_all("fax_jobs", 'state="in_doubt"'), "open"),
                now(of_all("fax_doubts_held"), "held"),
            ],
            "short",
            {1: YELLOW, 10: RED},
            alerts=[
                "FaxDoubtsHeld",
                "FaxDoubtsMany",
                "FaxDoubtsOld",
                "FaxDuplicates",
                "FaxDeliveredAfterEnd",
            ],
            overrides={"held": [threshold_override({1: RED})]},
            upright=True,
        ),
        stat(
            "Receipts",
            "overdue: submitted faxes whose receipts are late. dead: entries that were set aside; `faxline "
            "dead` lists them, `faxline dead redrive` puts them back.",
            place(21, 0, 3, 5),
            [
                now(of_all("fax_receipts_overdue"), "overdue"),
                now(of_all("fax_dead_receipts"), "dead"),
            ],
            "short",
            {1: YELLOW, 20: RED},
            alerts=["FaxReceiptsOverdue", "FaxDeadReceipts", "FaxNoWebhooks"],
            overrides={"dead": [threshold_override({1: ORANGE})]},
            upright=True,
        ),
    ]


def states(at: Any) -> Any:
    """Jobs by state."""
    colors = {
        "queued": BLUE,
        "submitting": BLUE,
        "submitted": BLUE,
        "in_doubt": YELLOW,
        "delivered": GREEN,
        "failed": RED,
        "canceled": "text",
        "unconfirmed": ORANGE,
    }
    return bars(
        "Jobs by state",
        "All jobs on record. queued, submitting, submitted and in_doubt are on their way; the others have "
        "ended.",
        at,
        [now(of_all("fax_jobs", f'state="{state}"'), state) for state in colors],
        "short",
        {},
        alerts=["FaxDoubtsMany", "FaxUnconfirmed"],
        overrides={state: [fixed(color)] for state, color in colors.items()},
    )


def parts(at: Any) -> Any:
    """Which processes run, and whether Redis keeps what it accepted."""
    good = option("mappings", words({"1": ("yes", GREEN), "0": ("NO", RED)}))
    return stat(
        "Parts",
        "Running processes by their heartbeats, and whether Redis keeps what it accepted (durable) and could "
        "write its append-only file (AOF). Red: see the runbooks in this panel's menu.",
        at,
        [
            *(
                now(f'max(fax_processes{{role="{role}"}}) or sum(up{{job="faxline-{role}"}})', f"{role}s")
                for role in ("dispatcher", "worker", "webhook")
            ),
            now("min(max by (node) (fax_redis_durable))", "durable"),
            now("min(max by (node) (fax_redis_aof_ok))", "AOF"),
        ],
        "short",
        {1: GREEN},
        alerts=[
            *("FaxDispatcherMissing", "FaxWorkerMissing", "FaxWebhookMissing", "FaxProcessDown"),
            *("FaxRedisNotDurable", "FaxRedisAofFailing", "FaxRedisClockStepped", "FaxSettingsDiffer"),
        ],
        overrides={
            **{
                name: [threshold_override({1: GREEN}, RED)] for name in ("dispatchers", "workers", "webhooks")
            },
            "durable": [good],
            "AOF": [good],
        },
        upright=True,
    )
