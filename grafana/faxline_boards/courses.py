"""The panels over time: submissions, deferrals, webhooks, pages, and how long each step took."""

from typing import Any

from faxline_boards.expressions import a_minute, quantile
from faxline_boards.panels import lines
from faxline_boards.parts import A_MINUTE, BLUE, GREEN, ORANGE, PURPLE, RED, YELLOW, Query, fixed, option


def flow(at: Any) -> Any:
    """Submissions and their outcomes a minute."""
    return lines(
        "Faxes a minute",
        "submitted: iFax took them. delivered: their receipts say so. failed: deliveries that failed, also "
        "those that are tried again. refused and in doubt: submissions that ended so. Submitted without "
        "delivered: look at the webhooks.",
        at,
        [
            Query(a_minute("fax_submissions_total", 'result="accepted"'), "submitted"),
            Query(a_minute("fax_outcomes_total", 'outcome="delivered"'), "delivered"),
            Query(a_minute("fax_failures_total", 'stage="delivery"'), "failed"),
            Query(a_minute("fax_submissions_total", 'result="refused"'), "refused"),
            Query(a_minute("fax_submissions_total", 'result="in_doubt"'), "in doubt"),
        ],
        A_MINUTE,
        alerts=["FaxNoneSubmitted", "FaxDeliveryFailuresFast", "FaxDeliveryFailuresSlow"],
        overrides={
            "submitted": [fixed(BLUE)],
            "delivered": [fixed(GREEN)],
            "failed": [fixed(RED)],
            "refused": [fixed(ORANGE)],
            "in doubt": [fixed(PURPLE)],
        },
    )


def deferrals(at: Any) -> Any:
    """429s and deferrals."""
    return lines(
        "429s and deferrals a minute",
        "429: iFax says that its rate limit is exceeded, so somebody else uses the key. The others: "
        "admissions that were deferred because a limit was full; they spend no attempt.",
        at,
        [
            Query(a_minute("fax_rate_limited_total"), "429"),
            Query(a_minute("fax_deferrals_total", by="limit"), "{{limit}}"),
        ],
        A_MINUTE,
        alerts=["FaxRateLimited"],
        overrides={
            "429": [fixed(RED)],
            "window": [fixed(BLUE)],
            "concurrency": [fixed("light-blue")],
            "burst": [fixed(PURPLE)],
            "paused": [fixed(ORANGE)],
        },
    )


def webhooks(at: Any) -> Any:
    """Webhooks by result."""
    colors = {
        "stored": GREEN,
        "bad_signature": RED,
        "unavailable": ORANGE,
        "malformed": YELLOW,
        "too_large": PURPLE,
        "inbound": "text",
    }
    return lines(
        "Webhooks a minute, by result",
        "stored: received. bad_signature: the secret was changed, or a stranger calls. unavailable: "
        "Redis was away or full, iFax tries again. None at all while faxes are submitted: iFax does not "
        "reach us.",
        at,
        [Query(a_minute("fax_webhooks_total", by="result"), "{{result}}")],
        A_MINUTE,
        alerts=["FaxNoWebhooks", "FaxBadSignatures", "FaxWebhooksUnavailable"],
        overrides={name: [fixed(color)] for name, color in colors.items()},
        stacked=True,
    )


def queue_time(at: Any) -> Any:
    """How long faxes wait until they are admitted."""
    return lines(
        "Time in queue",
        "From when a fax is due until it is admitted: median (p50) and 95th percentile (p95), by "
        "priority. Urgent ones overtake the others.",
        at,
        [
            Query(quantile(0.95, "fax_queue_wait_seconds", "priority"), "{{priority}} p95"),
            Query(quantile(0.5, "fax_queue_wait_seconds"), "p50"),
        ],
        "s",
        alerts=["FaxUrgentWaits"],
        times=True,
        overrides={
            "urgent p95": [fixed(RED)],
            "normal p95": [fixed(BLUE)],
            "bulk p95": [fixed(PURPLE)],
            "p50": [fixed(GREEN)],
        },
    )


def call_time(at: Any, title: str, histogram: str, description: str, alert: str) -> Any:
    """The time of a step at iFax."""
    return lines(
        title,
        description,
        at,
        [Query(quantile(0.95, histogram), "p95"), Query(quantile(0.5, histogram), "p50")],
        "s",
        alerts=[alert],
        times=True,
        overrides={"p95": [fixed(ORANGE)], "p50": [fixed(GREEN)]},
    )


def pages(at: Any) -> Any:
    """Pages in total, and transferred pages."""
    return lines(
        "Pages a minute",
        "What receipts report: the pages of the faxes (total), and those that arrived (transferred). The gap "
        "is the pages that did not arrive.",
        at,
        [Query(a_minute("fax_pages_total", by="kind"), "{{kind}}")],
        A_MINUTE,
        alerts=["FaxPartialDeliveries"],
        overrides={"total": [fixed(BLUE)], "transferred": [fixed(GREEN)]},
    )


def redis(at: Any) -> Any:
    """The memory and disk that Redis uses."""
    return lines(
        "Redis",
        "Memory in use, its limit (0: none) and the size of the append-only file; of a cluster the largest, "
        "and the worker pods' board has each node. Full, Redis takes no new fax and no webhook.",
        at,
        [
            Query("max(fax_redis_memory_bytes)", "memory"),
            Query("max(fax_redis_memory_limit_bytes)", "limit"),
            Query("max(fax_redis_aof_bytes)", "AOF"),
        ],
        "bytes",
        alerts=["FaxRedisMemoryHigh", "FaxRedisAway"],
        overrides={
            "memory": [fixed(BLUE)],
            "limit": [fixed(RED), option("custom.fillOpacity", 0)],
            "AOF": [fixed(PURPLE)],
        },
    )
