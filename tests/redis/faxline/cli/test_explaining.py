"""`faxline explain`: what a job waits for, and how it ended."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import redis

from faxline.cli.explaining import explanation
from faxline.contract.states import JobState
from faxline.reading.account_state import OPERATOR, AccountState, LimitState
from faxline.reading.forecast import Forecast, Hold
from faxline.reading.job import Job
from tests.stage.command_line import AT, KEYS, NOW, Cli


@pytest.mark.parametrize(
    ("state", "reason", "says"),
    [
        ("canceled", "canceled_before_sending", "`faxline audit --job a` says who ordered it"),
        ("failed", "operator", "`faxline audit --job a` says who ordered it"),
        ("unconfirmed", "no_receipt", "`faxline show a --reveal` says by what"),
    ],
)
def test_explain_says_where_to_look_for_what_the_record_does_not_say(
    cli: Cli, record: Callable[..., None], state: str, reason: str, says: str
) -> None:
    record("a", state, reason=reason)
    assert says in cli("explain", "a").out


STATE = AccountState(
    name="default",
    now=AT * 1000,
    jobs=dict.fromkeys(
        ("queued", "submitting", "submitted", "in_doubt", "delivered", "failed", "canceled", "unconfirmed"), 0
    ),
    oldest={"urgent": 0.0, "normal": 0.0, "bulk": 0.0},
    concurrency=LimitState(20, 20, 20),
    window=LimitState(1000, 1000, 1000),
    burst=LimitState(49.26, 50, 50),
    window_us=3_600_000_000,
    limit_factor=1.0,
    concurrency_backoff=0,
    cooldown_until=0,
    paused="",
    probe_at=0,
    seconds=None,
    dead=0,
)
LATER = NOW + timedelta(seconds=12)
LOWERED = replace(
    STATE, concurrency=LimitState(5, 5, 20), window=LimitState(500, 500, 1000), limit_factor=0.5
)


def queued(hold: Hold, place: int = 3, **more: Any) -> Job:
    forecast = Forecast(
        hold, place, more.pop("start", LATER), more.pop("paused", ""), more.pop("free_at", None)
    )
    return Job(id="a", account="default", state=JobState.QUEUED, forecast=forecast, **more)


@pytest.mark.parametrize(
    ("job", "state", "says"),
    [
        (queued(Hold.NOTHING, 0), STATE, "No job is before it|The next free worker takes it"),
        (queued(Hold.PLACE, 1), STATE, "1 job is before it|No limit holds it|(in 12 s)"),
        (
            queued(Hold.CONCURRENCY),
            STATE,
            "3 jobs are before it|concurrency limit (20 of 20 used)|expected to start at|(in 12 s)",
        ),
        (queued(Hold.WINDOW), STATE, "hourly limit (1000 of 1000 used)|expected to start at|(in 12 s)"),
        (
            queued(Hold.WINDOW, 0),
            STATE,
            "Waiting for the hourly limit (1000 of 1000 used). The next slot opens at|(in 12 s)",
        ),
        (queued(Hold.WINDOW), replace(STATE, window_us=7_200_000_000), "limit of requests per 2 h"),
        (queued(Hold.BURST), STATE, "burst limit (50 of 50 used)|(in 12 s)"),
        (
            queued(Hold.WINDOW),
            LOWERED,
            "500 of 500|of 1000 is lowered because iFax answered 429",
        ),
        (
            queued(Hold.CONCURRENCY),
            replace(LOWERED, concurrency_backoff=5),
            "5 of 5|lowered because calls hang",
        ),
        (
            queued(Hold.COOLDOWN, free_at=LATER),
            STATE,
            "iFax answered 429, so the whole account waits until|(in 12 s)",
        ),
        (
            queued(Hold.RETRY, free_at=LATER, attempt=2, reason="unavailable", code=-7),
            STATE,
            "Attempt 2 was not taken (unavailable, code -7)|the next one is due at|(in 12 s)",
        ),
        (
            queued(Hold.PAUSED, start=None, paused=OPERATOR),
            STATE,
            "paused by an operator|`faxline accounts resume default`|Its start time is unknown",
        ),
        (
            queued(Hold.PAUSED, start=None, paused=OPERATOR),
            replace(STATE, paused=OPERATOR, paused_by="otto: printer on fire"),
            "paused by an operator (otto: printer on fire)|`faxline accounts resume default`",
        ),
        (
            queued(Hold.PAUSED, start=None, paused="bad_key", free_at=LATER),
            STATE,
            "paused: bad_key|next probe goes at|(in 12 s)",
        ),
        (
            queued(Hold.PAUSED, start=None, paused="unreachable", free_at=LATER),
            replace(
                STATE,
                jobs={"queued": 412},
                paused="unreachable",
                paused_since=(AT - 60_000) * 1000,
                paused_by="pod-1:7",
                paused_why="connection refused",
            ),
            "been unreachable since |(connection refused)|412 jobs wait|pod-1:7 found it",
        ),
        (
            queued(Hold.PAUSED, start=None, paused="breaker", free_at=LATER),
            replace(STATE, paused="breaker", paused_why="Professional plan isn't activated"),
            "unknown meaning (Professional plan isn't activated)|next probe goes at",
        ),
        (
            queued(Hold.RETRY, free_at=LATER, attempt=0, reason="unknown_refusal", code=12004),
            STATE,
            "(unknown_refusal, code 12004)|spends no attempt|next try is due at",
        ),
        (
            Job(id="a", account="default", state=JobState.SUBMITTING, attempt=2, updated_at=NOW),
            STATE,
            "being submitted, attempt 2|(in 0 s)|waits for iFax's answer",
        ),
        (
            Job(id="a", account="default", state=JobState.SUBMITTED, job_id=7, waits_until=LATER),
            STATE,
            "jobId 7|waits for the receipt|unconfirmed at|(in 12 s)",
        ),
        (
            Job(
                id="a",
                account="default",
                state=JobState.IN_DOUBT,
                attempt=1,
                reason="read_timeout",
                message="iFax did not answer in time",
                waits_until=LATER,
                policy="resend",
            ),
            STATE,
            (
                "in doubt|Why: read_timeout (iFax did not answer in time).|its policy applies at"
                "|resend: it is sent again|(in 12 s)|`faxline resolve a --accepted JOBID`"
            ),
        ),
        (
            Job(id="a", account="acme", state=JobState.IN_DOUBT),
            STATE,
            (
                "an operator decides|`faxline --account acme show a --reveal`"
                "|`faxline --account acme resolve a --accepted JOBID`|`--fail`"
            ),
        ),
        (Job(id="a", account="default", state=JobState.QUEUED), STATE, "about to be submitted"),
        (
            Job(id="a", account="default", state=JobState.DELIVERED, pages=3, transferred=3),
            STATE,
            "has ended: delivered, 3 of 3 pages",
        ),
        (
            Job(id="a", account="default", state=JobState.FAILED, reason="busy", code=-5, message="Busy"),
            STATE,
            "failed: busy, code -5 (Busy)",
        ),
        (Job(id="a", account="default", state=JobState.UNCONFIRMED), STATE, "no receipt came in time"),
    ],
)
def test_what_holds_a_job_is_said_in_plain_sentences(job: Job, state: AccountState, says: str) -> None:
    text = "\n".join(explanation(job, state))
    for part in says.split("|"):
        assert part in text
    assert all(sentence[-1] == "." for sentence in text.splitlines())


def test_explain_tells_it_for_people_and_for_machines(
    cli: Cli, record: Callable[..., None], redis_client: redis.Redis
) -> None:
    record("a", "queued")
    redis_client.zadd(KEYS.ready, {"b": 1, "a": 2})
    limits: Any = {"requests": 1, "window": 3_600_000_000, "concurrency": 1, "burst": 0}
    redis_client.hset(KEYS.account_state, mapping=limits)
    clock: Any = redis_client.time()
    redis_client.zadd(KEYS.answers, {"t": clock[0] * 1_000_000})
    alone = partial(cli, "explain", "a", at_work=())
    assert "1 job is before it.\nWaiting for the hourly limit" in alone().out
    payload = alone("--json").json
    assert (payload["hold"], payload["place"], payload["state"]) == ("window", 1, "queued")
    assert payload["limit"] == {"used": 1, "effective": 1, "configured": 1}
    assert payload["expected_start"]
    nobody = "No part of the daemon is at work on this Redis; `faxline doctor` says more."
    assert payload["text"][3:] == [nobody]
    assert cli("explain", "a", at_work=["webhook"]).out.splitlines()[-2:] == [
        f"No {role} is at work for account default: start one; `faxline doctor` says more."
        for role in ("dispatcher", "worker")
    ]
    assert len(cli("explain", "a", "--json").json["text"]) == 3


def test_explain_of_a_rejected_entry_tells_the_rejection(cli: Cli, emit: Callable[..., None]) -> None:
    emit("rejected", "a", reason="too_many_pages", member="fax.faxData", message="200 pages at most")
    assert cli("explain", "a").out == (
        "a was rejected by intake and is no job: fax.faxData: 200 pages at most.\n"
    )
    payload = cli("explain", "a", "--json").json
    assert (payload["state"], payload["reason"]) == ("rejected", "too_many_pages")
