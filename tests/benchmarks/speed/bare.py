"""The baseline of throughput and latency: a Dramatiq actor that makes the same POST and keeps no state.

`dramatiq tests.benchmarks.speed.bare:worker` runs it on the stock RedisBroker; BARE tells it what to do.
"""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

import dramatiq
import httpx
from dramatiq.brokers.redis import RedisBroker

from faxline_local.processes import Part, wait_for
from faxline_local.stack import Local, token_of
from tests.benchmarks.pushes import fax

VARIABLE = "BARE"
TIMEOUT = 30.0
START_SECONDS = 30.0


@dataclass(frozen=True)
class Setup:
    """The parameters of the bare actor."""

    broker_url: str
    ifax_url: str

    def environment(self) -> dict[str, str]:
        """The variable that carries it."""
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def read(cls) -> Self:
        """Out of this process's environment."""
        return cls(**json.loads(os.environ[VARIABLE]))


def declare(setup: Setup) -> "tuple[RedisBroker, dramatiq.Actor[[str, str], None]]":
    """The broker with its default middleware, and the actor."""
    broker = RedisBroker(url=setup.broker_url)  # type: ignore[no-untyped-call]
    client = httpx.Client(timeout=TIMEOUT, trust_env=False)
    url = f"{setup.ifax_url}/customer/fax-send"

    def post(account: str, subject: str) -> None:
        client.post(url, json=fax(subject), headers={"accessToken": token_of(account)}).raise_for_status()

    return broker, dramatiq.actor(broker=broker)(post)


def worker() -> None:
    """What `dramatiq` calls in the worker process."""
    dramatiq.set_broker(declare(Setup.read())[0])


class Bare:
    """A worker of it beside the parts of a `Local`, and a producer.

    Args:
        local: whose server it uses, in a database of its own.
        ifax_url: where it POSTs.
        threads: calls at once.
    """

    def __init__(self, local: Local, ifax_url: str, threads: int) -> None:
        setup = Setup(local.server.url(5), ifax_url)
        self.broker, self._actor = declare(setup)
        arguments = ("-p", "1", "-t", str(threads), "--skip-logging", "tests.benchmarks.speed.bare:worker")
        environment = os.environ | setup.environment() | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self.part: Part = local.add("bare", [sys.executable, "-m", "dramatiq", *arguments], environment)
        client: Any = self.broker.client
        if not wait_for(lambda: client.zcard("dramatiq:__heartbeats__") >= 1, START_SECONDS):
            raise TimeoutError("the bare worker did not start; see its log")

    def push(self, faxes: Iterable[tuple[str, str]]) -> None:
        """One message a fax (account, subject)."""
        for account, subject in faxes:
            self._actor.send(account, subject)

    def close(self) -> None:
        """Close the producer."""
        self.broker.close()
