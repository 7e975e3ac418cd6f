"""How many commands of Redis a request costs, and how often a live page may be loaded for it."""

from contextvars import ContextVar
from typing import TypeVar

from faxline.steps.commands import Command, Pipeline, Steps

OFTEN = 5.0
"""Seconds between two loads of a live page at least."""
A_SECOND = 4
"""Commands a second that the loads of a live page may cost. The stream of changes takes one more."""
_T = TypeVar("_T")
_spent: ContextVar[list[int]] = ContextVar("spent")


def begin() -> None:
    """Count from here on, for this request and all that it starts."""
    _spent.set([0])


def pause() -> float:
    """Seconds until a page that cost so much may be loaded again by itself.

    Example:
        >>> begin()
        >>> pause()
        5.0
    """
    return max(OFTEN, sum(_spent.get([])) / A_SECOND)


def spend(commands: int) -> None:
    """Count so many commands more: one that looks at very many ids keeps Redis as long as many do."""
    if (spent := _spent.get(None)) is not None:
        spent[0] += commands


def counted(steps: Steps[_T]) -> Steps[_T]:
    """The same steps. Their commands count for the request."""
    reply, error = None, None
    while True:
        try:
            step = steps.throw(error) if error is not None else steps.send(reply)
        except StopIteration as ended:
            found: _T = ended.value
            return found
        try:
            reply, error = (yield step), None
        except Exception as raised:  # noqa: BLE001 - it is given to the steps
            reply, error = None, raised
        spend(_commands(step, reply))


def _commands(step: object, reply: object) -> int:
    if isinstance(step, Pipeline):
        return len(reply) if isinstance(reply, list) else 1
    return int(isinstance(step, Command))
