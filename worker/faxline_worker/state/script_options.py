"""The settings that the Lua scripts take, as one JSON object (`options`)."""

from datetime import timedelta
from typing import Any

from faxline_worker.config.settings import Settings
from faxline_worker.ifax.causes import Again
from faxline_worker.state.account_context import milliseconds as ms
from faxline_worker.state.scripts import LAYOUT

LEAST_KEPT = 3_600_000
"""Shortest time (ms) to keep a receipt that no job claims. A step forward of Redis' clock shortens it."""

EVENTS_CEILING = 10
"""How many times `events_cap` are kept for an archive that has not read them, unless a setting says."""
AUDIT_CEILING = 2
"""How many times its retention the audit is kept for an archive that has not read it."""


def layout() -> str:
    """The layout in which this version writes, as MAJOR.MINOR."""
    return "{}.{}".format(*LAYOUT)


def request_lifetime(settings: Settings) -> int:
    """The longest time (ms) from the mark until iFax has the whole of a small request.

    That is the HTTP timeout, a little more for the bytes to arrive, the wait for replicas, which delays the
    first byte, and one millisecond, because the scripts cut their clock to whole ones.
    """
    waited = timedelta(seconds=settings.confirmation.timeout if settings.confirmation else 0)
    return ms(settings.http_timeout + settings.lease_grace + waited) + 1


def script_options(settings: Settings, account: str, who: str) -> dict[str, Any]:
    """The options of one account's scripts. Durations are milliseconds, the window microseconds.

    Args:
        settings: the daemon's settings.
        account: one of `settings.accounts`.
        who: this process, for the audit.
    """
    # Between admission and mark there is as much time again, mostly to connect.
    lease = request_lifetime(settings) + ms(settings.lease_grace)
    return {
        "who": who,
        "layout": layout(),
        "traces": bool(settings.traces.endpoint),
        "lease": lease,
        # What a lease may grow by at most, by the size of its request (`mark`).
        "upload": ms(settings.longest_call - settings.http_timeout),
        "linger": ms(settings.lease_grace) + 1,
        # A receipt that no job claims outlives the doubts that it may settle, and a step of the clock.
        "keep": max(
            LEAST_KEPT,
            2 * (ms(settings.in_doubt.wait + settings.paced_sweep + settings.longest_call) + lease),
        ),
        "wake_lease": ms(settings.wake_lease),
        "sweep": ms(settings.paced_sweep),
        "numbers": settings.numbers.concurrent,
        "number_lease": ms(settings.numbers.lease),
        **_limits(settings, account),
        **_results(settings),
        **_retries(settings),
        **_storage(settings),
    }


def _limits(settings: Settings, account: str) -> dict[str, Any]:
    limits, ceilings = settings.limits_of(account), settings.ceilings_of(account)
    return {
        "requests": limits.requests,
        "window": round(limits.window.total_seconds() * 1_000_000),
        "concurrency": limits.concurrency,
        "burst": limits.burst,
        "ceiling_jobs": ceilings.jobs,
        "ceiling_bytes": ceilings.bytes,
        "cooldown_base": ms(settings.cooldown.base),
        "cooldown_min": ms(settings.cooldown.min),
        "cooldown_max": ms(settings.cooldown.max),
        "limit_factor_min": settings.cooldown.min_limit_factor,
        "unreachable_first": ms(settings.unreachable.first),
        "unreachable_max": ms(settings.unreachable.max),
        "breaker_after": settings.breaker.after,
        "recent": ms(settings.step_back.window),
        "probe_first": ms(settings.probe.first),
        "probe_max": ms(settings.probe.max),
        "starve_after": ms(settings.starvation.after),
        "starve_share": settings.starvation.share,
    }


def _results(settings: Settings) -> dict[str, Any]:
    return {
        "deadline": ms(settings.receipt_deadline),
        "expected": ms(settings.receipt_expected),
        "doubt": ms(settings.in_doubt.wait),
        "then_": settings.in_doubt.then,
        "clock_slack": ms(settings.in_doubt.clock_slack),
        "status_call": settings.status_call,
        "ask": ms(settings.status_call_timeout),
        "asks": int(settings.polls),
        "poll_share": round(settings.poll.share * 1_000_000),
        "poll_schedule": [ms(at) for at in settings.poll.schedule],
    }


def _retries(settings: Settings) -> dict[str, Any]:
    submission, delivery = settings.retries.submission, settings.retries.delivery
    return {
        "tries": submission.attempts,
        "retry_max": ms(submission.max),
        "deliveries": delivery.attempts,
        "redial_wait": ms(delivery.redial_wait),
        "again": {cause: [ms(wait) for wait in getattr(delivery, cause)] for cause in Again},
    }


def _storage(settings: Settings) -> dict[str, Any]:
    return {
        "cap": settings.events_cap,
        # Up to which they are kept for an archive that has not read them.
        "events_ceiling": max(
            settings.events_cap, settings.events_ceiling or EVENTS_CEILING * settings.events_cap
        ),
        "retention": ms(settings.retention),
        "document_ttl": ms(settings.document_ttl),
        "document_grace": ms(settings.document_grace),
        "request_retention": ms(settings.request_retention),
        "audit": ms(settings.audit_retention),
        "audit_ceiling": AUDIT_CEILING * ms(settings.audit_retention),
    }
