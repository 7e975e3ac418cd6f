"""Every CSV file of the console: what a spreadsheet opens, and computes nothing of."""

import csv
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline.contract.spreadsheets import plain_cell
from faxline_archive.database import migrate, open_database
from tests.consoles import Console
from tests.stage.archives import StagedArchive

KEYS = RedisKeys("north")
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
WIDE = ("\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The same signs in full width, which some spreadsheets compute as well."""


@pytest.fixture
def console(redis_url: str, tmp_path: Path) -> Iterator[Console]:
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    engine = open_database(url, writes=True)
    migrate(engine)
    for place, sign in enumerate(FORMULAS):
        told = {"department": f"{sign}1+1", "subject": f"{sign}HYPERLINK(1)"}
        StagedArchive(engine).add(f"fax-{place}", account="north", at=place, metadata=told)
    engine.dispose()
    with Console(redis_url, tmp_path, FAXLINE_ARCHIVE__URL=url) as console:
        yield console


def cells(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert "attachment" in answer.headers["content-disposition"]
    read = csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))
    found = [cell for row in list(read)[1:] for cell in row]
    assert found
    return found


def test_no_cell_of_any_export_is_a_formula(console: Console, redis_client: redis.Redis) -> None:
    now = round(time.time() * 1000)
    for sign in FORMULAS:
        order: Any = {"at": now, "what": "pause", "outcome": "done", "who": f"{sign}1", "job": f"{sign}3"}
        redis_client.xadd(KEYS.audit, order)
        failed: Any = {"state": "failed", "number": "+12025550147", "reason": "busy"}
        redis_client.hset(KEYS.job(f"{sign}job"), mapping=failed)
        redis_client.sadd(KEYS.group("june"), f"{sign}job")
    admin = console.person("admin")
    exports = [
        admin.act("/faxes/plan", verb="export", all="1", q=""),
        admin.get("/usage.csv?month=2026-10&by=metadata&key=department"),
        admin.get("/audit.csv"),
        admin.get("/mailings/north/june/failures.csv"),
    ]
    for answer in exports:
        found = cells(answer)
        assert [cell for cell in found if cell.lstrip(" ").startswith(FORMULAS)] == []
        for sign in FORMULAS:
            assert any(cell.startswith(f"'{sign}") for cell in found), (answer.request.url, sign)


@pytest.mark.parametrize("sign", [*FORMULAS, *WIDE, "  =", "\n", "|", "%"])
def test_a_cell_that_begins_with_a_sign_is_a_text(sign: str) -> None:
    assert plain_cell(f"{sign}1") == f"'{sign}1"
