"""The dispatcher: takes intake entries, runs the timers, sends the wake-ups. Any number may run at once.

Each part has a thread of its own, which blocks and polls nothing: intake and slow documents
(intake_threads.py), the listener (listener.py), the timers (timers.py), long-running orders
(operator_orders.py) and the gauges (gauges.py). Each beats as it goes round (pulse.py). While Redis is away
they wait for it.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import redis
import structlog

from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.pdf.reader import PdfReader
from faxline.steps.redis_errors import trouble
from faxline_worker.dispatcher.account_listener import MANY, MOST, AccountListener
from faxline_worker.dispatcher.context import PAUSE, DispatcherContext
from faxline_worker.dispatcher.gauges import Gauges
from faxline_worker.dispatcher.intake_bell import IntakeBell
from faxline_worker.dispatcher.intake_threads import IntakeThreads
from faxline_worker.dispatcher.listener import Listener
from faxline_worker.dispatcher.lost_nodes import LostNodes
from faxline_worker.dispatcher.operator_orders import LongOrders, OperatorOrders
from faxline_worker.dispatcher.served import Served
from faxline_worker.dispatcher.shares import Shares
from faxline_worker.dispatcher.stream_watch import StreamWatch
from faxline_worker.dispatcher.timers import Timers
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.state.account_list import AccountList
from faxline_worker.state.redis_clients import unserved
from faxline_worker.state.schema import NewerLayoutError
from faxline_worker.state.store import Store
from faxline_worker.wakeups.actors import Wakes

NEWS = 10.0
"""After this many seconds of work, a new outage of Redis is logged again."""
GROUP_GONE = ("NOGROUP", "UNBLOCKED")
"""How Redis answers a read in a group whose stream was replaced."""


class Dispatcher:
    """Runs from `start` until `stop`.

    Args:
        client: a client whose socket timeout is longer than `context.BLOCK`.
        stores: the state of every account, by name. All are served, unless it is a `Served`.
        wakes: sends the Dramatiq messages.
        metrics: the dispatcher's metrics.
        log: the dispatcher's log.
        consumer: this dispatcher's name in the consumer group, unique among those that run.
        takeover: seconds after which another dispatcher's unfinished entries are taken over.
        sweep: seconds between two looks at an account for which nothing was scheduled.
        wake_lease: seconds after which a wake-up that no actor took is sent again.
        file_hosts: the hosts that a fileUrl may name; () allows any.
        pdf_reader: makes the reader that opens PDFs.
        loops: gets a loop for each thread, which beats as it goes round.
        accounts, begin, shares, drained: as in `DispatcherContext`.
    """

    def __init__(
        self,
        client: redis.Redis,
        stores: Mapping[str, Store],
        wakes: Wakes,
        metrics: DispatcherMetrics,
        log: structlog.typing.FilteringBoundLogger,
        *,
        consumer: str,
        takeover: float,
        sweep: float,
        wake_lease: float,
        file_hosts: tuple[str, ...] = (),
        pdf_reader: Callable[[], PdfReader] = PdfReader,
        loops: Loops | None = None,
        accounts: AccountList | None = None,
        begin: Callable[[Sequence[Store]], None] = lambda _: None,
        shares: Shares | None = None,
        drained: Callable[[str], bool] = lambda _: True,
    ) -> None:
        served = stores if isinstance(stores, Served) else Served(stores)
        streams = StreamWatch(served, metrics, log)
        each_by_itself = isinstance(client, ClusterClient) or MANY < len(stores) <= MOST
        bell = IntakeBell() if each_by_itself else None
        self.context = context = DispatcherContext(
            client,
            served,
            metrics,
            log,
            consumer,
            streams,
            LostNodes(client, log),
            accounts or AccountList(client, log),
            bell,
            begin,
            shares,
            drained,
        )
        listener = Listener(context) if bell is None else AccountListener(context, bell)
        self._loops = loops = loops or Loops()
        self.intake = IntakeThreads(
            context, loops, file_hosts=file_hosts, pdf_reader=pdf_reader, takeover=takeover
        )
        self.long_orders = LongOrders(context)
        self.orders = OperatorOrders(context, self.long_orders)
        self.timers = Timers(context, self.orders, wakes, sweep=sweep, wake_lease=wake_lease)
        self.gauges = Gauges(context)
        self._parts: Sequence[tuple[Loop, Callable[[Loop], None]]] = (
            (self.intake.reading, self.intake.read),
            (self.intake.opening, self.intake.open_documents),
            (loops.add("listener"), listener.run),
            (loops.add("timers"), self.timers.run),
            (loops.add("maintenance"), self.long_orders.run),
            (loops.add("gauges"), self.gauges.run),
        )
        self._ended: Callable[[], None] = lambda: None
        self._threads: list[threading.Thread] = []
        self.newer: NewerLayoutError | None = None
        """Set once a newer layout is stored than this version knows. The dispatcher then does nothing."""

    def start(self, ended: Callable[[], None] = lambda: None) -> None:
        """Start the threads.

        Args:
            ended: called when this version can work no more (`newer`).
        """
        self._ended = ended
        for loop, run in self._parts:
            thread = threading.Thread(target=self._guarded, args=(run, loop), name=loop.name)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop the threads and wait for them."""
        self.context.stopping.set()
        self.context.schedule.close()
        self.intake.slow.stop()
        for thread in self._threads:
            thread.join()
        self.intake.close()

    def _guarded(self, run: Callable[[Loop], None], loop: Loop) -> None:
        """Run one part again and again. After an error the next round begins from the state in Redis."""
        away, stopping, log = False, self.context.stopping, self.context.log
        while not stopping.is_set():
            began = time.monotonic()
            try:
                run(loop)
            except NewerLayoutError as error:
                loop.failed()
                self.newer = error
                stopping.set()
                self._ended()
            except Exception as error:
                loop.failed()
                if str(error).startswith(GROUP_GONE):
                    log.warning(
                        "the intake's consumer group is gone, and is created again",
                        error=type(error).__name__,
                    )
                elif not unserved(error):
                    log.exception("the dispatcher goes on after an error")
                else:
                    if not away or time.monotonic() - began > NEWS:
                        log.warning("Redis is away", error=trouble(error))
                    away = True
                stopping.wait(PAUSE)
            else:
                away = False
        self._loops.drop(loop.name)
