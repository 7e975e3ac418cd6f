"""A bound on a task's step: what is cut off, when, and what is left alone."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from faxline_worker.receipts.deadlines import Deadline

Run = Callable[[Callable[[], Awaitable[None]]], None]
LONG = 60.0


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a scenario on either loop; it must be over in a moment."""

    def run(scenario: Callable[[], Awaitable[None]]) -> None:
        async def bounded() -> None:
            await asyncio.wait_for(scenario(), 10)

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(bounded())

    return run


async def cut_off(deadline: Deadline) -> bool:
    """Whether a wait for ever ends by the deadline."""
    try:
        with deadline():
            await asyncio.Event().wait()
    except TimeoutError:
        return True
    return False


def test_a_step_that_takes_too_long_is_cut_off_with_a_timeout_error(run: Run) -> None:
    async def scenario() -> None:
        assert await cut_off(Deadline(0.01))
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0  # so that what comes after may wait again

    run(scenario)


def test_a_step_that_ends_in_time_is_left_alone_and_so_is_what_comes_after(run: Run) -> None:
    async def scenario() -> None:
        deadline = Deadline(0.01)
        with deadline():
            await asyncio.sleep(0)
        await asyncio.sleep(0.03)  # its time runs out here, with nobody in it
        assert await cut_off(deadline)

    run(scenario)


def test_each_of_many_steps_has_the_whole_time(run: Run) -> None:
    async def scenario() -> None:
        loop, deadline = asyncio.get_running_loop(), Deadline(0.05)

        async def step(after: float) -> float:
            await asyncio.sleep(after)
            began = loop.time()
            assert await cut_off(deadline)
            return loop.time() - began

        lasted = await asyncio.gather(*(step(i / 100) for i in range(10)))
        assert min(lasted) >= 0.05 - 0.002  # a loop's clock may have whole milliseconds only

    run(scenario)


def test_steps_that_end_in_time_do_not_keep_others_from_being_cut_off(run: Run) -> None:
    async def scenario() -> None:
        deadline, enough = Deadline(0.03), asyncio.Event()

        async def ends() -> bool:
            with deadline():
                await enough.wait()
            return False

        steps = [asyncio.create_task(one) for one in (ends(), cut_off(deadline), ends(), cut_off(deadline))]
        await asyncio.sleep(0)
        enough.set()
        assert await asyncio.gather(*steps) == [False, True, False, True]

    run(scenario)


def test_who_is_canceled_by_another_stays_canceled(run: Run) -> None:
    async def scenario() -> None:
        step = asyncio.create_task(cut_off(Deadline(LONG)))
        await asyncio.sleep(0)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step

    run(scenario)


def test_who_is_canceled_by_another_in_the_moment_of_the_deadline_stays_canceled(run: Run) -> None:
    async def scenario() -> None:
        step = asyncio.create_task(cut_off(Deadline(0)))
        await asyncio.sleep(0)  # it begins
        await asyncio.sleep(0)  # in this turn of the loop its deadline comes, and it runs again in the next
        step.cancel()
        await asyncio.wait([step])
        assert step.cancelled()

    run(scenario)


def test_an_error_of_the_step_itself_comes_through(run: Run) -> None:
    async def scenario() -> None:
        with pytest.raises(LookupError), Deadline(LONG)():
            raise LookupError

    run(scenario)


def test_a_deadline_serves_one_loop_after_another(run: Run) -> None:
    deadline = Deadline(0.05)

    async def ends() -> None:
        with deadline():  # leaves its timer behind
            await asyncio.sleep(0)

    async def hangs() -> None:
        assert await cut_off(deadline)

    run(ends)
    run(hangs)


def test_outside_of_a_task_there_is_nothing_to_bound(run: Run) -> None:
    async def scenario() -> None:
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def call() -> None:
            try:
                Deadline(LONG)().__enter__()
            except RuntimeError as error:
                told.set_exception(error)

        asyncio.get_running_loop().call_soon(call)
        with pytest.raises(RuntimeError, match="a deadline is for a step of a task"):
            await told

    run(scenario)
