"""The drivers of the steps: the same questions, asked in a thread or on an event loop."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

from faxline.contract.errors import EventsMissed, FaxlineError, NotReplicated
from faxline.contract.events import Event
from faxline.steps.commands import Ask, Batch, Closing, Followed, Question, Steps, Until, Work
from faxline.steps.redis_errors import unavailable

_T = TypeVar("_T")
_Replied = tuple[Any, Exception | None]


def run(client: Any, steps: Steps[_T]) -> _T:
    """Ask a client with bytes replies until the steps come to their result.

    Raises:
        redis.RedisError: as the client raised it, unless the steps are put `in_our_words`.
    """
    driven = drive(client, steps)
    try:
        next(driven)
    except StopIteration as end:
        result: _T = end.value
        return result
    raise TypeError("these steps give events")


def drive(client: Any, steps: Steps[_T]) -> Generator[Followed, None, _T]:
    """The same for steps that give events on their way. Closed, it lets them end their own way."""
    until: float | None = None
    try:
        asked = next(steps)
        while True:
            if isinstance(asked, Event | EventsMissed):
                try:
                    yield asked
                except GeneratorExit:
                    with suppress(Closing, StopIteration, FaxlineError):
                        asked = steps.throw(Closing())
                        while not isinstance(asked, Event | EventsMissed):
                            asked = _go_on(steps, _replied(client, asked, None))
                    raise
                asked = next(steps)
            else:
                until = asked.at if isinstance(asked, Until) else until
                asked = _go_on(steps, _replied(client, asked, until))
    except StopIteration as end:
        result: _T = end.value
        return result
    finally:
        steps.close()


async def run_async(client: Any, steps: Steps[_T]) -> _T:
    """`run` with an asyncio client."""
    until: float | None = None
    try:
        asked = next(steps)
        while not isinstance(asked, Event | EventsMissed):
            until = asked.at if isinstance(asked, Until) else until
            asked = _go_on(steps, await _replied_async(client, asked, until))
    except StopIteration as end:
        result: _T = end.value
        return result
    finally:
        steps.close()
    raise TypeError("these steps give events")


async def drive_async(
    client: Any, steps: Steps[None], is_open: Callable[[], bool]
) -> AsyncGenerator[Followed, None]:
    """`drive` with an asyncio client; closed after that, it asks it no more."""
    until: float | None = None
    try:
        asked = next(steps)
        while True:
            if isinstance(asked, Event | EventsMissed):
                try:
                    yield asked
                except GeneratorExit:
                    with suppress(Closing, StopIteration, FaxlineError):
                        asked = steps.throw(Closing())
                        while is_open() and not isinstance(asked, Event | EventsMissed):
                            asked = _go_on(steps, await _replied_async(client, asked, None))
                    raise
                asked = next(steps)
            else:
                until = asked.at if isinstance(asked, Until) else until
                asked = _go_on(steps, await _replied_async(client, asked, until))
    except StopIteration:
        return
    finally:
        steps.close()


def in_our_words(steps: Steps[_T], right: str = "", place: str = "") -> Steps[_T]:
    """The same steps; an error of Redis that they let pass becomes the library's own.

    It is not chained, for one may quote what was sent. `right` is what a user needs the right to, in words,
    and `place` where Redis is.

    Raises:
        NotAllowed: this user has not the right.
        QueueUnavailable: Redis did not answer, refused, or is full.
    """
    from redis.exceptions import RedisError  # noqa: PLC0415 - `import faxline` is to be quick

    asked: Question | Followed | None = None
    try:
        asked = next(steps)
        while True:
            try:
                replied: _Replied = ((yield asked), None)
            except Exception as error:  # noqa: BLE001 - the steps decide what it means
                replied = (None, error)
            asked = _go_on(steps, replied)
    except StopIteration as end:
        result: _T = end.value
        return result
    except RedisError as error:
        pushing = getattr(asked, "pushes", False)
        raise unavailable(error, pushing=pushing, right=right, place=place) from None
    finally:
        steps.close()


def _go_on(steps: Steps[_T], replied: _Replied) -> Question | Followed:
    answer, error = replied
    return steps.send(answer) if error is None else steps.throw(error)


def _replied(client: Any, question: Question, until: float | None) -> _Replied:
    try:
        if isinstance(question, Work | Until):
            return (question.call() if isinstance(question, Work) else None), None
        with _its_time(question, until):
            match question:
                case Ask():
                    return question.call(client), None
                case Batch() if question.confirmation:
                    with client.pipeline(transaction=False) as pipe:
                        _fill_confirmed(pipe, question)
                        return _confirmed(question, pipe.execute(raise_on_error=False)), None
                case Batch():
                    with client.pipeline(transaction=question.transaction) as pipe:
                        question.fill(pipe)
                        return pipe.execute(), None
    except Exception as error:  # noqa: BLE001 - the steps decide what it means
        return None, error


async def _replied_async(client: Any, question: Question, until: float | None) -> _Replied:
    import asyncio  # noqa: PLC0415 - only who uses it loads it

    try:
        if isinstance(question, Work | Until):
            return (await asyncio.to_thread(question.call) if isinstance(question, Work) else None), None
        with _its_time(question, until):
            match question:
                case Ask():
                    return await question.call(client), None
                case Batch() if question.confirmation:
                    async with client.pipeline(transaction=False) as pipe:
                        _fill_confirmed(pipe, question)
                        return _confirmed(question, await pipe.execute(raise_on_error=False)), None
                case Batch():
                    async with client.pipeline(transaction=question.transaction) as pipe:
                        question.fill(pipe)
                        return await pipe.execute(), None
    except Exception as error:  # noqa: BLE001 - as above
        return None, error


def _its_time(question: Ask | Batch, until: float | None) -> AbstractContextManager[None]:
    from faxline.contract.deadlines import answered  # noqa: PLC0415 - `import faxline` is to be quick

    if isinstance(question, Ask):
        return answered(question.blocks, until)
    return answered(question.confirmation.timeout if question.confirmation else 0.0, until)


def _fill_confirmed(pipe: Any, batch: Batch) -> None:
    """A transaction and behind it WAIT, which cannot stand inside, in one round trip."""
    pipe.execute_command("MULTI")
    batch.fill(pipe)
    pipe.execute_command("EXEC")
    batch.confirmation.ask(pipe)


def _confirmed(batch: Batch, replies: list[Any]) -> list[Any]:
    """The replies of the transaction.

    Raises:
        redis.ResponseError: Redis refused it, as a whole or in part.
        NotReplicated: it was carried out, and too few replicas have it.
    """
    *queued, done, waited = replies
    for reply in (*queued, done, *(done if isinstance(done, list) else ())):
        if isinstance(reply, Exception):
            raise reply
    if missed := batch.confirmation.missed(waited):
        raise NotReplicated(
            f"stored, but not confirmed: {missed}, so a failover may lose it; to push again with the same id "
            "is safe"
        )
    answer: list[Any] = done
    return answer
