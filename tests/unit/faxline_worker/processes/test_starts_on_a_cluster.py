"""A process starts on a cluster of which a node is away."""

from collections.abc import Callable, Iterator

import pytest

from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import RedisKeys
from faxline_worker.config.settings import Settings, read_settings
from faxline_worker.processes.redis_at_start import require_layout, require_redis
from tests.scripted_nodes import OK, Cluster, Words, bulk, error, number, scripted

pytestmark = pytest.mark.slow

ANSWERS = {b"PING": b"+PONG\r\n", b"SELECT": OK, b"HGET": b"$-1\r\n", b"EVAL": number(1), b"LLEN": number(0)}
DOWN = error("CLUSTERDOWN The cluster is down")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """The account acme is on the first node, default on the second."""
    with scripted() as made:
        made.give(RedisKeys("default").account_state, made.nodes[1])
        for node in made.nodes:
            node.answer = lambda words: ANSWERS[words[0].upper()]
        yield made


def settings_of(cluster: Cluster, patience: float) -> Settings:
    return read_settings(
        {
            "FAXLINE_ACCOUNTS": "acme,default",
            "FAXLINE_REDIS_URL": cluster.url,
            "FAXLINE_BROKER_URL": f"redis://127.0.0.1:{cluster.nodes[1].port}/0",
            "FAXLINE_REDIS_PATIENCE": str(patience),
        }
    )


def down_for(tries: float, answer: bytes) -> Callable[[Words], bytes]:
    """What a node says that is down for so many commands; to PING, a node always answers."""
    left = tries

    def say(words: Words) -> bytes:
        nonlocal left
        if words[0].upper() == b"PING":
            return ANSWERS[b"PING"]
        left -= 1
        return DOWN if left >= 0 else answer

    return say


def test_one_node_that_serves_an_account_is_enough(cluster: Cluster) -> None:
    cluster.nodes[0].answer = down_for(float("inf"), OK)
    require_redis(settings_of(cluster, 30), "dispatcher")
    assert any(words[0] == b"HGET" for words in cluster.nodes[1].said)


def test_without_any_the_process_ends_with_one_line(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    for node in cluster.nodes:
        node.answer = down_for(float("inf"), OK)
    with pytest.raises(SystemExit):
        require_redis(settings_of(cluster, 0), "dispatcher")
    said = capsys.readouterr().err
    assert said.startswith("faxline-worker: FAXLINE_REDIS_URL: ")
    assert "down" in said


def test_the_layout_of_an_account_is_awaited_while_its_node_is_away(cluster: Cluster) -> None:
    cluster.nodes[0].answer = down_for(60, bulk("9.0"))  # more than the client alone would try
    with connect(cluster.url, protocol=2) as client, pytest.raises(SystemExit):
        require_layout(client, settings_of(cluster, 60))


def test_a_node_that_stays_away_keeps_no_process_from_the_accounts_of_others(cluster: Cluster) -> None:
    cluster.nodes[0].answer = down_for(float("inf"), OK)
    with connect(cluster.url, protocol=2) as client:
        require_layout(client, settings_of(cluster, 0))
