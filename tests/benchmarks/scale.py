"""How large a run is: the scaled limits, the backlog, the time."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Scale:
    """One size of every measurement. Durations are in seconds.

    Args:
        requests, window, concurrency, burst: the limits of an account.
        answer_seconds: least and most time that the sandbox takes for an answer.
        seconds: how long a contender runs from its first arrival on, unless everything is accepted before.
        faxes: the bulk backlog; None is what the limits let through in that time.
        urgent_every: from one urgent fax to the next.
        samples: jobs whose expected start is compared with their arrival.
        workers, threads: worker processes, and calls at once in each.
        accounts: how many share one daemon; the last of them hangs in the second half.
        account_requests, account_window, account_concurrency, account_burst: the limits of each of these.
        account_windows: how many windows each half takes.
        http_timeout: after which a hanging call ends.
    """

    requests: int = 1000
    window: int = 60
    concurrency: int = 20
    burst: int = 50
    answer_seconds: tuple[float, float] = (0.05, 0.5)
    seconds: float = 300.0
    faxes: int | None = None
    urgent_every: float = 5.0
    samples: int = 500
    workers: int = 2
    threads: int = 20
    accounts: int = 50
    account_requests: int = 60
    account_window: int = 60
    account_concurrency: int = 20
    account_burst: int = 20
    account_windows: int = 2
    http_timeout: float = 5.0

    @property
    def backlog(self) -> int:
        """The bulk faxes of a run."""
        return self.faxes or round(self.requests * self.seconds / self.window)

    @property
    def rate(self) -> float:
        """Requests a second that the window allows."""
        return self.requests / self.window

    def settings(self) -> dict[str, str]:
        """The limits as Faxline's settings."""
        return {
            "LIMITS__REQUESTS": str(self.requests),
            "LIMITS__WINDOW": str(self.window),
            "LIMITS__CONCURRENCY": str(self.concurrency),
            "LIMITS__BURST": str(self.burst),
        }

    def sandbox(self) -> tuple[str, ...]:
        """The limits and the answers as options of the sandbox; calls are short."""
        limits = {
            "--requests": self.requests,
            "--window": self.window,
            "--concurrency": self.concurrency,
            "--burst": self.burst,
            "--call-seconds": 0.5,
            "--page-seconds": 0.1,
        }
        least, most = self.answer_seconds
        words = [word for name, value in limits.items() for word in (name, str(value))]
        return (*words, "--answer-seconds", str(least), str(most))

    def of_an_account(self) -> "Scale":
        """The same with the limits of one among many accounts."""
        return replace(
            self,
            requests=self.account_requests,
            window=self.account_window,
            concurrency=self.account_concurrency,
            burst=self.account_burst,
        )


FULL = Scale()
SHORT = Scale(
    requests=40,
    window=1,
    burst=10,
    answer_seconds=(0.01, 0.1),
    seconds=2.0,
    urgent_every=0.5,
    samples=20,
    accounts=4,
    account_requests=5,
    account_window=1,
    account_burst=3,
    account_windows=1,
    http_timeout=1.0,
)
"""Proves that everything runs; its figures mean nothing."""
