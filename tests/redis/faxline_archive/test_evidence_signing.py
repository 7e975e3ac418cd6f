"""The checkpoints that the archive signs by itself, and those that it refuses to sign."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, delete, select, update
from structlog.testing import capture_logs

from faxline_archive.kept_checkpoints import KeptCheckpoints
from faxline_archive.leaves import leaf_hash
from faxline_archive.metrics import ArchiveMetrics
from faxline_archive.schema import accounts, checkpoints, entries, fax_metadata, faxes, positions, tree_nodes
from faxline_archive.signer import signer
from faxline_archive.signing_key import SigningKey
from faxline_archive.upkeep import Upkeep
from faxline_worker.config.archive import Archive
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.pulse import Loop
from tests.stage.archives import StagedArchive, StagedFax

ACCOUNTS = ("acme", "default")


class Signing:
    """An archive's upkeep, which signs what is due."""

    def __init__(self, staged: StagedArchive, client: redis.Redis, directory: Path) -> None:
        SigningKey.load_or_make(directory / "archive.pem")
        interval = timedelta(milliseconds=1)
        settings = Archive(url=f"sqlite:///{directory}/archive.db", checkpoint=interval)
        self.registry, log = CollectorRegistry(), get_logger("faxline_archive")
        metrics = ArchiveMetrics(self.registry, ACCOUNTS)
        self.kept = KeptCheckpoints(client)
        sign = signer(staged.engine, settings, self.kept, lambda: ACCOUNTS, metrics=metrics, log=log)
        self._upkeep = Upkeep(staged.engine, settings, staged.keyring, metrics, log, sign=sign)

    def step(self) -> list[dict[str, str]]:
        """Sign what is due, and return what the log was told."""
        with capture_logs() as told:
            self._upkeep.step(Loop("upkeep", 60, 60), lambda: False)
        return [dict(line) for line in told]

    def altered(self, account: str) -> float | None:
        return self.registry.get_sample_value("fax_archive_altered", {"account": account})


@pytest.fixture
def signing(staged: StagedArchive, redis_client: redis.Redis, tmp_path: Path) -> Signing:
    for account in ACCOUNTS:
        staged.add_all(StagedFax(f"fax-{number}", account, at=number) for number in range(5))
    return Signing(staged, redis_client, tmp_path)


def errors_of(told: list[dict[str, str]]) -> list[str]:
    return [line["account"] for line in told if line["log_level"] == "error"]


@pytest.mark.parametrize("altered", [False, True])
def test_a_changed_account_is_an_error_in_the_log_and_keeps_no_other_from_its_checkpoint(
    staged: StagedArchive, signing: Signing, altered: bool
) -> None:
    if altered:
        with staged.engine.begin() as connection:
            connection.execute(delete(entries).where(entries.c.account == "acme", entries.c.leaf == 2))
    told = signing.step()
    with staged.engine.connect() as connection:
        signed = {row.account: bytes(row.root).hex() for row in connection.execute(select(checkpoints))}
    assert sorted(signed) == (["default"] if altered else ["acme", "default"])
    logged = {line["account"]: line["root"] for line in told if line["event"] == "signed a checkpoint"}
    assert logged == signed
    assert errors_of(told) == (["acme"] if altered else [])
    value = signing.registry.get_sample_value("fax_archive_checkpoint_timestamp_seconds")
    assert (value == 0) is altered
    assert (signing.altered("acme"), signing.altered("default")) == (altered, 0)


def _rewrite(connection: Connection) -> None:
    """Change an entry, and make the tree anew from it, without any checkpoint."""
    mine = entries.c.account == "default"
    for leaf, body in connection.execute(select(entries.c.leaf, entries.c.body).where(mine)).all():
        changed = body.replace("fax.delivered", "fax.failed") if leaf == 5 else body
        own = mine & (entries.c.leaf == leaf)
        connection.execute(update(entries).where(own).values(body=changed, leaf_hash=leaf_hash(changed)))
    for table in (tree_nodes, checkpoints):
        connection.execute(delete(table).where(table.c.account == "default"))
    connection.execute(update(accounts).where(accounts.c.account == "default").values(frontier=None))


def _empty(connection: Connection) -> None:
    for table in (entries, faxes, fax_metadata, accounts, positions, tree_nodes, checkpoints):
        connection.execute(delete(table).where(table.c.account == "default"))


def _shorten(connection: Connection) -> None:
    """Drop the last entries, and all that was signed of them."""
    connection.execute(delete(entries).where(entries.c.account == "default", entries.c.leaf > 9))
    connection.execute(delete(checkpoints).where(checkpoints.c.account == "default"))
    connection.execute(delete(tree_nodes).where(tree_nodes.c.account == "default"))
    mine = accounts.c.account == "default"
    connection.execute(update(accounts).where(mine).values(size=10, frontier=None))


@pytest.mark.parametrize("change", [_rewrite, _empty, _shorten])
def test_a_database_without_its_checkpoints_is_signed_only_if_it_grew_from_what_redis_keeps(
    staged: StagedArchive, signing: Signing, change: Callable[[Connection], None]
) -> None:
    assert errors_of(signing.step()) == []
    kept = signing.kept.note("default")
    with staged.engine.begin() as connection:
        change(connection)
    told = signing.step()
    assert errors_of(told) == ["default"]
    assert "did not grow from its checkpoint of 15 entries" in str(told)
    assert (signing.altered("acme"), signing.altered("default")) == (0, 1)
    assert signing.kept.note("default") == kept
    signing.kept.drop("default")
    assert errors_of(signing.step()) == []
    assert signing.altered("default") == 0


def test_the_checkpoints_may_go_as_long_as_the_entries_stay(staged: StagedArchive, signing: Signing) -> None:
    signing.step()
    staged.add("later", at=9999)
    with staged.engine.begin() as connection:
        connection.execute(delete(checkpoints))
    assert errors_of(signing.step()) == []
    kept = signing.kept.read("default")
    assert kept is not None
    assert kept.size == 18


def test_what_redis_keeps_may_be_older_as_after_a_rollback(staged: StagedArchive, signing: Signing) -> None:
    signing.step()
    older = signing.kept.note("default")
    assert older is not None
    staged.add("later", at=9999)
    signing.step()
    signing.kept.keep("default", older)
    staged.add("last", at=19999)
    assert errors_of(signing.step()) == []


@pytest.mark.parametrize("account", ["acme", None])
def test_what_redis_keeps_must_be_a_checkpoint_of_the_account(
    staged: StagedArchive, signing: Signing, account: str | None
) -> None:
    signing.step()
    note = signing.kept.note(account) if account else "nothing"
    assert note is not None
    signing.kept.keep("default", note)
    staged.add("later", at=9999)
    assert errors_of(signing.step()) == ["default"]
