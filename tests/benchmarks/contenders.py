"""The three contenders: what each starts, and how a fax is pushed to it."""

import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import redis

from faxline import FaxLine
from faxline.contract.redis_keys import RedisKeys
from faxline_local.processes import wait_for
from faxline_local.stack import DEFAULT, Local, token_of
from tests.benchmarks.baselines import Actors, Setup, paced_actors, plain_actors
from tests.benchmarks.pushes import URL, fax
from tests.benchmarks.scale import Scale

START_SECONDS = 30.0
PAGE = 500


class Contender(ABC):
    """One way to send faxes inside the limits.

    Args:
        scale: the size of the run.
    """

    name: str

    def __init__(self, scale: Scale) -> None:
        self.scale = scale

    @abstractmethod
    def parts(self, directory: Path) -> Local:
        """A fresh server, a fresh sandbox, and what of the daemon it needs."""

    @abstractmethod
    def begin(self, local: Local) -> None:
        """Start the rest, and wait until the workers are idle."""

    @abstractmethod
    def push_backlog(self, names: Sequence[str]) -> None:
        """Push the bulk faxes."""

    @abstractmethod
    def push_urgent(self, name: str) -> None:
        """Push one urgent fax."""

    @abstractmethod
    def end(self) -> None:
        """Close the pusher's connections."""


class Faxline(Contender):
    """This daemon, without its webhook: iFax's limits are about submissions."""

    name = "faxline"
    _line: FaxLine

    def parts(self, directory: Path) -> Local:
        """A dispatcher and the workers."""
        return Local(
            directory,
            workers=self.scale.workers,
            threads=self.scale.threads,
            webhooks=0,
            settings=self.scale.settings(),
            sandbox=self.scale.sandbox(),
        )

    def begin(self, local: Local) -> None:
        """Nothing more to start."""
        self._line = FaxLine(local.redis_url)
        self._client = redis.Redis.from_url(local.redis_url)

    def push_backlog(self, names: Sequence[str]) -> None:
        """By hand, as any service may."""
        push_entries(self._client, DEFAULT, names)

    def push_urgent(self, name: str) -> None:
        """By the producers' library."""
        self._line.send(to=fax(name)["faxNumber"], files=[URL], id=name, subject=name, priority="urgent")

    def end(self) -> None:
        """Close both clients."""
        self._line.close()
        self._client.close()


class Baseline(Contender):
    """Dramatiq workers without Faxline, beside a server and a sandbox."""

    _worker: str
    _actors: Callable[[Setup], Actors]
    _made: Actors

    def parts(self, directory: Path) -> Local:
        """Nothing of the daemon."""
        return Local(directory, workers=0, dispatchers=0, webhooks=0, sandbox=self.scale.sandbox())

    def begin(self, local: Local) -> None:
        """Start the workers; each that fetches has a heartbeat."""
        setup = Setup(
            redis_url=local.redis_url,
            ifax_url=local.ifax_url,
            token=token_of(DEFAULT),
            requests=self.scale.requests,
            window=self.scale.window,
            concurrency=self.scale.concurrency,
        )
        self._made = self._actors(setup)
        environment = os.environ | setup.environment() | {"PYTHONPATH": os.pathsep.join(sys.path)}
        arguments = ("-p", "1", "-t", str(self.scale.threads), "--worker-shutdown-timeout", "5000")
        worker = f"tests.benchmarks.baselines:{self._worker}"
        for i in range(1, self.scale.workers + 1):
            command = [sys.executable, "-m", "dramatiq", *arguments, worker]
            local.add(f"{self.name}-{i}", command, environment)
        client: Any = self._made.broker.client
        if not wait_for(lambda: client.zcard("dramatiq:__heartbeats__") >= self.scale.workers, START_SECONDS):
            raise TimeoutError(f"the workers of {self.name} did not start; see their logs")

    def push_backlog(self, names: Sequence[str]) -> None:
        """One message a fax."""
        for name in names:
            self._made.bulk.send(name)

    def push_urgent(self, name: str) -> None:
        """One message."""
        self._made.urgent.send(name)

    def end(self) -> None:
        """Close the broker."""
        self._made.broker.close()


class Plain(Baseline):
    """Dramatiq's own limiters and retries."""

    name = "plain"
    _worker = "plain_worker"
    _actors = staticmethod(plain_actors)


class Paced(Baseline):
    """The same with hand-tuned pacing."""

    name = "paced"
    _worker = "paced_worker"
    _actors = staticmethod(paced_actors)

    def push_backlog(self, names: Sequence[str]) -> None:
        """Each message is delayed so that bulk and urgent faxes together come at the rate of the limits."""
        interval = 1 / (self.scale.rate - 1 / self.scale.urgent_every)
        for i, name in enumerate(names):
            self._made.bulk.send_with_options(args=(name,), delay=round(i * interval * 1000))


CONTENDERS: dict[str, type[Contender]] = {kind.name: kind for kind in (Faxline, Plain, Paced)}


def push_entries(client: redis.Redis, account: str, names: Sequence[str]) -> None:
    """Push bulk faxes by XADD, many in one round trip."""
    intake = RedisKeys(account).intake
    for start in range(0, len(names), PAGE):
        with client.pipeline(transaction=False) as pipe:
            for name in names[start : start + PAGE]:
                entry = {"id": name, "priority": "bulk", "fax": fax(name)}
                pipe.xadd(intake, {"send": json.dumps(entry)})
            pipe.execute()
