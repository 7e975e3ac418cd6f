"""The short form of `make chaos PROFILE=field`: real processes, scripted faults, `kill -9`, a fixed seed."""

from pathlib import Path

import pytest

from faxline_chaos import campaign
from faxline_chaos.faults import draw_faxes
from faxline_chaos.verdict import judge
from faxline_local.server_binaries import ServerBinary

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
