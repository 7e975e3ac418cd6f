"""What an archive has still to read is kept, up to a ceiling; without one the streams are as they were."""

from typing import Any

import pytest
import redis

from faxline_worker.config.settings import read_settings
from faxline_worker.state.archive_marks import ArchiveMarks, Page, Stream
from faxline_worker.state.script_options import script_options
from faxline_worker.state.store import Store
from tests.stage.scene import CLOCK, Scene, settings

CAP, CEILING = 1000, 3000
BEFORE = {"register": 10, "mark": 3, "settle": 15, "receipt": 10, "run_timers": 23}
"""The commands of each script before there was an archive."""
NODE = 100
"""Redis trims whole nodes of so many entries."""


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client, EVENTS_CAP=str(CAP), EVENTS_CEILING=str(CEILING))


@pytest.fixture
def archive(scene: Scene) -> ArchiveMarks:
    return ArchiveMarks(scene.client, "default", CLOCK)


def fill(scene: Scene, count: int) -> None:
    with scene.client.pipeline(transaction=False) as pipe:
        for _ in range(count):
            pipe.xadd(scene.keys.events, {"event": "x"})
        pipe.execute()


def length(scene: Scene) -> int:
    return int(scene.client.xlen(scene.keys.events))


def page_of(archive: ArchiveMarks, stream: Stream = "events", most: int = 10_000) -> Page:
    page = archive.read(stream, most)
    assert page is not None
    return page


def emit_by(scene: Scene, script: str) -> None:
    """Have a script write an event."""
    scene.push("a")
    if script == "settle":
        scene.store.submission.settle(scene.admit(), {"decision": "accepted", "job_id": "1"})
    elif script == "receipt":
        scene.store.submission.settle(scene.admit(), {"decision": "accepted", "job_id": "1"})
        scene.receipt("1")


@pytest.mark.parametrize("script", ["register", "settle", "receipt"])
def test_without_an_archive_the_cap_is_the_cap(scene: Scene, script: str) -> None:
    fill(scene, CEILING)
    emit_by(scene, script)
    assert CAP <= length(scene) <= CAP + NODE


@pytest.mark.parametrize("script", ["register", "settle", "receipt"])
@pytest.mark.parametrize("ceilings", [{}, {"CEILINGS__JOBS": "10"}])
def test_what_an_archive_has_not_read_is_kept(
    redis_client: redis.Redis, script: str, ceilings: dict[str, str]
) -> None:
    scene = Scene(redis_client, EVENTS_CAP=str(CAP), EVENTS_CEILING=str(CEILING), **ceilings)
    archive = ArchiveMarks(scene.client, "default", CLOCK)
    archive.switch_on()
    fill(scene, CEILING - 10)
    emit_by(scene, script)
    scene.store.timers.run()
    assert length(scene) > CEILING - 10
    assert page_of(archive).lost == 0


def test_beyond_the_ceiling_the_oldest_go_and_are_counted(scene: Scene, archive: ArchiveMarks) -> None:
    archive.switch_on()
    fill(scene, CEILING + 5 * NODE)
    scene.push("a")
    page = page_of(archive)
    assert CEILING <= length(scene) <= CEILING + NODE
    assert page.lost == CEILING + 5 * NODE + 1 - length(scene)
    assert page.exact


def test_what_is_archived_goes_beyond_the_cap_and_what_is_not_stays(
    scene: Scene, archive: ArchiveMarks
) -> None:
    archive.switch_on()
    fill(scene, 2500)
    assert archive.archived(page_of(archive, most=700))
    scene.store.timers.run()
    assert 2500 - 700 <= length(scene) <= 2500 - 700 + NODE
    assert archive.archived(page_of(archive))
    scene.store.timers.run()
    assert CAP <= length(scene) <= CAP + NODE
    assert page_of(archive).lost == 0
    archive.switch_off()
    fill(scene, 1000)
    scene.push("a")
    assert CAP <= length(scene) <= CAP + NODE


class Audited:
    """An account whose audit is filled by hand, by the server's own clock."""

    def __init__(self, client: redis.Redis) -> None:
        self.client: Any = client
        self.store = Store(client, settings(AUDIT_RETENTION="100"), "default")
        self.archive = ArchiveMarks(client, "default")
        self.archive.switch_on()

    def add(self, count: int, ago: int) -> None:
        at = self.client.time()[0] - ago
        for n in range(count):
            self.client.xadd(self.store.keys.audit, {"who": "x"}, id=f"{at * 1000}-{n + 1}")

    def entries(self) -> int:
        self.store.timers.run()
        return int(self.client.xlen(self.store.keys.audit))


def test_the_audit_keeps_what_an_archive_has_not_read_beyond_its_retention(redis_client: redis.Redis) -> None:
    audit = Audited(redis_client)
    audit.add(NODE, 150)
    assert audit.entries() == NODE
    assert audit.archive.archived(page_of(audit.archive, "audit"))
    audit.add(NODE, 120)
    assert audit.entries() == 2 * NODE  # the last that was read stays
    assert page_of(audit.archive, "audit").lost == 0
    assert audit.archive.archived(page_of(audit.archive, "audit"))
    assert audit.entries() == NODE
    audit.add(1, 0)
    assert audit.entries() == NODE + 1
    audit.archive.switch_off()
    assert audit.entries() == 1


def test_an_audit_entry_of_twice_the_retention_goes_unread_and_is_counted(redis_client: redis.Redis) -> None:
    audit = Audited(redis_client)
    audit.add(NODE, 250)
    order: Any = redis_client.xadd(audit.store.keys.orders, {"order": "pause"})
    audit.store.orders.pause_or_resume(order.decode(), "pause")
    assert page_of(audit.archive, "audit").lost == NODE


def test_a_restart_keeps_the_archive_on(scene: Scene, archive: ArchiveMarks) -> None:
    archive.switch_on()
    fill(scene, 5)
    assert archive.archived(page_of(archive))
    scene.store.schema.init_account()
    scene.store.schema.upgrade([], [], look=False)
    assert page_of(archive).entries == ()
    assert not archive.switch_on()


def test_no_script_of_a_fax_takes_a_command_more_without_an_archive(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client)
    counts = {}

    def count(name: str, do: Any) -> Any:
        redis_client.config_resetstat()
        found = do()
        stats: Any = redis_client.info("commandstats")
        counts[name] = sum(
            stat["calls"]
            for command, stat in stats.items()
            if not command.startswith(("cmdstat_config", "cmdstat_info", "cmdstat_eval", "cmdstat_script"))
        )
        return found

    scene.store.intake.register([scene.item(scene.intake(), "warm")])
    entry = scene.intake()
    count("register", lambda: scene.store.intake.register([scene.item(entry, "a")]))
    scene.store.submission.settle(scene.admit(), {"decision": "accepted", "job_id": "1"})
    admitted = scene.admit()
    count("mark", lambda: scene.store.submission.mark(admitted))
    answer = {"decision": "accepted", "job_id": "2", "call": "fax-send", "ms": 1}
    count("settle", lambda: scene.store.submission.settle(admitted, answer))
    scene.receipt("1")
    status = scene.status()
    said = {"job_id": "2", "outcome": "delivered", "code": 0, "reason": "r", "pages": 1, "transferred": 1}
    count("receipt", lambda: scene.store.receipts.apply([(status, said)]))
    count("run_timers", scene.store.timers.run)
    assert counts == BEFORE


@pytest.mark.parametrize(
    ("given", "ceiling"), [({}, 1_000_000), ({"CAP": "7"}, 70), ({"CAP": "7", "CEILING": "5"}, 7)]
)
def test_the_ceiling_is_ten_times_the_cap_and_never_below_it(given: dict[str, str], ceiling: int) -> None:
    environment = {f"FAXLINE_EVENTS_{name}": value for name, value in given.items()}
    read = read_settings(environment | {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token"})
    assert script_options(read, "default", "")["events_ceiling"] == ceiling
