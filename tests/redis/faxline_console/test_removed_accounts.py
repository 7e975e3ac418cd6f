"""An account that was removed: its faxes are found and proved, and nothing is ordered that nobody reads."""

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import ACCOUNTS, PROCESSES, SERVING, RedisKeys
from faxline_archive.entries import read_entry
from faxline_archive.progress import Read
from faxline_archive.writer import write
from faxline_console.access.people import Person, Role
from faxline_console.live import line as live_line
from faxline_console.mailings.store import Reserved
from faxline_worker.config.settings import read_settings
from faxline_worker.state.store import Store
from tests.access import ATTEMPTS, FAX
from tests.archives import new_archive
from tests.consoles import RADIOLOGY, Console, Somebody, put_fax, shown
from tests.stage.archives import BEGIN, RECEIPT, StagedArchive, StagedFax
from tests.stage.daemon import make_dispatcher

NUMBER = "+12025550147"
WEST, NORTH = RedisKeys("west"), RedisKeys("north")
GONE = "Account west was removed, and nobody takes orders for it"


@pytest.fixture
def console(redis_url: str, redis_client: redis.Redis, tmp_path: Path) -> Iterator[Console]:
    assert redis_client.ping()
    engine = new_archive(url := f"sqlite:///{tmp_path / 'archive.db'}")
    staged = StagedArchive(engine)
    own: Any = {"metadata": dict([RADIOLOGY]), "to": NUMBER, "group": "june"}
    staged.add_all(
        [
            StagedFax("n1", "north"),
            StagedFax("w1", "west", at=1, **own),
            StagedFax("w2", "west", at=2, state="failed", reason="busy", metadata={"department": "billing"}),
        ]
    )
    fields = {"at": str(BEGIN), "who": "ada", "what": "reveal", "job": "w1", "outcome": "done"}
    entry = read_entry("west", "audit", f"{BEGIN}-0", fields)
    write(engine, [Read("west", "audit", "", f"{BEGIN}-0 1", [entry])], {}, {"west": staged.privacy("west")})
    data = {"state": "queued", "attempt": 0}
    queued = {"event": "fax.queued", "job": "w3", "at": str(BEGIN + 3000), "data": json.dumps(data)}
    read = read_entry("west", "events", f"{BEGIN + 60_000}-0", queued)
    more = Read("west", "events", f"{6}-0 6", f"{BEGIN + 60_000}-0 7", [read])
    write(engine, [more], {}, {"west": staged.privacy("west")})
    engine.dispose()
    with Console(redis_url, tmp_path, FAXLINE_ARCHIVE__URL=url) as console:
        console.store.add_user(Person("former", Role.ADMIN, frozenset({"west"})))
        yield console


@pytest.fixture
def north_dispatcher(redis_client: redis.Redis) -> Iterator[None]:
    """A dispatcher of north alone carries out orders."""
    store = Store(redis_client, read_settings({"FAXLINE_ACCOUNTS": "north"}), "north")
    dispatcher, over = make_dispatcher(redis_client, {"north": store}), threading.Event()

    def run() -> None:
        while not over.wait(0.01):
            dispatcher.orders.carry_out("north")

    thread = threading.Thread(target=run)
    thread.start()
    yield
    over.set()
    thread.join()


def found(person: Somebody, line: str) -> set[str]:
    """The faxes that a line finds."""
    page = person.get("/faxes", params={"q": line}) if "to:" not in line else person.act("/faxes", q=line)
    while page.status_code == 303:
        page = person.get(page.headers["location"])
    assert page.status_code == 200
    return set(re.findall(r'<a href="/faxes/(\w+/\w+)"', page.text))


def audited(client: redis.Redis, keys: RedisKeys = WEST) -> list[tuple[str, str]]:
    entries: Any = client.xrange(keys.audit)
    return [(fields[b"who"].decode(), fields[b"job"].decode()) for _, fields in entries]


def ordered(client: redis.Redis) -> int:
    """What lies on the streams of west, and on those that are read for it."""
    return sum(client.xlen(key) for key in (WEST.orders, WEST.intake, NORTH.orders, NORTH.intake))


@pytest.mark.parametrize(
    ("line", "ids"),
    [
        ("", {"north/n1", "west/w1", "west/w2"}),
        ("id:w1", {"west/w1"}),
        ("account:west", {"west/w1", "west/w2"}),
        ("-account:north", {"west/w1", "west/w2"}),
        ("account:north", {"north/n1"}),
        (f"to:{NUMBER}", {"west/w1"}),
        ("state:failed", {"west/w2"}),
        ("group:june", {"west/w1"}),
        ("jobid:12345 meta.department:billing", {"west/w2"}),
        ("since:2026-10-27 until:2026-10-27", {"north/n1", "west/w1", "west/w2"}),
        ("since:2026-10-28", set()),
        ("until:2026-10-26", set()),
    ],
)
def test_its_faxes_are_found(console: Console, line: str, ids: set[str]) -> None:
    assert found(console.person("admin"), line) == ids


def test_they_are_found_by_the_form_and_counted_in_the_tabs(console: Console) -> None:
    admin = console.person("admin")
    assert '<option value="west">west (removed)</option>' in admin.get("/faxes").text
    answer = admin.act("/faxes", how="form", account="west", state="failed")
    page = admin.get(answer.headers["location"])
    assert 'href="/faxes/west/w2"' in page.text
    assert "All 3" in shown(admin.get("/faxes"))
    assert "All 2" in shown(admin.get("/faxes", params={"q": "account:west"}))
    assert "Account west was removed: its faxes that have ended are found" in shown(page)
    assert "Account west" not in shown(admin.get("/faxes", params={"q": "account:north"}))


def test_who_is_bound_to_accounts_or_a_department_finds_no_other(console: Console) -> None:
    bound, former = console.person("bound"), console.person("former")
    assert found(bound, "") == found(bound, "account:west") == found(bound, "id:w1") == set()
    assert "west" not in bound.get("/faxes").text
    assert bound.get("/faxes/west/w1").status_code == 404
    assert found(former, "") == {"west/w1", "west/w2"}
    assert found(console.person("radiologist"), "account:west") == {"west/w1"}
    assert console.person("radiologist").get("/faxes/west/w2").status_code == 404


def test_pages_of_the_list_follow_one_another(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faxline_console.pages.faxes.ROWS", 1)
    admin, address, seen = console.person("admin"), "/faxes", []
    while address:
        page = admin.get(address).text
        seen += re.findall(r'<a href="/faxes/(\w+/\w+)"', page)
        older = re.search(r'<a href="(/faxes[^"]*)">Older', page)
        address = older[1].replace("&amp;", "&") if older else ""
    assert seen == ["west/w2", "west/w1", "north/n1"]


@pytest.mark.usefixtures("north_dispatcher")
def test_its_fax_is_shown_revealed_and_proved_once_its_own_audit_has_it(
    console: Console, redis_client: redis.Redis
) -> None:
    auditor = console.person("auditor")
    page = auditor.get("/faxes/west/w1")
    assert page.status_code == 200
    assert "Delivered" in shown(page)
    assert GONE in shown(page)
    assert NUMBER in auditor.act("/faxes/west/w1/reveal").text
    assert auditor.act("/faxes/west/w1/report.pdf").content.startswith(b"%PDF")
    assert auditor.act("/faxes/west/w1/proof.zip").content.startswith(b"PK")
    assert auditor.act("/faxes/west/w1/receipt.json").text == RECEIPT
    whats = ["auditor", "auditor: report", "auditor: proof", "auditor: receipt"]
    assert audited(redis_client) == [(who, "w1") for who in whats]
    assert audited(redis_client, NORTH) == []


@pytest.mark.usefixtures("north_dispatcher")
def test_a_number_that_redis_still_has_is_revealed_in_the_same_way(
    console: Console, redis_client: redis.Redis
) -> None:
    put_fax(redis_client, "w9", "west", state="delivered", number=NUMBER)
    assert NUMBER in console.person("auditor").act("/faxes/west/w9/reveal").text
    assert audited(redis_client) == [("auditor", "w9")]


@pytest.mark.usefixtures("north_dispatcher")
def test_a_search_for_its_number_is_noted_in_its_audit(console: Console, redis_client: redis.Redis) -> None:
    assert found(console.person("clerk"), f"to:{NUMBER}") == {"west/w1"}
    until = time.monotonic() + 20
    while redis_client.xlen(WEST.orders) and time.monotonic() < until:
        time.sleep(0.01)
    assert audited(redis_client) == [("clerk: search", "w1")]


def test_nothing_is_revealed_that_no_dispatcher_has_noted(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_line, "TIMEOUT", 0.2)
    for what in ("reveal", "report.pdf", "proof.zip", "receipt.json"):
        answer = console.person("auditor").act(f"/faxes/west/w1/{what}")
        assert answer.status_code == 503
        assert NUMBER not in answer.text


ACTIONS = [
    ("cancel", "queued", {}),
    ("resend", "failed", {"next": "w9.r1"}),
    ("elsewhere", "failed", {"to": "+12025550168", "confirmed": "+12025550168", "next": "w9.r1"}),
    ("resolve", "in_doubt", {"how": "fail"}),
    ("resolve", "in_doubt", {"how": "resend"}),
    ("resolve", "in_doubt", {"how": "accepted", "job_id": "5", "confirmed": "5"}),
    ("ask", "unconfirmed", {}),
    ("forget", "failed", {}),
]


@pytest.mark.parametrize(("what", "state", "fields"), ACTIONS)
def test_what_cannot_be_done_is_refused_in_words_and_leaves_nothing_on_a_stream(
    console: Console, redis_client: redis.Redis, what: str, state: str, fields: dict[str, str]
) -> None:
    """Also of a fax that Redis still has."""
    put_fax(redis_client, "w9", "west", state=state, job_id="5", attempt="1", sent_at=str(BEGIN))
    admin = console.person("admin")
    page = admin.get("/faxes/west/w9").text
    assert f'action="/faxes/west/w9/{what}"' not in page
    assert GONE in page
    answer = admin.act(f"/faxes/west/w9/{what}", reason="tried", **fields)
    assert answer.status_code in {400, 409}
    assert GONE in answer.text
    assert re.search("Nothing was (?:changed|sent)", answer.text)
    assert ordered(redis_client) == 0


@pytest.mark.parametrize("what", [what for what, *_ in ACTIONS])
def test_so_it_is_with_a_fax_that_only_the_archive_has(
    console: Console, redis_client: redis.Redis, what: str
) -> None:
    fields = {"how": "fail", "to": "+12025550168", "next": "w2.r1", "reason": "tried"}
    answer = console.person("admin").act(f"/faxes/west/w2/{what}", **fields)
    assert answer.status_code in {400, 409}
    assert ordered(redis_client) == 0


def test_the_page_tells_an_administrator_how_its_fax_is_forgotten(console: Console) -> None:
    said = "have the account configured again without a token, forget it then"
    assert said in shown(console.person("admin").get("/faxes/west/w2"))
    assert said not in shown(console.person("auditor").get("/faxes/west/w2"))


@pytest.mark.parametrize("in_redis", [False, True])
def test_a_fax_that_had_not_ended_says_that_nobody_sends_it(
    console: Console, redis_client: redis.Redis, in_redis: bool
) -> None:
    if in_redis:
        put_fax(redis_client, "w3", "west")
        redis_client.zadd(WEST.ready, {"w3": 1})
    page = console.person("admin").get("/faxes/west/w3")
    assert page.status_code == 200
    assert "It had not ended when its account was removed. Nobody sends it" in shown(page)
    assert "Expected start" not in page.text
    assert "data-every" not in page.text


def test_a_plan_leaves_its_faxes_out_and_an_export_has_them(
    console: Console, redis_client: redis.Redis
) -> None:
    put_fax(redis_client, "w9", "west")
    admin = console.person("admin")
    pick = console.seen("west/w9")
    for form in ({"verb": "cancel", "pick": pick}, {"verb": "resend", "all": "1", "q": "account:west"}):
        page = admin.act("/faxes/plan", **form)
        assert page.status_code == 200
        assert f"There is no fax to {form['verb']}" in shown(page)
    assert "which was removed" in shown(admin.act("/faxes/plan", verb="cancel", pick=pick))
    went = admin.act("/faxes/do", verb="cancel", picks=pick, reason="tried")
    assert "which was removed" in shown(went)
    assert ordered(redis_client) == 0
    rows = admin.act("/faxes/plan", verb="export", all="1", q="account:west").text
    assert "w1,west" in rows
    assert "w2,west" in rows


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/accounts/west", {"how": "pause"}),
        ("/accounts/west", {"how": "probe", "pause": "1"}),
        ("/attention/west/dead", {"how": "drop", "entry": "1-1"}),
        ("/attention/west/doubts/w9", {"how": "fail"}),
        ("/attention/west/doubts/w9/number", {}),
        ("/attention/west/ended/w9/leave", {}),
        ("/faxes/plan", {"verb": "cancel", "rest": "west/june"}),
    ],
)
def test_no_other_page_orders_anything_of_it(
    console: Console, redis_client: redis.Redis, path: str, fields: dict[str, str]
) -> None:
    put_fax(redis_client, "w9", "west", state="in_doubt", attempt="1")
    admin = console.person("admin")
    admin.get("/faxes")
    seen = console.seen("west/w9")
    answer = admin.act(path, reason="tried", seen=seen, **fields)
    assert answer.status_code == 409
    assert GONE in answer.text
    assert ordered(redis_client) == 0


def test_the_accounts_name_it_and_lead_to_its_faxes(console: Console) -> None:
    page = console.person("admin").get("/accounts")
    assert '<a href="/faxes?q=account%3Awest">west</a>' in page.text
    assert "Removed: west. Their faxes stay in the archive." in shown(page).replace(" .", ".")
    assert "west" not in console.person("bound").get("/accounts").text


def test_its_mailing_opens_and_offers_nothing(console: Console) -> None:
    console.mailings.reserve(Person("admin", Role.ADMIN), Reserved("west", "june", "", 1, 0))
    console.mailings.finish("west", "june")
    admin = console.person("admin")
    assert '<a href="/mailings/west/june">' in admin.get("/mailings").text
    page = admin.get("/mailings/west/june")
    assert (page.status_code, "1 of 1 have ended" in shown(page)) == (200, True)
    assert "/faxes/plan" not in page.text
    assert admin.get("/mailings/west/june/failures.csv").status_code == 200
    assert console.person("bound").get("/mailings/west/june").status_code == 404


def test_nothing_can_be_sent_to_it(console: Console, redis_client: redis.Redis) -> None:
    admin = console.person("admin")
    assert "west" in admin.get("/faxes").text
    assert "west" not in admin.get("/send").text
    fields = {"to": NUMBER, "account": "west", "priority": "normal", "faxQuality": "Standard", "how": "send"}
    assert GONE in shown(admin.act("/send", **fields))
    assert ordered(redis_client) == 0


def serve(client: redis.Redis, *accounts: str) -> None:
    """Let a dispatcher be at work for these accounts."""
    seconds: Any = client.time()[0]
    at = {"at": seconds * 1000, "since": 1, "host": "h", "pid": 1, "version": "1", "state": "working"}
    client.hset(f"{PROCESSES}dispatcher", "d", json.dumps(at))
    client.hset(f"{SERVING}dispatcher", "d", json.dumps({"accounts": accounts}))


@pytest.mark.parametrize("at_work", [True, False])
def test_an_account_of_another_deployment_was_not_removed(
    console: Console, redis_client: redis.Redis, at_work: bool
) -> None:
    """Whose archive is the same. While no dispatcher is at work, nobody knows what was removed."""
    if at_work:
        serve(redis_client, "west")
    redis_client.sadd(ACCOUNTS, "west", "north")
    admin = console.person("admin")
    assert found(admin, "") == {"north/n1"}
    assert admin.get("/faxes/west/w1").status_code == 404
    assert "west" not in admin.get("/usage.csv?by=account&month=2026-10").text


def test_it_is_removed_if_redis_lists_it_and_nobody_serves_it(
    console: Console, redis_client: redis.Redis
) -> None:
    """An account of the environment is taken off the list by nobody."""
    serve(redis_client, "north")
    redis_client.sadd(ACCOUNTS, "west", "north")
    assert found(console.person("admin"), "id:w1") == {"west/w1"}


FAXES = sorted(route for route in ATTEMPTS if route[1].startswith(FAX))


@pytest.mark.parametrize(("method", "path"), FAXES, ids=" ".join)
def test_its_faxes_are_for_nobody_who_may_not_see_them(
    console: Console, redis_client: redis.Redis, method: str, path: str
) -> None:
    where = path.format(account="west", job="w2")
    fields = {**ATTEMPTS[method, path].fields, "seen": console.seen("west/w2")}
    not_there = 403 if path.endswith("/forget") else 404  # which is not for an operator
    for person, status in (
        (console.stranger(), 303 if method == "GET" else 403),
        (console.person("bound"), not_there),
        (console.person("radiologist"), not_there),
        (console.person("viewer"), 200 if method == "GET" else 403),
    ):
        answer = person.get(where) if method == "GET" else person.act(where, **fields)
        assert answer.status_code == status
        assert status == 200 or "billing" not in answer.text
    assert ordered(redis_client) == 0


def test_its_faxes_are_counted_and_can_be_counted_alone(console: Console) -> None:
    admin, bound = console.person("admin"), console.person("bound")
    by_month = "/usage.csv?by=month&month=2026-11"
    assert "2026-10,4,2,1," in admin.get(by_month).text
    assert "2026-10,3,1,1," in admin.get(f"{by_month}&account=west").text
    assert "west,3,1,1," in admin.get("/usage.csv?by=account&month=2026-10").text
    assert "2026-10" not in bound.get(f"{by_month}&account=west").text


@pytest.mark.parametrize("searched", ["", "&job=w1"])
def test_its_audit_is_read(console: Console, searched: str) -> None:
    text = console.person("admin").get(f"/audit.csv?since=2026-10-27&until=2026-10-27{searched}").text
    assert ",west,ada,,reveal,w1,,done" in text
