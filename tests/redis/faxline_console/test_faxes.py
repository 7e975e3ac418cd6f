"""The list of live and ended faxes, its search, what is done with several, and the usage."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_console.acting.picks import Pick
from tests.consoles import Console, put_fax, shown
from tests.stage.archives import BEGIN, StagedArchive

SCRIPT = "<script>alert(1)</script>"
NUMBER = "+12025550168"


@pytest.fixture
def console(own_console: Console, archive: StagedArchive) -> Console:
    assert archive.keyring is None
    return own_console


def live(client: redis.Redis, job: str, account: str = "north", state: str = "queued", **fields: Any) -> None:
    put_fax(client, job, account, **{"state": state, "created_at": BEGIN + 60_000, **fields})
    if state == "queued":
        client.zadd(RedisKeys(account).ready, {job: 1})


def ids(page: str) -> list[str]:
    picks = [Pick.read(part.partition('"')[0]) for part in page.split('name="pick" value="')[1:]]
    return [f"{pick.account}/{pick.job}" for pick in picks if pick]


def orders(client: redis.Redis, account: str = "north") -> list[dict[str, Any]]:
    found: Any = client.xrange(RedisKeys(account).intake)
    return [json.loads(text) | {"kind": kind.decode()} for _, entry in found for kind, text in entry.items()]


def test_live_and_ended_faxes_are_one_list_the_latest_first(
    console: Console, archive: StagedArchive, redis_client: redis.Redis
) -> None:
    archive.add("old", account="north", at=0)
    archive.add("late", account="south", at=90, metadata={"subject": SCRIPT})
    live(redis_client, "now")
    page = console.person("viewer").get("/faxes").text
    assert ids(page) == ["south/late", "north/now", "north/old"]
    assert SCRIPT not in page
    assert "2025550123" not in page


def test_pages_of_equal_times_and_several_accounts_lose_and_repeat_nothing(
    console: Console, archive: StagedArchive
) -> None:
    for number in range(120):
        archive.add(f"fax-{number:03}", account=("north", "south")[number % 2], at=number // 60)
    person, seen, address = console.person("viewer"), list[str](), "/faxes"
    while address:
        page = person.get(address).text
        seen += ids(page)
        rest = page.rpartition('">Older</a>')[0]
        address = rest.rpartition('href="')[2].replace("&amp;", "&") if rest else ""
    assert len(seen) == len(set(seen)) == 120


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("state:failed", "bc"),
        ("state:failed reason:busy,no_answer", "b"),
        ("-state:failed", "ad"),
        ("state:partial", "d"),
        ("state:delivered", "a"),
        ("id:a,b", "ab"),
        ("jobid:777", "d"),
        ("group:june", "a"),
        ("-group:june", "bcd"),
        ("meta.case:7", "b"),
        ("-meta.case:7", "acd"),
        ("account:south", "c"),
        ("state:queued", ""),
        ("since:2026-10-28", ""),
    ],
)
def test_what_a_line_asks_for_is_found_in_the_archive(
    console: Console, archive: StagedArchive, line: str, found: str
) -> None:
    archive.add("a", account="north", group="june")
    archive.add("b", account="north", at=1, state="failed", reason="busy", metadata={"case": "7"})
    archive.add("c", account="south", at=2, state="failed", reason="other")
    archive.add("d", account="north", at=3, told={"partial": True, "transferred": 1, "jobId": 777})
    page = console.person("viewer").get("/faxes", params={"q": line})
    assert sorted(name.partition("/")[2] for name in ids(page.text)) == list(found)


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (7, "7"), (1.0, "1.0"), ("true", "true")])
def test_a_member_of_the_metadata_has_one_text_on_its_way_and_in_the_archive(
    console: Console, archive: StagedArchive, redis_client: redis.Redis, value: object, text: str
) -> None:
    archive.add("old", account="north", metadata={"vip": value})
    archive.add("plain", account="north", at=1)
    live(redis_client, "now", metadata=json.dumps({"vip": value}))
    viewer = console.person("viewer")
    assert ids(viewer.get("/faxes", params={"q": f"meta.vip:{text}"}).text) == ["north/now", "north/old"]
    assert ids(viewer.get("/faxes", params={"q": f"-meta.vip:{text}"}).text) == ["north/plain"]
    assert f"<dt>vip</dt><dd>{text}</dd>" in viewer.get("/faxes/north/now").text


def test_a_number_that_is_searched_is_in_no_address_and_for_its_session_alone(
    console: Console, archive: StagedArchive
) -> None:
    archive.add("a", account="north", to=NUMBER)
    archive.add("b", account="north", at=1)
    person = console.person("auditor")
    for answer in (
        person.act("/faxes", q=f"to:{NUMBER}"),
        person.act("/faxes", how="form", to="+1 (202) 555-0168"),
        person.act("/faxes", q=NUMBER),
        person.get("/faxes", params={"q": f"to:{NUMBER}"}),
    ):
        address = answer.headers["location"]
        assert answer.status_code == 303
        assert "0168" not in address
        assert ids(person.get(address).text) == ["north/a"]
        assert "0168" not in "".join(
            part.partition('"')[0] for part in person.get(address).text.split('href="')[1:]
        )
        assert console.person("auditor").get(address).status_code == 400


def test_a_department_sees_full_pages_of_its_own_faxes_and_nothing_else(
    console: Console, archive: StagedArchive
) -> None:
    for number in range(60):
        archive.add(f"r{number:02}", account="north", at=number, metadata={"department": "radiology"})
        archive.add(f"b{number:02}", account="north", at=number, metadata={"department": "billing"})
    person = console.person("radiologist")
    assert len(ids(person.get("/faxes").text)) == 50
    for line in ("id:b01", "meta.department:billing", "-meta.department:radiology"):
        assert ids(person.get("/faxes", params={"q": line}).text) == []
    assert person.get("/faxes/north/r01").status_code == 200
    assert person.get("/faxes/north/b01").status_code == 404
    assert person.act("/faxes/north/b01/report.pdf").status_code == 404
    assert person.act("/faxes/north/b01/proof.zip").status_code == 404
    assert "there is no such fax" in shown(
        person.act("/faxes/plan", verb="cancel", pick="north/1/failed/1/b01")
    )
    usage = person.get("/usage.csv?month=2026-10&by=account").text
    assert usage.splitlines()[1].startswith("north,60,")
    bound = console.person("bound")
    assert ids(bound.get("/faxes").text) == []
    assert bound.get("/faxes/north/r01").status_code == 404


@pytest.mark.parametrize(
    "path", ["/faxes/plan", "/faxes/do", "/faxes/north/a/proof.zip", "/faxes/north/a/report.pdf"]
)
def test_without_a_session_or_with_a_lesser_role_nothing_is_done(
    console: Console, archive: StagedArchive, redis_client: redis.Redis, path: str
) -> None:
    archive.add("a", account="north")
    live(redis_client, "now")
    viewer, fields = console.person("viewer"), {"verb": "cancel", "picks": console.seen("north/now")}
    assert viewer.act(path, reason="x", **fields).status_code == 403
    assert viewer.post(path, data=fields).status_code == 403
    viewer.cookies.clear()
    assert viewer.post(path, data=fields).status_code == 403
    assert not redis_client.exists(RedisKeys("north").intake)


def test_a_viewer_has_no_usage_and_no_report(console: Console, archive: StagedArchive) -> None:
    archive.add("a", account="north")
    for path in ("/usage", "/usage.csv"):
        assert console.person("viewer").get(path).status_code == 403
    assert console.person("viewer").act("/faxes/north/a/report.pdf").status_code == 403


def test_a_plan_says_what_goes_and_why_others_do_not_and_a_reason_is_needed(
    console: Console, archive: StagedArchive, redis_client: redis.Redis
) -> None:
    archive.add("old", account="north")
    live(redis_client, "now")
    live(redis_client, "over", state="failed", job_id=5)
    clerk, picks = console.person("clerk"), console.picks("north/old", "north/now", "north/over")
    page = shown(clerk.act("/faxes/plan", verb="resend", pick=picks))
    assert "Resend 1 fax?" in page
    assert "now is still queued" in page
    assert "only the archive has it" in page
    assert orders(redis_client) == []
    fields = {"verb": "resend", "picks": " ".join(picks)}
    assert clerk.act("/faxes/do", **fields).status_code == 400
    for _ in range(2):
        assert clerk.act("/faxes/do", reason="asked again", **fields).status_code == 200
    sent = orders(redis_client)
    assert {(order["kind"], order["id"], order["of"], order["by"]) for order in sent} == {
        ("resend", "over.r1", "over", "clerk: asked again")
    }


def test_a_plan_to_resend_says_first_how_many_were_delivered_and_shows_each_faxs_state(
    console: Console, archive: StagedArchive, redis_client: redis.Redis
) -> None:
    assert archive.keyring is None
    for job in ("there", "again"):
        live(redis_client, job, state="delivered", job_id=5, pages=2, transferred=2)
    live(redis_client, "half", state="delivered", job_id=5, pages=3, transferred=1)
    live(redis_client, "over", state="failed", job_id=5, reason="user_busy", code=17)
    clerk = console.person("clerk")
    picks = console.picks(*(f"north/{job}" for job in ("there", "again", "half", "over")))
    answer = clerk.act("/faxes/plan", verb="resend", pick=picks)
    page = shown(answer)
    assert "2 of them were delivered: they go again" in page
    assert page.index("were delivered") < page.index("go again as new faxes")
    assert answer.text.index("<details open>") < answer.text.index("4 faxes</summary>")
    assert "Delivered" in page.partition("there ••• ••• 0168")[2][:20]
    assert "Partly delivered 1 of 3 pages" in page.partition("half ••• ••• 0168")[2][:40]
    assert "Failed User busy (code 17)" in page.partition("over ••• ••• 0168")[2][:40]
    one = shown(clerk.act("/faxes/plan", verb="resend", pick=picks[:1]))
    assert "It was delivered: it goes again" in one
    none = shown(clerk.act("/faxes/plan", verb="resend", pick=picks[2:]))
    assert "delivered: " not in none
    assert "It was delivered: the recipient gets it twice." in shown(clerk.get("/faxes/north/there"))
    assert "gets it twice" not in shown(clerk.get("/faxes/north/over"))


def test_all_that_match_can_be_canceled(console: Console, redis_client: redis.Redis) -> None:
    for number in range(3):
        live(redis_client, f"w{number}")
    clerk = console.person("clerk")
    page = clerk.act("/faxes/plan", verb="cancel", all="1", q="state:queued")
    assert "Cancel 3 faxes?" in shown(page)
    picks = page.text.partition('name="picks" value="')[2].partition('"')[0]
    clerk.act("/faxes/do", verb="cancel", picks=picks, reason="wrong letter")
    assert sorted(order["id"] for order in orders(redis_client)) == ["w0", "w1", "w2"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "|cmd"])
def test_no_cell_of_an_export_is_a_formula(console: Console, archive: StagedArchive, text: str) -> None:
    archive.add("a", account="north", metadata={"subject": text})
    answer = console.person("viewer").act("/faxes/plan", verb="export", all="1", q="")
    row = next(csv.DictReader(io.StringIO(answer.text)))
    assert row["subject"] == ("'\t'=1" if text == "\t=1" else f"'{text}")  # some take a tab for a cell's end
    assert "2025550123" not in answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="faxes.csv"'


@pytest.mark.usefixtures("orders")
def test_an_ended_fax_is_shown_from_the_archive_with_its_report_and_proof(
    console: Console, archive: StagedArchive
) -> None:
    archive.add(
        "a", account="north", metadata={"subject": SCRIPT},
        told={"call_started_at": BEGIN + 1000, "call_ended_at": BEGIN + 8000},
    )  # fmt: skip
    clerk = console.person("clerk")
    answer = clerk.get("/faxes/north/a")
    page = shown(answer)
    for text in (
        "All 3 pages arrived at",
        "Taken by iFax",
        "Line time",
        "7 s",
        "sha256:",
        "Transmission report",
    ):
        assert text in page
    assert SCRIPT not in answer.text
    assert "2025550123" not in answer.text
    assert clerk.act("/faxes/north/a/report.pdf").content.startswith(b"%PDF")
    assert clerk.act("/faxes/north/a/proof.zip").content.startswith(b"PK")


def test_of_a_fax_that_failed_the_report_is_not_the_first_thing_to_do(
    console: Console, archive: StagedArchive
) -> None:
    archive.add("a", account="north")
    archive.add("b", account="north", state="failed", reason="operator")
    clerk = console.person("clerk")
    first = '<button class="primary" formaction="/faxes/north/{}/report.pdf"'
    assert first.format("a") in clerk.get("/faxes/north/a").text
    failed = clerk.get("/faxes/north/b")
    assert "/faxes/north/b/report.pdf" in failed.text
    assert first.format("b") not in failed.text
    assert ": given up by a person." in shown(failed)


def test_usage_counts_by_day_account_and_member_and_leads_to_the_faxes(
    console: Console, archive: StagedArchive
) -> None:
    archive.add("a", account="north", metadata={"department": SCRIPT})
    archive.add("b", account="south", state="failed", reason="busy")
    auditor = console.person("auditor")
    for by, rows in (
        ("by=day", ["2026-10-27,2,1,1,6"]),
        ("by=account", ["north,1,1,0,3", "south,1,0,1,3"]),
        ("by=reason", ["busy,1,0,1,3"]),
        ("by=metadata&key=department", [",1,0,1,3", f"{SCRIPT},1,1,0,3"]),
    ):
        answer = auditor.get(f"/usage.csv?month=2026-10&{by}")
        assert answer.text.splitlines()[1:] == rows
        page = auditor.get(f"/usage?month=2026-10&{by}").text
        assert SCRIPT not in page
    day = auditor.get("/usage?month=2026-10&by=day").text
    assert 'href="/usage?month=2026-09&amp;by=day">Month before</a>' in day
    long_ago, last = (auditor.get(f"/usage?month={month}&by=day").text for month in ("1999-12", "9999-12"))
    assert 'href="/usage?month=2000-01&amp;by=day">Month after</a>' in long_ago
    assert "Month before</a>" in last
    assert "Month after</a>" not in last
    assert "“delivered” includes those of which only a part arrived" in day
    assert "since%3A2026-10-27+until%3A2026-10-27" in day
    assert '<rect class="bad"' in day
    reasons = auditor.get("/usage?month=2026-10&by=reason").text
    assert "state%3Afailed+reason%3Abusy+since%3A2026-10-01+until%3A2026-10-31" in reasons


def test_usage_says_of_which_faxes_the_delivered_are_a_share_and_that_a_key_was_not_used(
    console: Console, archive: StagedArchive
) -> None:
    for name, state in (("a", "delivered"), ("b", "failed"), ("c", "canceled"), ("d", "unconfirmed")):
        archive.add(name, account="north", state=state)
    page = shown(console.person("auditor").get("/usage?month=2026-10&by=day&key=department"))
    assert "50.0%of 2 that were delivered or failed" in page.replace("% of", "%of")
    assert "The key “department” counts only with By: metadata." in page
    assert 'name="key" value="department"' in console.person("auditor").get("/usage?key=department").text
    without = console.person("auditor").get("/usage?month=2026-10&by=metadata")
    assert "Metadata needs a key" in shown(without)
    assert '<option value="metadata" selected>' in without.text
    assert 'href="/usage?month=2026-09&amp;by=metadata">Month before<' in without.text


def test_with_the_database_away_the_live_ones_are_shown_and_the_page_says_so(
    console: Console, archive: StagedArchive, redis_client: redis.Redis
) -> None:
    live(redis_client, "now")
    with archive.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE faxes")
    answer = console.person("viewer").get("/faxes")
    assert ids(answer.text) == ["north/now"]
    assert "does not answer" in answer.text


def test_a_plan_and_an_export_say_what_is_not_in_them(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faxline_console.acting.chosen.MOST", 2)
    for number in range(3):
        live(redis_client, f"w{number}")
    clerk = console.person("clerk")
    plan = shown(clerk.act("/faxes/plan", verb="cancel", all="1", q="state:queued"))
    assert "Cancel 2 faxes?" in plan
    assert "More than 2 faxes match" in plan
    rows = clerk.act("/faxes/plan", verb="export", all="1", q="state:queued").text.splitlines()
    assert len(rows) == 4
    assert rows[-1].startswith("Not complete: More than 2 faxes match")


def test_while_the_archive_is_away_no_plan_is_made_and_an_export_says_so(
    console: Console, archive: StagedArchive, redis_client: redis.Redis
) -> None:
    live(redis_client, "now")
    with archive.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE faxes")
    clerk = console.person("clerk")
    answer = clerk.act("/faxes/plan", verb="resend", all="1", q="")
    assert answer.status_code == 503
    assert "database does not answer" in shown(answer)
    rows = clerk.act("/faxes/plan", verb="export", all="1", q="").text.splitlines()
    assert rows[-1].startswith("Not complete: The archive")


def test_with_redis_away_ended_faxes_are_found_and_the_page_says_so(
    archive: StagedArchive, tmp_path: Path
) -> None:
    archive.add("a", account="north")
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    with Console("redis://127.0.0.1:1/0", tmp_path, FAXLINE_ARCHIVE__URL=url) as console:
        viewer = console.person("viewer")
        answer = viewer.get("/faxes")
        assert (answer.status_code, ids(answer.text)) == (200, ["north/a"])
        assert "Redis does not answer" in answer.text
        assert viewer.get("/faxes/north/a").status_code == 200
        told = console.person("admin").get("/faxes/north/b").text
        assert "Redis at 127.0.0.1:1 refused the connection" in told
        assert "127.0.0.1:1" not in viewer.get("/faxes/north/b").text
