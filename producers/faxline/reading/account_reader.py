"""Read the state of an account from Redis, in two round trips."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from faxline.contract.redis_keys import RedisKeys
from faxline.contract.states import FINAL_STATES
from faxline.reading.account_state import (
    EPOCH_US,
    POLL_PLACE,
    RANKS,
    STRIDE,
    AccountState,
    BacklogState,
    LimitState,
)
from faxline.reading.shared_settings import SharedSettings, read_shared_settings
from faxline.steps.commands import Pipeline, Steps
from faxline.steps.drivers import run

_STEP, _STEPS = 0.01, 6
_REPLACED = "replaced_at:"


def read_account_state_from(client: Any, keys: RedisKeys) -> AccountState:
    """Read it from a client with bytes replies.

    Raises:
        redis.RedisError: the server did not answer or refused.
    """
    return run(client, read_account_state(keys))


def read_account_state(keys: RedisKeys) -> Steps[AccountState]:
    """Read the state of an account, in two round trips."""

    def queue_reads(pipe: Any) -> None:
        pipe.time()
        pipe.hgetall(keys.account_state)
        for key in (keys.ready, keys.delayed, keys.waiting, keys.submitted, keys.in_doubt):
            pipe.zcard(key)
        pipe.zrange(keys.permits, 0, -1)
        pipe.xlen(keys.dead)
        pipe.zcount(keys.in_doubt, "inf", "inf")
        pipe.zrange(keys.submitted, 0, 0, withscores=True)
        for rank in RANKS.values():
            low, high = rank * STRIDE, f"({(rank + 1) * STRIDE}"
            pipe.zrangebyscore(keys.ready, low, high, start=0, num=1, withscores=True)

    replies = yield Pipeline(queue_reads)
    clock, raw, ready, delayed, waiting, submitted, in_doubt, permits, *more = replies
    dead, held_doubts, first, *heads = more
    held = len(permits)
    now = clock[0] * 1_000_000 + clock[1]
    fields = {name.decode(): value.decode() for name, value in raw.items()}

    def number(name: str, otherwise: float = 0.0) -> float:
        return float(fields.get(name) or otherwise)

    skew = int(number("skew"))
    steady = max(now, int(number("seen"))) + skew  # as lua/lib/steady.lua has it
    skew = steady - now
    window = int(number("window", 3_600_000_000))
    deadline, usual = number("deadline"), number("expected", math.inf)
    late = steady / 1000 + deadline - usual
    part = number("poll_share") / 1e6

    def counts(pipe: Any) -> None:
        pipe.zcount(keys.answers, steady - window, "+inf")
        pipe.zcount(keys.submitted, "-inf", late)
        if part:
            pipe.zcount(keys.asks, steady - window, "+inf")
            pipe.zcount(keys.ready, POLL_PLACE, POLL_PLACE)

    answers, overdue, *polled = yield Pipeline(counts)
    asks, asking = polled or (0, 0)
    # `share`, `strain` and `gate` are the names of the first layout, as in lua/lib/account_hash.lua.
    factor = _limit_factor(number("share", 1.0), number("share_at"), steady, window)
    requests, concurrency, burst = (int(number(name)) for name in ("requests", "concurrency", "burst"))
    backoff = int(number("strain"))
    rate = _cut(requests, factor) / window
    level = max(0.0, number("bucket") - (steady - number("bucket_at", steady)) * rate)
    at_once = _cut(concurrency, factor)
    if backoff and (not at_once or backoff < at_once):
        at_once = backoff
    ready -= asking
    jobs = {
        "queued": ready + delayed + waiting,
        "submitting": len(holders_of(permits)),
        "submitted": submitted,
        "in_doubt": in_doubt,
    }
    seconds = number("seconds") / 1e6
    done = {state: int(number(f"done:{state}")) for state in FINAL_STATES}
    counted = number("ceiling_jobs") > 0 and "taken" in fields  # as `register` counts them
    open_jobs = int(number("taken")) - sum(done.values()) if counted else sum(jobs.values())
    return AccountState(
        name=keys.account,
        now=now,
        jobs=jobs | done,
        oldest={
            name: _age(head[0][1] if head else None, rank, steady)
            for (name, rank), head in zip(RANKS.items(), heads, strict=True)
        },
        concurrency=LimitState(held, at_once, concurrency),
        window=LimitState(held + answers, _cut(requests, factor), requests),
        burst=LimitState(held + level, _cut(burst, factor), burst),
        window_us=window,
        limit_factor=factor,
        concurrency_backoff=backoff,
        cooldown_until=int(number("gate")) - skew if number("gate") else 0,
        paused=fields.get("paused", ""),
        probe_at=int(number("probe_at")) - skew if number("probe_at") else 0,
        seconds=seconds or None,
        dead=dead,
        known=b"layout" in raw or b"requests" in raw,
        verified_at=int(number("verify_until")),
        waiting={"turn": ready, "time": delayed, "line": waiting},
        held_doubts=held_doubts,
        receipt_wait=max(0.0, (steady / 1000 + deadline - first[0][1]) / 1000) if first and deadline else 0.0,
        overdue=overdue,
        backlog={
            "jobs": BacklogState(open_jobs, int(number("ceiling_jobs"))),
            "bytes": BacklogState(int(number("bytes")), int(number("ceiling_bytes"))),
        },
        layout=fields.get("layout", ""),
        replaced={
            name.removeprefix(_REPLACED): int(at) for name, at in fields.items() if name.startswith(_REPLACED)
        },
        keys=tuple(fields["keys"].split()) if "keys" in fields else None,
        shared_settings=_shared_settings(fields.get("offers"), steady // 1000),
        paused_since=int(number("paused_at")) - skew if fields.get("paused") else 0,
        paused_by=_of_pause(fields, "paused_by"),
        paused_why=_of_pause(fields, "paused_why"),
        probed=int(number("probes")) if fields.get("paused") else 0,
        skew=skew,
        step=number("step") / 1000,
        step_at=int(number("step_at")) * 1000,
        polls=_polls(asks, requests, _cut(requests, factor), part),
    )


def holders_of(permits: Iterable[bytes]) -> list[bytes]:
    """The ids of the jobs that hold permits. Control calls are left out."""
    held = [permit.partition(b"|")[2] for permit in permits]
    return [job for job in held if job and not job.startswith(b"!")]


def _shared_settings(text: str | None, steady: int) -> tuple[SharedSettings, ...]:
    try:
        data = json.loads(text or "{}")
    except ValueError:
        data = {}
    return read_shared_settings(data, steady) if isinstance(data, dict) else ()


def _of_pause(fields: Mapping[str, str], name: str) -> str:
    """A detail of the present pause; "" if an older version paused the account."""
    at, _, text = fields.get(name, "").partition(" ")
    return text if fields.get("paused") and at == fields.get("paused_at") else ""


def _limit_factor(factor: float, since: float, now: int, window: int) -> float:
    """The limit factor now, computed as in lua/lib/limits.lua: it doubles in steps, six in a window."""
    if factor >= 1:
        return 1.0
    steps = min(30, max(0, math.floor((now - since) * _STEPS / window)))
    return min(1.0, factor + _STEP * (2.0**steps - 1))


def _cut(limit: int, factor: float) -> int:
    return max(1, math.floor(limit * factor)) if limit > 0 else 0


def _polls(used: int, requests: int, effective: int, part: float) -> LimitState:
    """The use of polling's share, computed as in lua/poll.lua."""
    return LimitState(
        used, *(max(1, math.floor(n * part)) if part and n else 0 for n in (effective, requests))
    )


def _age(place: float | None, rank: int, now: int) -> float:
    return max(0.0, (now - (place - rank * STRIDE + EPOCH_US)) / 1e6) if place is not None else 0.0
