"""After a rotation nothing is left that an older key seals or finds, whichever archive wrote meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from faxline.contract.sealing.keyring import Keyring
from faxline.reading.archived import Wanted
from faxline_archive import rotation
from faxline_archive.metrics import ArchiveMetrics
from faxline_archive.privacy import Privacy
from faxline_archive.rotation import Rotation
from faxline_archive.schema import accounts, faxes
from faxline_archive.search import find
from faxline_archive.upkeep import Upkeep
from faxline_worker.config.archive import Archive
from faxline_worker.observability.pulse import Loop
from tests.archives import Faxes, archiving, fax, new_archive, rows
from tests.stage.archives import StagedArchive

Wait = Callable[..., Any]
TO, METADATA = "+12025550123", {"case": "7"}
FIRST, NEXT = b"1" * 32, b"2" * 32
OLD, NEW = Keyring({"first": FIRST}), Keyring({"next": NEXT})
BOTH, MIXED = Keyring({"next": NEXT, "first": FIRST}), Keyring({"first": FIRST, "next": NEXT})
"""The new key in front, and an archive that has it and seals with the old one still."""


def found(engine: Engine) -> list[str]:
    """What is found and opened by the new key alone, by all that a fax is found by."""
    for wanted in (Wanted(to=TO), Wanted(metadata=METADATA), Wanted(to=TO, metadata=METADATA)):
        told = list(find(engine, "default", wanted, Privacy(NEW, "default")))
        assert [one.metadata for one in told] == [METADATA] * len(told)
        assert {one.numbers.to for one in told} <= {TO}
        names = sorted(one.id for one in told)
    return names


def sealed_by(engine: Engine) -> str | None:
    (row,) = rows(engine, accounts)
    told: str | None = row["sealed_by"]
    return told


def test_what_an_archive_with_the_older_key_writes_after_a_rotation_is_sealed_again(archive_url: str) -> None:
    engine, log = new_archive(archive_url), structlog.get_logger()
    upkeep = Upkeep(engine, Archive(), BOTH, ArchiveMetrics(CollectorRegistry(), ()), log)
    StagedArchive(engine, OLD).add("one", metadata=METADATA)
    upkeep.step(Loop("upkeep", 60, 60), lambda: False)
    assert (sealed_by(engine), found(engine)) == ("next", ["one"])
    StagedArchive(engine, MIXED).add("two", at=999, metadata=METADATA)
    assert sealed_by(engine) is None
    upkeep.step(Loop("upkeep", 60, 60), lambda: False)
    assert (sealed_by(engine), found(engine)) == ("next", ["one", "two"])
    engine.dispose()


def test_what_is_written_with_the_older_key_while_a_rotation_goes_on_is_not_left_behind(
    archive_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = new_archive(archive_url)
    monkeypatch.setattr(rotation, "PIECE", 1)
    StagedArchive(engine, OLD).add("one", metadata=METADATA)
    turning = Rotation(engine, "default", Privacy(BOTH, "default"))
    for _ in range(4):  # its three entries, and then the fax
        assert turning.step()
    StagedArchive(engine, MIXED).add("a", at=999, metadata=METADATA)
    while turning.step():
        pass
    assert not turning.needed()
    assert {row["key_id"] for row in [*rows(engine), *rows(engine, faxes)]} == {"next"}
    assert found(engine) == ["a", "one"]
    engine.dispose()


def test_a_fax_that_the_new_key_seals_again_for_its_receipt_is_found_by_the_new_key(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    with archiving(archive_url, redis_client, keyring=OLD) as archive:
        Faxes(redis_client, keyring=OLD).queue("a", metadata=METADATA)
        wait_until(lambda: len(rows(archive.engine)) == 1)
    with archiving(archive_url, redis_client, keyring=BOTH) as archive:
        Faxes(redis_client, keyring=BOTH).deliver("a")
        wait_until(lambda: fax(archive.engine, "a")["state"] == "delivered")
        assert fax(archive.engine, "a")["key_id"] == "next"
        assert found(archive.engine) == ["a"]
