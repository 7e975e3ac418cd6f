"""The checkpoints that the archive signs by itself: a changed account is told, and stops no other."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import delete, select
from structlog.testing import capture_logs

from faxline_archive.metrics import ArchiveMetrics
from faxline_archive.schema import checkpoints, entries
from faxline_archive.signer import signer
from faxline_archive.signing_key import SigningKey
from faxline_archive.upkeep import Upkeep
from faxline_worker.config.archive import Archive
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.pulse import Loop
from tests.stage.archives import StagedArchive


@pytest.mark.parametrize("altered", [False, True])
def test_a_changed_account_is_an_error_in_the_log_and_keeps_no_other_from_its_checkpoint(
    staged: StagedArchive, tmp_path: Path, altered: bool
) -> None:
    for account in ("acme", "default"):
        staged.add("a", account=account)
    if altered:
        with staged.engine.begin() as connection:
            connection.execute(delete(entries).where(entries.c.account == "acme", entries.c.leaf == 2))
    SigningKey.load_or_make(tmp_path / "archive.pem")
    settings = Archive(url=f"sqlite:///{tmp_path}/archive.db")
    registry, log = CollectorRegistry(), get_logger("faxline_archive")
    metrics = ArchiveMetrics(registry, ("acme", "default"))
    upkeep = Upkeep(
        staged.engine, settings, staged.keyring, metrics, log, sign=signer(staged.engine, settings, log)
    )
    with capture_logs() as told:
        upkeep.step(Loop("upkeep", 60, 60), lambda: False)
    with staged.engine.connect() as connection:
        signed = {row.account: bytes(row.root).hex() for row in connection.execute(select(checkpoints))}
    assert sorted(signed) == (["default"] if altered else ["acme", "default"])
    logged = {line["account"]: line["root"] for line in told if line["event"] == "signed a checkpoint"}
    assert logged == signed
    errors = [line["account"] for line in told if line["log_level"] == "error"]
    assert errors == (["acme"] if altered else [])
    value = registry.get_sample_value("fax_archive_checkpoint_timestamp_seconds")
    assert (value == 0) is altered
