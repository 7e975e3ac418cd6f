"""The short form of `make chaos`: real processes, scripted faults and `kill -9`, with a fixed seed."""

from pathlib import Path

import pytest

from faxline_chaos import campaign
from faxline_chaos.faults import draw_faxes
from faxline_chaos.verdict import judge
from faxline_local.redis_server import ServerBinary

SEED = 4


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_doubled_under_faults_and_kills(
    server_binary: ServerBinary, tmp_path: Path
) -> None:
    faxes = draw_faxes(SEED, 80, most=1)
    hits = campaign.plan(SEED, 8)
    evidence = campaign.run(faxes, hits, SEED, tmp_path, say=print, binary=server_binary)
    assert judge(faxes, evidence) == []
    (lost,) = evidence.lost
    assert lost.calls
    assert lost.pushed
