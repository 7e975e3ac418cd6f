"""What happens to jobs by time alone: due jobs move on, due polls are asked, wake-ups are planned."""

from faxline_worker.state.account_context import AccountContext, milliseconds
from faxline_worker.state.results import Change, Polled, TimerRun, WakePlan

SCRIPTS = ("run_timers", "poll", "plan_wakeups")
DUE = 20
"""How many due jobs of each kind one script moves on. The next run follows at once."""


class TimerStore:
    """The timers of one account."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    def run(self, most: int = DUE, *, step: float = 0.0) -> TimerRun:
        """Move on everything that is due and say when to run the timers again.

        Args:
            most: how many jobs of each kind in one call.
            step: how far (s) Redis' clock stepped since the last run; negative is back.
        """
        reply = self._context.run_timed("run_timers", self._context.options, most, milliseconds(step) or "")
        return TimerRun(
            next=reply["next"] / 1000,
            ready=reply["ready"],
            match=reply["match"],
            newer=reply.get("newer", False),
            poll=reply.get("poll", False),
            changes=tuple(Change(**change) for change in reply.get("changes", ())),
            failures=tuple((one["job"], one["receipt"]) for one in reply.get("failures", ())),
        )

    def poll(self, most: int = DUE) -> Polled:
        """Let due status questions that have room into the ready set, at most `most` in one call."""
        reply = self._context.run_timed("poll", self._context.options, most)
        after = reply.get("next")
        return Polled(reply["asked"], after / 1000 if after is not None else None)

    def plan_wakeups(self, horizon: float = 2.0, most: int = 64) -> WakePlan:
        """Decide which wake-ups to send now and within the horizon.

        Args:
            horizon: seconds to plan ahead.
            most: how many wake-ups may be on their way at once.
        """
        reply = self._context.run_timed("plan_wakeups", self._context.options, milliseconds(horizon), most)
        after = reply.get("next")
        return WakePlan(
            wakes=tuple((token, wait / 1000) for token, wait in reply.get("wakes", ())),
            next=after / 1000 if after is not None else None,
        )
