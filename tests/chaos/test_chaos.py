"""The short forms of `make chaos`: real processes, scripted faults, `kill -9`, a fixed seed."""

from pathlib import Path

import pytest

from faxline_chaos import campaign, nodes, rig
from faxline_chaos.faults import draw_faxes
from faxline_chaos.verdict import judge
from faxline_local.server_binaries import ServerBinary, wheel_server

SEED = 4


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_doubled_under_faults_and_kills(
    server_binary: ServerBinary, tmp_path: Path
) -> None:
    faxes = draw_faxes(SEED, 80, most=1, profile="field")
    hits = campaign.plan(SEED, 8, "field")
    evidence = campaign.run(faxes, hits, SEED, tmp_path, say=print, binary=server_binary, profile="field")
    assert judge(faxes, evidence) == []
    (lost,) = evidence.lost
    assert lost.calls
    assert lost.pushed


@pytest.mark.slow
def test_nor_on_a_cluster_while_its_nodes_die_lag_are_cut_off_and_slots_move(
    server_binary: ServerBinary, tmp_path: Path
) -> None:
    """On Valkey, if it is here: the end-to-end tests move slots and kill a primary on Redis."""
    troubles = (nodes.LAGGED, nodes.PARTED, nodes.MOVED)
    faxes = draw_faxes(SEED, 60, most=1, accounts=rig.ACCOUNTS)
    hits = campaign.plan(SEED, 4, troubles_of_nodes=troubles)
    binary = wheel_server() or server_binary
    evidence = campaign.run(faxes, hits, SEED, tmp_path, say=print, binary=binary)
    assert judge(faxes, evidence) == []
    assert sorted(each.trouble for each in evidence.recoveries) == sorted(troubles)
    assert {fax.account for fax in evidence.probes} == set(rig.ACCOUNTS)
