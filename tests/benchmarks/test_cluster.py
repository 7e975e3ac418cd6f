"""The short forms of the benchmarks on a cluster: everything runs, and what must hold holds."""

from pathlib import Path

import pytest

from tests.benchmarks import cluster_costs, many_accounts
from tests.benchmarks.cluster_costs import run_cluster
from tests.benchmarks.cluster_quota import MAILING, run_quota
from tests.benchmarks.many_accounts import run_many_accounts

PARTS = ("dispatcher", "worker", "webhook", "sandbox", "broker", "redis")
pytestmark = pytest.mark.slow


def test_every_part_of_a_cluster_has_its_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("WARM", 0.5), ("IDLE", 0.5), ("BUSY", 1.0)):
        monkeypatch.setattr(cluster_costs, name, seconds)
    found = run_cluster(2, 2, tmp_path)
    assert {f"{part}: CPU ms a fax" for part in PARTS} < found.keys()
    assert found["faxes"] == cluster_costs.RATE


def test_accounts_at_their_quota_get_every_fax_through_once(tmp_path: Path) -> None:
    found = run_quota(30, 1, 8.0, tmp_path)
    assert found["faxes"] >= MAILING + 1
    assert (found["sent twice"], found["refused for a limit"]) == (0, 0)


@pytest.mark.parametrize("primaries", [0, 2])
def test_accounts_of_a_directory_are_served_by_one_server_and_by_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, primaries: int
) -> None:
    monkeypatch.setattr(many_accounts, "SETTLED", 0.1)
    monkeypatch.setattr(many_accounts, "IDLE", 0.5)
    found = run_many_accounts(3, primaries, tmp_path)
    for role in ("dispatcher", "worker", "webhook"):
        assert {f"{role}: seconds until ready", f"{role}: MB resident"} < found.keys()
    assert found["redis: CPU ms a second, idle"] >= 0
