"""What the pages say of an account whose folder is gone, before anything is done: that nothing of it goes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import DRAINING, RedisKeys
from faxline.reading.draining import note_of
from tests.consoles import Console, shown

pytestmark = pytest.mark.usefixtures("whole_folders")

KEYS = RedisKeys("west")
SAID = "Account west was removed and takes nothing any more"
LIMITS: Any = {"requests": 1000, "window": 3_600_000_000, "concurrency": 20, "burst": 50, "layout": "1.5"}


@pytest.fixture
def console(redis_url: str, redis_client: redis.Redis, tmp_path: Path) -> Iterator[Console]:
    """The console of the accounts west, which was removed, and east, each with a queued and an ended fax."""
    folders = tmp_path / "accounts"
    for name in ("west", "east"):
        (folders / name).mkdir(parents=True)
        keys = RedisKeys(name)
        common = {"number": "+12025550147", "created_at": 1_790_000_000_000, "place": 7}
        queued: Any = {"state": "queued", **common}
        ended: Any = {"state": "failed", "job_id": 7, "reason": "busy", **common}
        doubt: Any = {"state": "in_doubt", "sent_at": 1_790_000_000_000, "attempt": 1, **common}
        redis_client.hset(keys.account_state, mapping=LIMITS)
        for job, record in ((f"{name}-q", queued), (f"{name}-f", ended), (f"{name}-d", doubt)):
            redis_client.hset(keys.job(job), mapping=record)
        redis_client.zadd(keys.ready, {f"{name}-q": 7})
        redis_client.zadd(keys.in_doubt, {f"{name}-d": 7})
    settings = {"FAXLINE_ACCOUNTS": "", "FAXLINE_ACCOUNTS_DIR": str(folders)}
    with Console(redis_url, tmp_path, **settings) as made:
        (folders / "west").rmdir()
        for _ in range(2):
            made.live.look()
        yield made


@pytest.mark.parametrize(("verb", "job"), [("cancel", "q"), ("resend", "f")])
def test_a_plan_leaves_out_the_faxes_of_an_account_that_was_removed_and_says_why(
    console: Console, redis_client: redis.Redis, verb: str, job: str
) -> None:
    clerk = console.person("clerk")
    picks = console.picks(f"west/west-{job}", f"east/east-{job}")
    plan = clerk.act("/faxes/plan", verb=verb, pick=picks)
    assert plan.status_code == 200
    assert f"{verb.capitalize()} 1 fax?" in shown(plan)
    assert "1 left out" in shown(plan)
    why = f"west-{job} is of account west, which was removed and takes nothing until its folder is back"
    assert why in shown(plan)
    alone = clerk.act("/faxes/plan", verb=verb, pick=picks[:1])
    assert f"There is no fax to {verb}" in shown(alone)
    done = clerk.act("/faxes/do", verb=verb, picks=" ".join(picks), reason="wrong letter")
    assert why in shown(done)
    assert not redis_client.exists(KEYS.intake)
    assert redis_client.xlen(RedisKeys("east").intake) == 1


@pytest.mark.parametrize(("job", "action"), [("q", "Cancel this fax"), ("f", "Resend 1 fax")])
def test_the_page_of_a_fax_offers_nothing_that_would_be_refused(
    console: Console, job: str, action: str
) -> None:
    clerk = console.person("clerk")
    page = shown(clerk.get(f"/faxes/west/west-{job}"))
    assert SAID in page
    assert action not in page
    page = shown(clerk.get(f"/faxes/east/east-{job}"))
    assert SAID not in page
    assert action in page


def test_a_doubt_can_be_settled_but_not_sent_again(console: Console, redis_client: redis.Redis) -> None:
    operator = console.person("operator")
    page = shown(operator.get("/faxes/west/west-d"))
    assert "Give it up" in page
    assert "send again" not in page
    assert "send again" in shown(operator.get("/faxes/east/east-d"))
    answer = operator.act("/faxes/west/west-d/resolve", how="resend", reason="not there")
    assert answer.status_code == 409
    assert SAID in shown(answer)
    assert not redis_client.exists(KEYS.orders)


def test_a_dead_entry_can_be_dropped_but_not_put_back(console: Console, redis_client: redis.Redis) -> None:
    for name in ("west", "east"):
        keys = RedisKeys(name)
        fields: Any = {"stream": keys.intake, "id": "1-1", "why": "malformed", "send": "x", "at": 1}
        redis_client.xadd(keys.dead, fields)
    page = shown(console.person("operator").get("/attention"))
    assert page.count("Put it back") == 1
    assert page.count("Drop it") == 2
    assert "The account was removed: an entry is put back once its folder is." in page


def test_the_page_of_the_accounts_says_since_when_an_account_is_gone_and_what_is_left(
    console: Console, redis_client: redis.Redis
) -> None:
    page = shown(console.person("operator").get("/accounts"))
    assert "Removed: its faxes end" in page
    assert "Its folder is gone: it takes and submits no fax. 1 fax is under way" in page
    redis_client.hset(DRAINING, "west", note_of(1_790_000_000_000, str(console.live.settings.accounts_dir)))
    page = shown(console.person("operator").get("/accounts"))
    assert "Its folder is gone since" in page
    assert page.count("Its folder is gone") == 1
