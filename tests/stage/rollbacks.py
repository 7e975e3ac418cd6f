"""Processes that hold what they did against a Redis that goes back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import Mock

from faxline import FaxLine
from faxline.contract.orders import Order
from faxline.operating.rollback import Rollback
from faxline_worker.maintenance.long_orders import Maintenance
from faxline_worker.maintenance.rollback_watch import RollbackGuard
from faxline_worker.state.results import Admitted, Mark
from faxline_worker.state.store import Store
from tests.stage.scene import CLOCK, Scene, settings

WAIT = 2.0
OVER = WAIT + 0.1


@dataclass
class Server:
    """The server as the processes know it: its run id."""

    run: str = "first"

    def changes(self) -> None:
        """It is another one, or was started anew."""
        self.run += "'"


@dataclass
class Process:
    """A process that watches: its store, its memory and its guard."""

    scene: Scene
    server: Server
    log: Mock = field(default_factory=Mock)

    def __post_init__(self) -> None:
        self.log.bind.return_value = self.log
        self.guard = RollbackGuard("default", WAIT, self.log, clock=CLOCK)
        self.store = Store(
            self.scene.client,
            settings(),
            "default",
            who="it",
            clock=CLOCK,
            monotonic=lambda: self.scene.seconds,
            memory=self.guard.memory("default"),
        )
        self.guard.stores = {"default": self.store}
        self._connection = self.scene.client.connection_pool.get_connection()
        self.connect()

    def connect(self) -> None:
        """A connection is made."""
        self.guard.connected(self._connection)

    def look(self) -> None:
        """The look that a thread takes now and then."""
        self.guard.look(self.scene.client)

    def comes_back(self) -> None:
        """It sees that the server is another one."""
        self.connect()
        self.look()

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Redis loses what happens meanwhile, and the process notices."""
        moment = self.scene.save()
        yield
        goes_back(self.scene, self.server, moment)
        self.comes_back()

    def send(self, permit: str) -> Admitted:
        """Admit the best job and write the mark."""
        admitted = self.store.submission.admit(permit, "")
        assert isinstance(admitted, Admitted), admitted
        assert self.store.submission.mark(admitted) is Mark.MARKED
        return admitted

    def accepted(self, permit: str, job_id: str) -> Admitted:
        """Send the best job; iFax takes it."""
        admitted = self.send(permit)
        self.store.submission.settle(admitted, {"decision": "accepted", "job_id": job_id})
        return admitted

    def close(self) -> None:
        self.scene.client.connection_pool.release(self._connection)


def paused(scene: Scene) -> str:
    return scene.store.state().paused


def lost(scene: Scene) -> Rollback:
    found = shown(scene)
    assert found is not None
    return found


def shown(scene: Scene) -> Rollback | None:
    with FaxLine(url_of(scene)) as line:
        return line.rollback()


def url_of(scene: Scene) -> str:
    options = scene.client.connection_pool.connection_kwargs
    return f"redis://{options['host']}:{options['port']}/{options['db']}"


def recover(scene: Scene) -> dict[str, Any]:
    """Order that the account goes on, once all have looked. Returns the reply."""
    scene.go(WAIT)
    entry = scene.ordered(Order.RECOVER)
    house = Maintenance(scene.store, Mock(), "dispatcher")
    assert house.carry_out(entry, {"order": Order.RECOVER, "by": "jane"}) == "done"
    reply: Any = scene.client.xrange(scene.keys.reply(entry))
    return dict(json.loads(reply[0][1][b"told"]))


def goes_back(scene: Scene, server: Server, moment: Any) -> None:
    """A file is restored, or a replica that lagged takes over: no time is undone."""
    seconds, permits = scene.seconds, scene._permits
    scene.restore(moment)
    scene.seconds, scene._permits = seconds, permits
    scene.go(0.5)
    server.changes()


def pushed(scene: Scene, process: Process, job: str) -> str:
    """A process registers a fax: the entry of intake."""
    entry = scene.intake()
    process.store.intake.register([scene.item(entry, job)])
    return entry


def lose_all_of_it(scene: Scene, process: Process, **answer: Any) -> None:
    """A fax is pushed and sent in the stretch that is lost; its push is not remembered, as another did it."""
    with process.undone():
        scene.push("sent")
        admitted = process.send("p")
        if answer:
            process.store.submission.settle(admitted, answer)
