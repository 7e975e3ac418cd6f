"""The methods of `FaxLine` with which operators pause an account and open it again."""

from faxline.client.base import Blocking
from faxline.contract.orders import Order
from faxline.operating.operations import GIVE_ORDERS, about_pause, pause_or_resume
from faxline.operating.rollback import Recovered, recover
from faxline.reading.account_state import AccountState


class Pauses(Blocking):
    """Pause accounts, find out whether a pause is over, and end it.

    Every order is written to the audit, with `by` and the Redis user.
    """

    def pause(self, *, by: str, timeout: float = 5.0) -> AccountState:
        """Pause the account until `resume`: its jobs stay queued. Return its state after that.

        If an operator has paused it already, the pause begins anew, with both names.

        Example:
            >>> line.pause(by="alice")

        Args:
            by: who orders it, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            OrderTimeout: no dispatcher did it in time. The order stays until one does.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(pause_or_resume(self._context, Order.PAUSE, by, timeout), GIVE_ORDERS)

    def resume(self, *, by: str, pause: str = "", timeout: float = 5.0) -> AccountState:
        """Resume a paused account, whatever the reason for the pause. Return its state after that.

        Example:
            >>> line.resume(by="alice").paused
            ''

        Args:
            by: who orders it, for the audit.
            pause: `AccountState.pause` of what this person saw; a pause that began since then stays. Empty
                ends any.
            timeout: seconds to wait for a dispatcher.

        Raises:
            PauseChanged: another pause than the one that was seen is on.
            StateRolledBack: Redis went back to an older state. `rollback` shows what it lost; `recover`
                resumes the account.
            OrderTimeout: no dispatcher did it in time. The order stays until one does.
            QueueUnavailable: Redis did not answer.
        """
        steps = pause_or_resume(self._context, Order.RESUME, by, timeout, pause)
        return self._run(steps, GIVE_ORDERS)

    def probe(self, *, by: str, pause: str = "", timeout: float = 5.0) -> str:
        """Let the call that finds out whether the account's pause is over go now. Return what comes of it.

        The call is that of the next fax that waits, alone. The account opens when iFax takes it, and stays
        paused otherwise.

        Example:
            >>> line.probe(by="alice: the account is topped up")
            'done'

        Args:
            by: who orders it, for the audit.
            pause: `AccountState.pause` of what this person saw; another pause is not probed. Empty: any.
            timeout: seconds to wait for a dispatcher.

        Returns:
            `done`; or why there is none: `idle` (the account is open), `busy` (a call is under way, and its
            answer tells) or `held` (only an operator ends this pause).

        Raises:
            PauseChanged: another pause than the one that was seen is on.
            StateRolledBack: Redis went back to an older state. `rollback` shows what it lost.
            OrderTimeout: no dispatcher did it in time. The order stays until one does.
            OrderUnknown: the dispatchers are of an older version.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(about_pause(self._context, Order.PROBE, by, timeout, pause), GIVE_ORDERS)

    def recover(self, *, by: str, timeout: float = 60.0) -> Recovered:
        """Restore what is known of the work that Redis lost, and resume the account.

        A fax that was sent and that Redis no longer knows becomes a doubt, or submitted if its jobId is
        known. None is sent again.

        Example:
            >>> line.recover(by="alice").in_doubt
            ('invoice-77',)

        Args:
            by: who orders it, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            NotRolledBack: the account was not rolled back. Nothing was changed.
            OrderTimeout: no dispatcher did it in time. The order stays until one does.
            QueueUnavailable: Redis did not answer, or is full.
        """
        return self._run(recover(self._context, by, timeout), GIVE_ORDERS)
