"""The sandbox's three limits, at their boundaries, by an injected clock."""

import asyncio
import random
from typing import Any

import httpx
import pytest

from faxline_sandbox.app import create_app
from faxline_sandbox.config import Account, Limits, SandboxConfig
from faxline_sandbox.limits import Excess, LimitKeeper

SECOND = 10**9
FAX = {
    "faxNumber": "+12025550123",
    "faxData": [{"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}],
}


def pass_by(keeper: LimitKeeper, at: int) -> Excess | None:
    """A request that is answered the moment it arrives."""
    excess = keeper.arrive(at)
    if excess is None:
        keeper.leave()
    return excess


def test_the_window_holds_so_many_requests_and_frees_a_place_exactly_when_its_oldest_is_one_window_old() -> (
    None
):
    keeper = LimitKeeper(Limits(requests=3, window=10, concurrency=20, burst=50))
    assert [pass_by(keeper, at * SECOND) for at in (0, 1, 2)] == [None, None, None]
    assert pass_by(keeper, 10 * SECOND - 1) == Excess("window", 1)
    assert pass_by(keeper, 10 * SECOND) is None
    assert pass_by(keeper, 10 * SECOND) == Excess("window", 1)
    assert pass_by(keeper, 11 * SECOND) is None
    assert keeper.max_in_window == 3


def test_retry_after_of_the_window_is_the_whole_seconds_until_the_oldest_leaves() -> None:
    keeper = LimitKeeper(Limits(requests=1, window=3600, burst=50))
    assert pass_by(keeper, 0) is None
    assert pass_by(keeper, 1) == Excess("window", 3600)
    assert pass_by(keeper, SECOND) == Excess("window", 3599)
    assert pass_by(keeper, 3599 * SECOND + 1) == Excess("window", 1)


def test_the_burst_is_a_bucket_that_gains_requests_per_window_each_second_exactly() -> None:
    keeper = LimitKeeper(Limits(requests=1000, window=3600, concurrency=20, burst=50))
    assert {pass_by(keeper, 0) for _ in range(50)} == {None}
    assert pass_by(keeper, 0) == Excess("burst", 4)
    assert pass_by(keeper, 3_599_999_999) == Excess("burst", 1)
    assert pass_by(keeper, 3_600_000_000) is None
    assert pass_by(keeper, 3_600_000_000) == Excess("burst", 4)


def test_the_bucket_never_holds_more_than_its_capacity() -> None:
    keeper = LimitKeeper(Limits(requests=1000, window=3600, burst=2))
    later = 1000 * SECOND
    assert pass_by(keeper, 0) is None
    assert [pass_by(keeper, later) for _ in range(3)] == [None, None, Excess("burst", 4)]


def test_the_bucket_refills_without_rounding_over_millions_of_small_steps() -> None:
    keeper = LimitKeeper(Limits(requests=7, window=0.000_003, burst=1))  # a token each 428.57 ns
    assert pass_by(keeper, 0) is None
    admitted = [at for at in range(1, 3000) if pass_by(keeper, at) is None]
    assert admitted[:3] == [429, 858, 1287]
    assert len(admitted) == 6


def test_concurrency_counts_from_arrival_until_the_request_leaves() -> None:
    keeper = LimitKeeper(Limits(concurrency=2))
    assert [keeper.arrive(0), keeper.arrive(0)] == [None, None]
    assert keeper.arrive(0) == Excess("concurrency", 1)
    keeper.leave()
    assert keeper.arrive(0) is None
    assert keeper.max_concurrent == 3


def test_a_refused_request_takes_neither_a_place_nor_a_token() -> None:
    keeper = LimitKeeper(Limits(requests=2, window=10, burst=1))
    assert pass_by(keeper, 0) is None
    for at in range(10):
        assert pass_by(keeper, at) == Excess("burst", 5)
    assert pass_by(keeper, 5 * SECOND) is None
    assert pass_by(keeper, 10 * SECOND) is None


def test_a_request_with_an_older_stamp_counts_from_the_latest_arrival() -> None:
    keeper = LimitKeeper(Limits(requests=1, window=10))
    assert pass_by(keeper, 5 * SECOND) is None
    assert pass_by(keeper, 4 * SECOND) == Excess("window", 10)
    assert pass_by(keeper, 15 * SECOND) is None


def test_no_window_ever_holds_more_than_allowed_whatever_the_arrivals() -> None:
    chance = random.Random(7)
    keeper = LimitKeeper(Limits(requests=20, window=1, concurrency=20, burst=8))
    at, admitted = 0, []
    for _ in range(5000):
        at += chance.randrange(40_000_000)
        if pass_by(keeper, at) is None:
            admitted.append(at)
    assert len(admitted) > 1000
    assert all(late - early >= SECOND for early, late in zip(admitted, admitted[20:], strict=False))
    # A bucket of 8 that gains 20 a second: k more requests need the time of k - 8 tokens.
    for count in range(9, 40):
        least = (count - 8) * SECOND // 20
        assert all(b - a >= least for a, b in zip(admitted, admitted[count - 1 :], strict=False))


class Clock:
    """Nanoseconds that stand still until they are set."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


async def requests_at(moments: list[float], limits: Limits, **request: Any) -> list[httpx.Response]:
    """One request after the other to a sandbox whose clock is set, in seconds."""
    clock = Clock()
    config = SandboxConfig(accounts={"t": Account(), "u": Account(label="other")}, limits=limits)
    app = create_app(config, clock=clock)
    answers = []
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ifax/v1") as client,
    ):
        for moment in moments:
            clock.now = round(moment * SECOND)
            answers.append(await client.post("/customer/fax-send", **request))
    return answers


def test_a_429_has_the_documented_code_and_a_retry_after_in_whole_seconds() -> None:
    limits = Limits(requests=1, window=10)
    headers = {"accessToken": "t"}
    first, second, third = asyncio.run(requests_at([0, 2.5, 10], limits, headers=headers, json=FAX))
    assert (first.status_code, second.status_code, third.status_code) == (200, 429, 200)
    assert second.json() == {
        "status": -1,
        "code": -3010,
        "message": "Rate limit exceeded: window, try again in 8 s",
    }
    assert second.headers["Retry-After"] == "8"


@pytest.mark.parametrize("body", [b"no json", b'{"faxNumber": "12"}'])
def test_a_request_that_is_refused_for_another_reason_counts_all_the_same(body: bytes) -> None:
    limits = Limits(requests=2, window=10)
    headers = {"accessToken": "t", "Content-Type": "application/json"}
    answers = asyncio.run(requests_at([0, 1, 2], limits, headers=headers, content=body))
    assert [answer.status_code for answer in answers] == [400, 400, 429]


def test_a_request_with_an_unknown_key_counts_for_nobody() -> None:
    limits = Limits(requests=1, window=10)
    answers = asyncio.run(requests_at([0, 0, 0], limits, headers={"accessToken": "nobody"}, json=FAX))
    assert [answer.status_code for answer in answers] == [401, 401, 401]
