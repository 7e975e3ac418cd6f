"""Carry steps out: with a blocking client, or with an asyncio client on an event loop."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

from redis.exceptions import RedisError

from faxline.contract.connections.deadlines import answered
from faxline.contract.errors import EventsMissed, FaxlineError, NotReplicated
from faxline.contract.events import Event
from faxline.steps.commands import Closing, Command, Deadline, Followed, Pipeline, RunInThread, Step, Steps
from faxline.steps.redis_errors import unavailable, with_id

_T = TypeVar("_T")
_Replied = tuple[Any, Exception | None]


def run(client: Any, steps: Steps[_T]) -> _T:
    """Carry steps out with a client that replies in bytes, and return their result.

    Raises:
        redis.RedisError: as the client raised it, unless the steps are wrapped in `translate_errors`.
    """
    driven = drive(client, steps)
    try:
        next(driven)
    except StopIteration as end:
        result: _T = end.value
        return result
    raise TypeError("these steps yield events")


def drive(client: Any, steps: Steps[_T]) -> Generator[Followed, None, _T]:
    """`run` for steps that yield events. When it is closed, the steps may still finish their cleanup."""
    until: float | None = None
    try:
        current = next(steps)
        while True:
            if isinstance(current, Event | EventsMissed):
                try:
                    yield current
                except GeneratorExit:
                    with suppress(Closing, StopIteration, FaxlineError):
                        current = steps.throw(Closing())
                        while not isinstance(current, Event | EventsMissed):
                            current = _go_on(steps, _replied(client, current, None))
                    raise
                current = next(steps)
            else:
                until = current.at if isinstance(current, Deadline) else until
                current = _go_on(steps, _replied(client, current, until))
    except StopIteration as end:
        result: _T = end.value
        return result
    finally:
        steps.close()


async def run_async(client: Any, steps: Steps[_T]) -> _T:
    """`run` with an asyncio client."""
    until: float | None = None
    try:
        current = next(steps)
        while not isinstance(current, Event | EventsMissed):
            until = current.at if isinstance(current, Deadline) else until
            current = _go_on(steps, await _replied_async(client, current, until))
    except StopIteration as end:
        result: _T = end.value
        return result
    finally:
        steps.close()
    raise TypeError("these steps yield events")


async def drive_async(
    client: Any, steps: Steps[None], is_open: Callable[[], bool]
) -> AsyncGenerator[Followed, None]:
    """`drive` with an asyncio client. Once the client is closed, no further command is sent."""
    until: float | None = None
    try:
        current = next(steps)
        while True:
            if isinstance(current, Event | EventsMissed):
                try:
                    yield current
                except GeneratorExit:
                    with suppress(Closing, StopIteration, FaxlineError):
                        current = steps.throw(Closing())
                        while is_open() and not isinstance(current, Event | EventsMissed):
                            current = _go_on(steps, await _replied_async(client, current, None))
                    raise
                current = next(steps)
            else:
                until = current.at if isinstance(current, Deadline) else until
                current = _go_on(steps, await _replied_async(client, current, until))
    except StopIteration:
        return
    finally:
        steps.close()


def translate_errors(steps: Steps[_T], right: str = "", place: str = "") -> Steps[_T]:
    """Raise Redis errors that the steps do not handle as errors of `faxline.contract.errors`.

    The new error has no cause, because an error of Redis may quote what was sent.

    Args:
        steps: the steps to wrap.
        right: what the Redis user needs the right to do, such as `read the audit`.
        place: the address of Redis, for the message.

    Raises:
        NotAllowed: this Redis user lacks the right.
        QueueUnavailable: Redis did not answer, refused, or is full.
    """
    current: Step | Followed | None = None
    try:
        current = next(steps)
        while True:
            try:
                replied: _Replied = ((yield current), None)
            except Exception as error:  # noqa: BLE001 - the steps decide what it means
                replied = (None, error)
            current = _go_on(steps, replied)
    except StopIteration as end:
        result: _T = end.value
        return result
    except RedisError as error:
        pushing, name = getattr(current, "pushes", False), getattr(current, "id", None)
        raise unavailable(error, pushing=pushing, right=right, place=place, name=name) from None
    finally:
        steps.close()


def _go_on(steps: Steps[_T], replied: _Replied) -> Step | Followed:
    answer, error = replied
    return steps.send(answer) if error is None else steps.throw(error)


def _replied(client: Any, step: Step, until: float | None) -> _Replied:
    try:
        if isinstance(step, RunInThread | Deadline):
            return (step.call() if isinstance(step, RunInThread) else None), None
        with _within_time(step, until):
            match step:
                case Command():
                    return step.call(client), None
                case Pipeline() if step.confirmation:
                    with client.pipeline(transaction=False) as pipe:
                        _fill_confirmed(pipe, step)
                        return _confirmed(step, pipe.execute(raise_on_error=False)), None
                case Pipeline():
                    with client.pipeline(transaction=step.transaction) as pipe:
                        step.fill(pipe)
                        return pipe.execute(), None
    except Exception as error:  # noqa: BLE001 - the steps decide what it means
        return None, error


async def _replied_async(client: Any, step: Step, until: float | None) -> _Replied:
    try:
        if isinstance(step, RunInThread | Deadline):
            return (await asyncio.to_thread(step.call) if isinstance(step, RunInThread) else None), None
        with _within_time(step, until):
            match step:
                case Command():
                    return await step.call(client), None
                case Pipeline() if step.confirmation:
                    async with client.pipeline(transaction=False) as pipe:
                        _fill_confirmed(pipe, step)
                        return _confirmed(step, await pipe.execute(raise_on_error=False)), None
                case Pipeline():
                    async with client.pipeline(transaction=step.transaction) as pipe:
                        step.fill(pipe)
                        return await pipe.execute(), None
    except Exception as error:  # noqa: BLE001 - as above
        return None, error


def _within_time(step: Command | Pipeline, until: float | None) -> AbstractContextManager[None]:
    if isinstance(step, Command):
        return answered(step.blocks, until)
    return answered(step.confirmation.timeout if step.confirmation else 0.0, until)


def _fill_confirmed(pipe: Any, pipeline: Pipeline) -> None:
    """Queue a transaction and then WAIT, which is not allowed inside one, for a single round trip."""
    pipe.execute_command("MULTI")
    pipeline.fill(pipe)
    pipe.execute_command("EXEC")
    pipeline.confirmation.ask(pipe)


def _confirmed(pipeline: Pipeline, replies: list[Any]) -> list[Any]:
    """Return the replies of the transaction.

    Raises:
        redis.ResponseError: Redis refused the transaction or a command in it.
        NotReplicated: the transaction ran, but too few replicas confirmed it.
    """
    *queued, done, waited = replies
    for reply in (*queued, done, *(done if isinstance(done, list) else ())):
        if isinstance(reply, Exception):
            raise reply
    if missed := pipeline.confirmation.missed(waited):
        raise NotReplicated(
            f"stored, but not confirmed: {missed}, so a failover may lose it; push it again"
            f"{with_id(pipeline.id)}: to push again with the same id is safe",
            pipeline.id,
        )
    answer: list[Any] = done
    return answer
