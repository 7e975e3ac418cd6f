"""Mailings: what an upload shows before the push, what is pushed, and who sees it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from sqlalchemy import update

from faxline.contract.errors import PushInterrupted, QueueUnavailable
from faxline.contract.redis_keys import RedisKeys
from faxline_console.access.people import Person, Role
from faxline_console.live.line import ConsoleLine
from faxline_console.mailings.store import Reserved
from faxline_console.showing.downloads import csv_file
from faxline_console.tables import mailings
from tests.archives import new_archive
from tests.consoles import Console, Somebody, shown
from tests.hostile_files import plain_pdf

KEYS = RedisKeys("north")
GIF = b"GIF89a" + bytes(20)
ROWS = "to,subject\n+12025550147,Reminder\n+12025550148,Reminder\n"


@pytest.fixture
def console(own_console: Console) -> Console:
    return own_console


def upload(person: Somebody, rows: str, account: str = "north", file: str = "letter.gif") -> httpx.Response:
    files = [("csv", ("rows.csv", rows.encode())), ("files", (file, GIF))]
    return person.act("/mailings/new", files, account=account, region="")


def draft_of(answer: httpx.Response) -> str:
    return answer.text.partition('name="draft" value="')[2].partition('"')[0]


def pushed(client: redis.Redis) -> list[dict[str, Any]]:
    entries: Any = client.xrange(KEYS.intake)
    return [json.loads(fields[b"send"]) for _, fields in entries]


def test_an_upload_pushes_nothing_before_its_preview_was_seen(
    console: Console, redis_client: redis.Redis
) -> None:
    person = console.person("clerk")
    answer = upload(person, ROWS)
    assert "Ready 2 of 2" in shown(answer)
    assert pushed(redis_client) == []
    done = person.act("/mailings/push", draft=draft_of(answer), name="june", priority="bulk")
    assert (done.status_code, done.headers["location"]) == (303, "/mailings/north/june?done=pushed")
    assert [(entry["id"], entry["group"], entry["priority"]) for entry in pushed(redis_client)] == [
        ("june.1", "june", "bulk"),
        ("june.2", "june", "bulk"),
    ]
    assert "june" in shown(person.get("/mailings"))
    assert person.get("/mailings/north/june").status_code == 200
    again = person.act("/mailings/push", draft=draft_of(answer), name="june", priority="bulk")
    assert "The upload is gone" in shown(again)


def test_a_file_that_is_not_in_utf8_is_named_as_it_is_called(console: Console) -> None:
    files = [("csv", ("latin.csv", "to\nStraße".encode("latin-1"))), ("files", ("letter.gif", GIF))]
    answer = console.person("clerk").act("/mailings/new", files, account="north", region="")
    assert "latin.csv is not in UTF-8" in shown(answer)


def test_every_bad_row_is_told_by_its_line_and_left_out_only_when_asked(
    console: Console, redis_client: redis.Redis
) -> None:
    person = console.person("clerk")
    rows = "to,file\n+12025550147,letter.gif\nsee file,letter.gif\n+12025550148,/etc/passwd\n"
    rows += "+12025550149,https://evil.example/a.pdf\n+12025550150,<script>alert(1)</script>\n"
    answer = upload(person, rows)
    text = shown(answer)
    assert "4 bad rows" in text
    assert "not one fax number" in text
    assert text.count("no such file was chosen") == 3
    assert "no such file was chosen: /etc/passwd" in text
    assert "the fax: the column file names it" in text
    assert "<script>alert" not in answer.text
    refused = person.act("/mailings/push", draft=draft_of(answer), name="june")
    assert refused.status_code == 400
    assert pushed(redis_client) == []
    bad = person.act("/mailings/bad", draft=draft_of(answer))
    assert [row[0] for row in csv.reader(io.StringIO(bad.text.lstrip("\ufeff")))] == [
        "line",
        "3",
        "4",
        "5",
        "6",
    ]
    person.act("/mailings/push", draft=draft_of(answer), name="june", bad="leave")
    assert [entry["id"] for entry in pushed(redis_client)] == ["june.1"]


def test_the_preview_names_each_document_with_its_pages_and_the_rows_that_get_it(console: Console) -> None:
    rows = "to,file\n+12025550147,all.gif\n+12025550148,two.pdf\n+12025550149,two.pdf\nnone,odd.txt\n"
    files: list[Any] = [("csv", ("rows.csv", rows.encode())), ("files", ("two.pdf", plain_pdf(2)))]
    files += [("files", ("all.gif", GIF)), ("files", ("odd.txt", b"text"))]
    answer = console.person("clerk").act("/mailings/new", files, account="north", region="")
    text = shown(answer)
    assert "3 documents File Pages Goes to" in text
    assert "two.pdf 2 2 faxes of lines 3, 4 " in text
    assert "all.gif 1 1 fax of line 2 " in text
    assert "odd.txt not known nobody: no row that is ready gets it" in text
    files[0] = ("csv", ("rows.csv", b"to\n+12025550147\n+12025550148\n"))
    text = shown(console.person("clerk").act("/mailings/new", files, account="north", region=""))
    assert "two.pdf 2 each fax" in text
    assert "odd.txt not known each fax" in text
    rest = "to,file\n" + "+12025550148,two.pdf\n" * 12 + "+12025550149,all.gif\n"
    files[0] = ("csv", ("rows.csv", rest.encode()))
    text = shown(console.person("clerk").act("/mailings/new", files, account="north", region=""))
    assert "two.pdf 2 12 faxes of lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more" in text
    assert "odd.txt not known nobody: no row that is ready gets it" in text


def test_two_rows_of_one_id_are_a_bad_row(console: Console, redis_client: redis.Redis) -> None:
    person = console.person("clerk")
    answer = upload(person, "to,id\n+12025550147,a\n+12025550148,b\n+12025550149,a\n")
    assert "line 2 has the same id; an id names one fax" in shown(answer)
    person.act("/mailings/push", draft=draft_of(answer), name="june", bad="leave")
    assert [entry["id"] for entry in pushed(redis_client)] == ["a", "b"]


def test_a_bad_name_is_told_at_its_field_and_keeps_the_rows_and_the_choice(
    console: Console, redis_client: redis.Redis
) -> None:
    person = console.person("clerk")
    answer = upload(person, f"{ROWS}none,Reminder\n")
    refused = person.act("/mailings/push", draft=draft_of(answer), name="Grüße", bad="leave")
    assert refused.status_code == 400
    assert "Ready 2 of 3" in shown(refused)
    assert 'value="Grüße" aria-invalid="true" aria-describedby="w-name"' in refused.text
    assert 'value="leave" required checked' in refused.text
    done = person.act("/mailings/push", draft=draft_of(refused), name="June  letters", bad="leave")
    assert done.headers["location"] == "/mailings/north/June-letters?done=pushed"
    assert [entry["id"] for entry in pushed(redis_client)] == ["June-letters.1", "June-letters.2"]


def test_a_bad_row_is_shown_as_the_file_has_it_on_the_page_and_in_the_csv(console: Console) -> None:
    person = console.person("clerk")
    answer = upload(person, 'to;subject\nsee file;"Reminder; to Ms Byrne"\n+12025550147;x\n')
    assert "<code>see file;Reminder; to Ms Byrne</code>" in answer.text
    assert "Leave the 1 out, and push the other 1" in shown(answer)
    (bad,) = csv.DictReader(
        io.StringIO(person.act("/mailings/bad", draft=draft_of(answer)).text.lstrip("\ufeff"))
    )
    assert (bad["line"], bad["row"]) == ("2", "see file;Reminder; to Ms Byrne")


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ("to,colour\n+12025550147,red\n", "no column"),
        ("to\n", "no row"),
        ("subject\nx\n", "column `to` (or faxNumber) is missing"),
        ("\0", "not in UTF-8"),
    ],
)
def test_a_file_that_is_no_mailing_is_refused_with_the_reason(console: Console, rows: str, text: str) -> None:
    answer = upload(console.person("clerk"), rows)
    assert answer.status_code == 400
    assert text in shown(answer).replace("&#39;", "'")


def test_each_fax_of_somebody_with_a_department_has_its_value_whatever_the_row_says(
    console: Console, redis_client: redis.Redis
) -> None:
    person = console.person("radiologist")
    answer = upload(person, "to,metadata.department\n+12025550147,billing\n")
    person.act("/mailings/push", draft=draft_of(answer), name="scans")
    assert [entry["metadata"] for entry in pushed(redis_client)] == [{"department": "radiology"}]
    assert person.get("/mailings/north/scans").status_code == 200


def test_somebody_with_a_department_sees_only_its_mailings_and_takes_no_name_that_is_there(
    console: Console, redis_client: redis.Redis
) -> None:
    redis_client.sadd(KEYS.group("june"), "june.1")
    redis_client.hset(KEYS.job("june.1"), mapping={"state": "queued", "number": "+12025550147"})
    person = console.person("radiologist")
    assert person.get("/mailings/north/june").status_code == 404
    assert person.get("/mailings/north/june/failures.csv").status_code == 404
    assert "There is no fax to cancel" in shown(person.act("/faxes/plan", verb="cancel", rest="north/june"))
    answer = person.act("/mailings/push", draft=draft_of(upload(person, ROWS)), name="june")
    assert "There is a group of this name already." in shown(answer)
    assert redis_client.xlen(KEYS.intake) == 0


def test_a_name_is_taken_before_intake_has_registered_its_mailing(
    console: Console, redis_client: redis.Redis
) -> None:
    radiologist, clerk = console.person("radiologist"), console.person("clerk")
    draft = draft_of(upload(radiologist, ROWS))
    assert radiologist.act("/mailings/push", draft=draft, name="monthly").status_code == 303
    for person, rows in ((clerk, ROWS), (radiologist, f"{ROWS}+12025550149,More\n")):
        answer = person.act("/mailings/push", draft=draft_of(upload(person, rows)), name="monthly")
        assert "There is a group of this name already." in shown(answer)
    assert radiologist.get("/mailings/north/monthly").status_code == 200
    assert [entry["id"] for entry in pushed(redis_client)] == ["monthly.1", "monthly.2"]


def test_a_mailing_that_was_interrupted_is_listed_and_pushed_again_under_its_name(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise PushInterrupted("away", 1, ["june.1", "june.2"])

    person = console.person("radiologist")
    fields = {"draft": draft_of(upload(person, ROWS)), "name": "june"}
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleLine, "send_many", fails)
        answer = person.act("/mailings/push", **fields)
    assert "Push them again under this name" in shown(answer)
    assert person.get("/mailings/north/june").status_code == 200
    assert person.act("/mailings/push", **fields).status_code == 303
    assert [entry["id"] for entry in pushed(redis_client)] == ["june.1", "june.2"]


def test_a_mailing_of_which_nothing_was_pushed_says_so_and_anybody_pushes_it_again(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise QueueUnavailable("away")

    clerk, operator, fields = console.person("clerk"), console.person("operator"), {"name": "june"}
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleLine, "note", fails)
        clerk.act("/mailings/push", draft=draft_of(upload(clerk, ROWS)), **fields)
    page = shown(operator.get("/mailings/north/june"))
    assert "Not pushed The push did not come to its end. None of its faxes is registered" in page
    assert "On its way" not in page
    assert "push interrupted" in shown(operator.get("/mailings"))
    other = operator.act(
        "/mailings/push", draft=draft_of(upload(operator, f"{ROWS}+12025550149,x\n")), **fields
    )
    assert "There is a group of this name already." in shown(other)
    done = operator.act("/mailings/push", draft=draft_of(upload(operator, ROWS)), **fields)
    assert done.status_code == 303
    assert [entry["id"] for entry in pushed(redis_client)] == ["june.1", "june.2"]
    for address in ("/mailings/north/june", "/mailings"):
        page = shown(operator.get(address))
        assert "interrupted" not in page
        assert "did not come to its end" not in page
    again = console.person("admin")
    twice = again.act("/mailings/push", draft=draft_of(upload(again, ROWS)), **fields)
    assert "There is a group of this name already." in shown(twice), "it came to its end"


LONG_AGO = 20 * 86_400_000
"""Milliseconds; more than half of the retention."""


def a_while_ago(console: Console) -> None:
    """Let every mailing of the list have been pushed long ago."""
    with console.store.engine.begin() as database:
        database.execute(update(mailings).values(at=mailings.c.at - LONG_AGO))


def test_a_mailing_is_pushed_once_under_its_name_also_when_redis_has_forgotten_it(
    console: Console, redis_client: redis.Redis
) -> None:
    person = console.person("clerk")
    person.act("/mailings/push", draft=draft_of(upload(person, ROWS)), name="")
    assert len(pushed(redis_client)) == 2
    redis_client.flushdb()
    done = person.act("/mailings/push", draft=draft_of(upload(person, ROWS)), name="")
    assert (done.status_code, pushed(redis_client)) == (400, [])
    assert "It was pushed " in shown(done)
    assert " by clerk. Choose another name; who is in the same file gets it again under another." in shown(
        done
    )
    assert 'aria-invalid="true"' in done.text


def test_a_push_that_was_interrupted_is_not_repeated_when_redis_may_have_forgotten_what_was_sent(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise PushInterrupted("away", 1, ["june.1", "june.2"])

    person = console.person("clerk")
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleLine, "send_many", fails)
        person.act("/mailings/push", draft=draft_of(upload(person, ROWS)), name="june")
    a_while_ago(console)
    done = person.act("/mailings/push", draft=draft_of(upload(person, ROWS)), name="june")
    assert (done.status_code, pushed(redis_client)) == (400, [])
    assert "Redis may have forgotten what was sent" in shown(done)
    page = shown(person.get("/mailings/north/june"))
    assert "Not known any more The push did not come to its end. Redis may have forgotten" in page
    assert "nothing goes twice" not in page


def test_a_mailing_of_which_nothing_tells_any_more_is_not_on_its_way(console: Console) -> None:
    clerk = Person("clerk", Role.CLERK)
    console.mailings.reserve(clerk, Reserved("north", "may", "", 10, 0))
    console.mailings.finish("north", "may")
    assert "On its way" in shown(console.person("clerk").get("/mailings/north/may"))
    a_while_ago(console)
    page = shown(console.person("clerk").get("/mailings/north/may"))
    assert "Not known any more Nothing tells how its 10 faxes ended" in page
    assert "On its way" not in page


def test_a_mailing_whose_push_is_known_to_be_whole_all_the_same_says_nothing_of_an_interruption(
    console: Console, redis_client: redis.Redis
) -> None:
    console.mailings.reserve(Person("clerk", Role.CLERK), Reserved("north", "scans", "", 2, 0))
    fax(redis_client, "scans.1", "delivered", pages=1, transferred=1)
    person = console.person("clerk")
    assert "Only 1 fax is registered of 2." in shown(person.get("/mailings/north/scans"))
    fax(redis_client, "scans.2", "delivered", pages=1, transferred=1)
    assert "registered" not in shown(person.get("/mailings/north/scans"))
    assert "interrupted" not in shown(person.get("/mailings"))


def test_a_mailing_that_cannot_be_listed_is_not_pushed(console: Console, redis_client: redis.Redis) -> None:
    person = console.person("clerk")
    draft = draft_of(upload(person, ROWS))
    with console.store.engine.begin() as database:
        database.exec_driver_sql("DROP TABLE mailing_contents")
    assert person.act("/mailings/push", draft=draft, name="june").status_code >= 500
    assert not redis_client.exists(KEYS.intake)


def test_an_upload_belongs_to_the_session_that_made_it(console: Console, redis_client: redis.Redis) -> None:
    draft = draft_of(upload(console.person("clerk"), ROWS))
    answer = console.person("admin").act("/mailings/push", draft=draft, name="june")
    assert "The upload is gone" in shown(answer)
    assert redis_client.xlen(KEYS.intake) == 0


@pytest.mark.parametrize(("name", "status"), [("viewer", 403), ("auditor", 403), ("bound", 400)])
def test_who_may_not_send_or_not_on_this_account_uploads_nothing(
    console: Console, name: str, status: int
) -> None:
    assert upload(console.person(name), ROWS).status_code == status


def test_what_did_not_arrive_is_a_csv_file_without_formulas_and_whole_numbers(
    console: Console, redis_client: redis.Redis
) -> None:
    redis_client.sadd(KEYS.group("june"), "=cmd", "ok")
    failed = {"state": "failed", "number": "+12025550147", "reason": "busy", "code": 17}
    redis_client.hset(KEYS.job("=cmd"), mapping=failed)  # type: ignore[arg-type]
    delivered: Any = {"state": "delivered", "number": "+12025550148", "pages": 1, "transferred": 1}
    redis_client.hset(KEYS.job("ok"), mapping=delivered)
    answer = console.person("viewer").get("/mailings/north/june/failures.csv")
    rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
    assert [row[0] for row in rows] == ["id", "'=cmd"]
    assert rows[1][2:5] == ["Failed", "busy", "17"]
    assert "2025550147" not in answer.text
    assert console.person("bound").get("/mailings/north/june/failures.csv").status_code == 404


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "  =1", "\n@a"])
def test_no_cell_of_a_csv_file_is_a_formula(cell: str) -> None:
    text = bytes(csv_file(["a"], [[cell]], "a.csv").body).decode("utf-8-sig")
    _, row = csv.reader(io.StringIO(text, newline=""))
    assert row[0].startswith("'")


@pytest.mark.parametrize("end", [";", "\t", "\n", "; "])
@pytest.mark.parametrize("sign", "=+-@|%")
def test_no_part_of_a_cell_is_a_formula_where_the_separator_is_another(end: str, sign: str) -> None:
    text = bytes(csv_file(["a", "b"], [["x", f"y{end}{sign}cmd"]], "a.csv").body).decode("utf-8-sig")
    assert f"y{end}'{sign}cmd" in text


def fax(client: redis.Redis, job: str, state: str, department: str = "radiology", **fields: Any) -> None:
    told: Any = {"state": state, "number": "+12025550147", "metadata": json.dumps({"department": department})}
    told |= {"updated_at": 1_790_000_000_000, "group": "scans"}
    client.hset(KEYS.job(job), mapping=told | fields)
    client.sadd(KEYS.group("scans"), job)


def test_the_list_tells_how_far_each_mailing_is(console: Console, redis_client: redis.Redis) -> None:
    console.mailings.reserve(Person("clerk", Role.CLERK), Reserved("north", "scans", "", 5, 1))
    fax(redis_client, "scans.1", "delivered", pages=2, transferred=2)
    fax(redis_client, "scans.2", "delivered", pages=2, transferred=1)
    fax(redis_client, "scans.3", "failed", reason="busy")
    fax(redis_client, "scans.4", "queued")
    page = console.person("viewer").get("/mailings")
    assert 'aria-label="1 delivered, 1 partly delivered, 1 failed, 1 queued, of 5"' in page.text
    assert '<rect x="20.0%" width="20.0%" height="100%" data-s="partial"/>' in page.text
    text = shown(page)
    assert "1 on the way" in text
    assert "1 partly delivered, 1 failed, 1 row left out" in text


def test_what_failed_is_resent_through_its_plan_which_says_when(
    console: Console, redis_client: redis.Redis
) -> None:
    for number in range(3):
        fax(redis_client, f"scans.{number}", "failed", reason="busy", job_id=number)
    limits: Any = {
        "paused": "operator",
        "paused_at": 7,
        "paused_by": "7 ada: away",
        "requests": 10,
        "layout": "1.5",
    }
    redis_client.hset(KEYS.account_state, mapping=limits)
    clerk = console.person("clerk")
    page = clerk.get("/mailings/north/scans").text
    assert "Resend 3 failures…" in page
    names = page.partition('name="failed" value="')[2].partition('"')[0]
    failures = {"verb": "resend", "group": "scans", "failed": names}
    plan = shown(clerk.act("/faxes/plan", **failures))
    assert "Resend 3 faxes?" in plan
    assert "On north when it is resumed; it is paused by ada" in plan
    redis_client.hdel(KEYS.account_state, "paused")
    assert "On north at once" in shown(clerk.act("/faxes/plan", **failures))
    redis_client.hset(KEYS.job("scans.0"), "state", "delivered")
    redis_client.hset(KEYS.job("scans.1"), "group", "another")
    plan = shown(clerk.act("/faxes/plan", **failures)).replace("&#39;", "'")
    assert "scans.0 is delivered since" in plan
    assert "scans.1 is another fax's id now" in plan
    assert "Resend" not in console.person("viewer").get("/mailings/north/scans").text


def test_what_others_pushed_into_a_departments_mailing_is_not_there_for_it(
    console: Console, redis_client: redis.Redis
) -> None:
    radiologist = Person("radiologist", Role.OPERATOR, department=("department", "radiology"))
    console.mailings.reserve(radiologist, Reserved("north", "scans", "", 2, 0))
    fax(redis_client, "scans.1", "failed", reason="busy")
    fax(redis_client, "scans.2", "queued")
    for number in range(3):
        fax(redis_client, f"others.{number}", "queued", "billing")
    fax(redis_client, "others.9", "failed", "billing", reason="no_answer")
    person = console.person("radiologist")
    page = person.get("/mailings/north/scans")
    assert "1 of 2 have ended" in shown(page)
    assert "others" not in page.text
    assert "No answer" not in page.text
    assert "others" not in person.get("/mailings/north/scans/failures.csv").text
    assert 'aria-label="1 failed, 1 queued, of 2"' in person.get("/mailings").text


def test_a_mailing_says_by_when_its_last_fax_starts(console: Console, redis_client: redis.Redis) -> None:
    fax(redis_client, "scans.1", "queued")
    redis_client.zadd(KEYS.ready, {f"job.{number}": 3e15 for number in range(5)})
    limits: Any = {"requests": 1, "window": 3_600_000_000, "concurrency": 1, "layout": "1.5"}
    redis_client.hset(KEYS.account_state, mapping=limits)
    text = shown(console.person("viewer").get("/mailings/north/scans"))
    assert "The last is expected to start by about" in text
    assert "because the limit of requests is used up" in text


def test_a_name_that_no_group_may_have_is_told_with_what_it_may_have(
    console: Console, redis_client: redis.Redis
) -> None:
    person = console.person("clerk")
    draft = draft_of(upload(person, ROWS))
    for name in ("zoë", "a/b", "x" * 125, ".", ".."):
        answer = person.act("/mailings/push", draft=draft, name=name)
        assert answer.status_code == 400
        assert "A name has letters from A to Z" in shown(answer)
    assert pushed(redis_client) == []


@pytest.mark.parametrize("archived", [False, True])
def test_the_list_has_a_mailing_whose_account_was_removed(
    redis_url: str, tmp_path: Path, redis_client: redis.Redis, archived: bool
) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    if archived:
        new_archive(url).dispose()
    with Console(redis_url, tmp_path, FAXLINE_ARCHIVE__URL=url) as console:
        clerk = Person("clerk", Role.CLERK)
        console.mailings.reserve(clerk, Reserved("west", "letters", "", 1, 0))
        console.mailings.reserve(clerk, Reserved("north", "scans", "", 1, 0))
        fax(redis_client, "scans.1", "delivered", pages=1, transferred=1)
        page = console.person("clerk").get("/mailings")
        assert page.status_code == 200
        assert "/mailings/west" not in page.text
        assert "/mailings/north/scans" in page.text
        assert ("its account was removed" in shown(page)) == (not archived)
