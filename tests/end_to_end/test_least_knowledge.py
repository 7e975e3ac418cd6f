"""What a producer of one account can read of a whole Faxline: nothing that names another account."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline import FaxLine
from faxline.contract.connections.redis_url import connect
from faxline_local.processes import wait_for
from faxline_local.redis_access import Access
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local
from tests.clusters import all_keys, nodes_of

pytestmark = pytest.mark.slow

TEMPLATE = Path(__file__).parents[2] / "ops/redis/users.acl"
OWN, OTHER = "north-clinic", "south-clinic"
READS = (
    *(("HGETALL",), ("GET",), ("SMEMBERS",), ("SSCAN", "0"), ("XRANGE", "-", "+"), ("LRANGE", "0", "-1")),
    *(("ZRANGE", "0", "-1"), ("XINFO STREAM", "FULL"), ("XINFO GROUPS",), ("DUMP",), ("EXISTS",)),
)
OF_THE_SERVER = (
    *(
        "CLIENT LIST",
        "CLIENT INFO",
        "ACL LIST",
        "ACL WHOAMI",
        "ACL LOG",
        "KEYS *",
        "SCAN 0",
        "RANDOMKEY",
        "INFO",
    ),
    *("SLOWLOG GET", "LATENCY DOCTOR", "PUBSUB CHANNELS", "PUBSUB SHARDCHANNELS", "MEMORY DOCTOR", "DBSIZE"),
)


@pytest.fixture
def local(server_binary: ServerBinary, access: Access, tmp_path: Path) -> Iterator[Local]:
    with Local(tmp_path, accounts=(OWN, OTHER), binary=server_binary, access=access) as made:
        yield made


def answers(client: Any, keys: list[str]) -> Iterator[tuple[str, str]]:
    """Everything that this user is answered: to each read of each key, and to questions to the server."""
    asked = [(*command[0].split(), key, *command[1:]) for key in keys for command in READS]
    for words in (*asked, *(question.split() for question in OF_THE_SERVER)):
        try:
            yield " ".join(words), str(client.execute_command(*words))
        except redis.ResponseError as error:
            yield " ".join(words), str(error).replace(" ".join(words), "")


def test_a_producer_of_one_account_reads_nowhere_that_there_is_another(local: Local) -> None:
    for account in (OWN, OTHER):
        with FaxLine(local.url_of("producer"), account=account) as line:
            line.wait(line.send(to="+12025550123", files=["https://example.com/a.pdf"], id="a"), timeout=60)
    with connect(local.redis_url) as admin:
        with FaxLine(local.url_of("operator"), account=OWN) as operator:
            assert wait_for(lambda: all(OTHER in (each.accounts or ()) for each in operator.processes()), 30)
        rule = next(line for line in TEMPLATE.read_text().splitlines() if line.startswith("user producer "))
        rules = re.findall(r"\([^)]*\)|\S+", rule.replace("{*}", f"{{{OWN}}}").partition("#<producer>")[2])
        node: Any
        for node in nodes_of(admin):
            node.execute_command("ACL", "SETUSER", "one", "reset", "on", ">a-password", *rules)
        url = re.sub("//[^@]*@", "//one:a-password@", local.url_of("producer"))
        keys = sorted(key.decode() for key in all_keys(admin))
        assert any(OTHER in key for key in keys)
        with connect(url) as client, FaxLine(url, account=OWN) as line:
            assert line.wait("a", timeout=60).state == "delivered"
            assert len(line.processes()) == 3
            told = [(asked, text) for asked, text in answers(client, keys) if OTHER in text]
        assert told == []
