"""What a request costs Redis, and how seldom a live page is loaded for it."""

import asyncio
from typing import Any

import pytest

from faxline.steps.commands import Command, Pipeline, Steps
from faxline_console.spending import A_SECOND, OFTEN, begin, counted, pause


def steps(count: int) -> Steps[str]:
    """A command, and a pipeline of so many."""
    one = yield Command(lambda _: None)
    found = yield Pipeline(lambda _: None)
    return f"{one} {len(found)} of {count}"


def run(count: int) -> str:
    """Drive them as a line does."""
    driven: Any = counted(steps(count))
    driven.send(None)
    driven.send("reply")
    with pytest.raises(StopIteration) as ended:
        driven.send([None] * count)
    return str(ended.value.value)


def test_a_page_that_costs_little_is_loaded_every_five_seconds() -> None:
    begin()
    assert run(3) == "reply 3 of 3"
    assert pause() == OFTEN


def test_a_page_that_costs_much_is_loaded_so_seldom_that_a_viewer_costs_four_commands_a_second() -> None:
    begin()
    run(199)
    assert pause() == 200 / A_SECOND


def test_what_a_request_starts_beside_it_counts_for_it_and_for_no_other() -> None:
    async def request(count: int) -> float:
        begin()
        await asyncio.gather(*(asyncio.to_thread(run, count) for _ in range(2)))
        return pause()

    async def both() -> list[float]:
        return [*await asyncio.gather(request(99), request(1))]

    assert asyncio.run(both()) == [200 / A_SECOND, OFTEN]


def test_an_error_is_given_to_the_steps_and_counts() -> None:
    def careful() -> Steps[str]:
        try:
            yield Command(lambda _: None)
        except ZeroDivisionError:
            return "caught"
        return "not raised"

    begin()
    driven: Any = counted(careful())
    driven.send(None)
    with pytest.raises(StopIteration) as ended:
        driven.throw(ZeroDivisionError())
    assert ended.value.value == "caught"
