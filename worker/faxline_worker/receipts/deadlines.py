"""A bound on the time of an asyncio task's step, for steps that are many and nearly always end in time."""

import asyncio
from types import TracebackType


class Deadline:
    """What `asyncio.timeout(seconds)` does, with one timer for all that are bounded at the same time.

    `asyncio.timeout` makes a timer and takes it down again for each use, which costs a webhook as much as its
    signature. Whoever waits here has the same number of seconds, so they run out in the order they began:
    one timer, for the first, is enough, and a step that ends in time leaves it alone.

        store = Deadline(5.0)
        with store():
            await something()

    It may be used from one event loop after another, not from two at a time.

    Args:
        seconds: that a step may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._steps: dict[_Step, None] = {}
        """Those under way, in the order of their ends."""
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> "_Step":
        """A context for one step of the current task.

        Raises:
            TimeoutError: when it is left, if its time ran out and the step was cut off.
            RuntimeError: there is no current task.
        """
        return _Step(self)

    def begin(self, step: "_Step") -> None:
        """Watch a step of the current task."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline is for a step of a task")
        loop = task.get_loop()
        step.task = task
        step.cancelling = task.cancelling()
        step.end = loop.time() + self._seconds
        self._steps[step] = None
        if self._timer is None or self._loop is not loop:  # a loop that ended took its timer along
            self._loop = loop
            self._timer = loop.call_at(step.end, self._ring, loop)

    def end(self, step: "_Step") -> None:
        """Watch it no more."""
        self._steps.pop(step, None)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cut off what is over, and come again for the next."""
        self._timer = None
        now = loop.time()
        while self._steps:
            step = next(iter(self._steps))
            if step.end > now:
                self._timer = loop.call_at(step.end, self._ring, loop)
                return
            del self._steps[step]
            step.expired = True
            step.task.cancel()


class _Step:
    """One use of a deadline."""

    __slots__ = ("_deadline", "cancelling", "end", "expired", "task")

    task: asyncio.Task[object]
    cancelling: int
    """Cancellations of the task by others, before."""
    end: float
    """By the loop's clock."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self.expired = False

    def __enter__(self) -> None:
        self._deadline.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadline.end(self)
        # As asyncio.timeout does: who was canceled by somebody else as well stays canceled.
        if self.expired and self.task.uncancel() <= self.cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
