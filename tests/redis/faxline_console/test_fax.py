"""The page of one fax: what only the archive has, the number, the receipt and the end of it."""

import json
import re
import time
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_console.telling import acts
from tests.consoles import Console, put_fax, shown
from tests.stage.archives import BEGIN, RECEIPT, StagedFax

NUMBER = "+12025550168"
KEYS = RedisKeys("north")


@pytest.fixture(scope="module")
def stored() -> list[StagedFax]:
    return [
        StagedFax("old", "north", to=NUMBER, metadata={"department": "radiology"}),
        StagedFax("billed", "north", to=NUMBER, metadata={"department": "billing"}),
        StagedFax("twice", "north", to=NUMBER, metadata={"department": "billing"}),
        StagedFax("twice", "north", at=500, metadata={"department": "radiology"}),
    ]


def told(client: redis.Redis) -> list[tuple[str, str, str]]:
    entries: Any = client.xrange(KEYS.audit)
    return [tuple(fields[name].decode() for name in (b"what", b"job", b"who")) for _, fields in entries]


@pytest.mark.usefixtures("orders")
def test_a_number_that_only_the_archive_has_is_shown_once_the_audit_has_it(
    console: Console, redis_client: redis.Redis
) -> None:
    clerk = console.person("clerk")
    assert NUMBER not in clerk.get("/faxes/north/old").text
    assert NUMBER in clerk.act("/faxes/north/old/reveal").text
    assert told(redis_client) == [("reveal", "old", "clerk")]


@pytest.mark.usefixtures("orders")
def test_the_raw_receipt_is_a_file_for_who_may_reveal_once_the_audit_has_it(
    console: Console, redis_client: redis.Redis
) -> None:
    assert "Raw receipt" not in console.person("viewer").get("/faxes/north/old").text
    auditor = console.person("auditor")
    assert "Raw receipt" in auditor.get("/faxes/north/old").text
    answer = auditor.act("/faxes/north/old/receipt.json")
    assert answer.text == RECEIPT
    assert answer.headers["content-disposition"] == 'attachment; filename="north-old-receipt.json"'
    assert told(redis_client) == [("reveal", "old", "auditor: receipt")]


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize(("what", "begins"), [("report.pdf", b"%PDF"), ("proof.zip", b"PK")])
def test_a_report_or_a_proof_is_a_file_once_the_audit_has_it(
    console: Console, redis_client: redis.Redis, what: str, begins: bytes
) -> None:
    clerk = console.person("clerk")
    assert f'formaction="/faxes/north/old/{what}"' in clerk.get("/faxes/north/old").text
    assert clerk.act(f"/faxes/north/old/{what}").content.startswith(begins)
    assert told(redis_client) == [("reveal", "old", f"clerk: {what.partition('.')[0]}")]


def live(client: redis.Redis, job: str, **fields: Any) -> None:
    put_fax(client, job, number=NUMBER, **fields)


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("department", ["billing", "radiology"])
def test_nobody_gets_the_files_of_the_fax_that_had_an_id_before(
    console: Console, redis_client: redis.Redis, department: str
) -> None:
    metadata = json.dumps({"department": department})
    live(redis_client, "billed", created_at=BEGIN + 86_400_000, state="delivered", metadata=metadata)
    person = console.person("radiologist" if department == "radiology" else "operator")
    page = person.get("/faxes/north/billed")
    assert (page.status_code, "Transmission report" in page.text) == (200, False)
    for what in ("receipt.json", "report.pdf", "proof.zip"):
        assert person.act(f"/faxes/north/billed/{what}").status_code == 404
    assert told(redis_client) == []


def test_what_happened_to_the_fax_that_had_an_id_before_is_not_told(console: Console) -> None:
    page = shown(console.person("radiologist").get("/faxes/north/twice"))
    assert page.count("Taken by iFax") == 1


@pytest.mark.usefixtures("orders")
def test_what_only_the_archive_has_can_be_ordered_to_be_forgotten(
    console: Console, redis_client: redis.Redis
) -> None:
    answer = console.person("admin").act("/faxes/north/old/forget", reason="asked to")
    assert (answer.status_code, answer.headers["location"]) == (303, "/faxes?done=forgotten")
    assert told(redis_client) == [("forget", "old", "admin: asked to")]
    assert "The fax is forgotten." in shown(console.person("admin").get("/faxes?done=forgotten"))


@pytest.mark.parametrize(("name", "status"), [("viewer", 403), ("radiologist", 404), ("bound", 404)])
def test_nobody_else_is_shown_a_number_or_a_receipt(
    console: Console, redis_client: redis.Redis, name: str, status: int
) -> None:
    person = console.person(name)
    for what in ("reveal", "receipt.json", "report.pdf", "proof.zip"):
        assert person.act(f"/faxes/north/billed/{what}").status_code == status
    assert person.act("/faxes/north/billed/forget", reason="x").status_code in {403, 404}
    assert told(redis_client) == []
    assert not redis_client.exists(KEYS.orders)


def test_no_number_is_shown_that_no_dispatcher_noted(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faxline_console.live.line.TIMEOUT", 0.05)
    answer = console.person("clerk").act("/faxes/north/old/reveal")
    assert answer.status_code == 503
    assert NUMBER not in answer.text
    assert RECEIPT not in console.person("clerk").act("/faxes/north/old/receipt.json").text
    for what in ("report.pdf", "proof.zip"):
        assert "content-disposition" not in console.person("clerk").act(f"/faxes/north/old/{what}").headers
    assert redis_client.xlen(KEYS.orders) == 4


@pytest.mark.usefixtures("orders")
def test_a_live_number_is_shown_and_its_keys_open_its_actions(
    console: Console, redis_client: redis.Redis
) -> None:
    live(redis_client, "now")
    clerk = console.person("clerk")
    assert 'data-key="c"' in clerk.get("/faxes/north/now").text
    assert NUMBER in clerk.act("/faxes/north/now/reveal").text


@pytest.mark.parametrize(
    ("of", "department", "said"),
    [
        ("billing-4711", "billing", "Resend of another fax"),
        ("scan-1", "radiology", "Resend of scan-1"),
        ("billed", "", "Resend of another fax"),
        ("old", "", "Resend of old"),
    ],
)
def test_a_resend_names_the_fax_that_it_repeats_to_who_may_see_that(
    console: Console, redis_client: redis.Redis, of: str, department: str, said: str
) -> None:
    if department:
        live(redis_client, of, state="failed", metadata=json.dumps({"department": department}))
    live(redis_client, "copy", state="delivered", of=of, metadata=json.dumps({"department": "radiology"}))
    answer = console.person("radiologist").get("/faxes/north/copy")
    assert said in shown(answer)
    assert (of in answer.text) == (said.endswith(of))
    assert f"Resend of {of}" in shown(console.person("clerk").get("/faxes/north/copy"))


def test_a_fax_shows_the_number_from_which_it_is_sent(console: Console, redis_client: redis.Redis) -> None:
    assert "From +12025550199" in shown(console.person("viewer").get("/faxes/north/old"))
    step = json.dumps({"event": "fax.queued", "at": 1, "state": "queued", "attempt": 0})
    record: Any = {"state": "queued", "number": NUMBER, "sender": "+12025550100", "n": 1, "h:1": step}
    redis_client.hset(KEYS.job("now"), mapping=record)
    assert "From +12025550100" in shown(console.person("viewer").get("/faxes/north/now"))


def test_what_people_did_with_a_fax_is_shown_however_busy_its_account_is(
    console: Console, redis_client: redis.Redis
) -> None:
    fields: Any = {"state": "queued", "number": NUMBER, "created_at": BEGIN, "n": 0}
    redis_client.hset(KEYS.job("busy"), mapping=fields)
    with redis_client.pipeline() as pipe:
        for number in range(2500):
            call: Any = {"at": BEGIN + number, "who": "worker:1", "what": "fax-send", "outcome": "accepted"}
            call |= {"job": "busy" if number == 0 else f"other.{number}"}
            pipe.xadd(KEYS.audit, call, id=f"{BEGIN + number}-0")
            if number in {300, 2400}:
                by: Any = {"at": BEGIN + number, "who": f"ada: look {number}", "what": "reveal"}
                pipe.xadd(KEYS.audit, by | {"outcome": "done", "job": "busy"}, id=f"{BEGIN + number}-1")
        pipe.execute()
    page = shown(console.person("auditor").get("/faxes/north/busy"))
    assert "Call: fax-send" in page
    assert page.count("Reveal: done") == page.count("By ada: look") == 2


def test_an_open_page_follows_a_fax_until_it_ended_but_not_while_its_number_is_shown(
    console: Console, redis_client: redis.Redis
) -> None:
    live(redis_client, "now")
    viewer = console.person("viewer")
    assert 'data-from="/faxes/north/now"' in viewer.get("/faxes/north/now").text
    live(redis_client, "now", state="delivered")
    page = viewer.get("/faxes/north/now").text
    assert 'id="live"' in page  # what the last load puts in the place of what was shown
    assert "data-from" not in page


@pytest.mark.parametrize(("event", "state"), [("fax.cancel_refused", "queued"), ("fax.canceled", "canceled")])
def test_a_cancellation_is_said_to_be_on_its_way_until_something_came_of_it(
    console: Console, redis_client: redis.Redis, event: str, state: str
) -> None:
    live(redis_client, "now")
    clerk, said = console.person("clerk"), "The cancellation is on its way"
    page = clerk.get("/faxes/north/now?done=cancel").text
    assert said in page.partition('id="live"')[2]
    assert 'data-from="/faxes/north/now?done=cancel"' in page
    step = json.dumps({"event": event, "at": BEGIN + 1, "state": state, "attempt": 0})
    live(redis_client, "now", state=state, n=2, **{"h:2": step})
    assert said not in clerk.get("/faxes/north/now?done=cancel").text


@pytest.mark.parametrize(("role", "by"), [("operator", "ada: not there"), ("clerk", "a person")])
def test_a_fax_that_a_person_gave_up_names_who_to_those_who_may_read_of_it(
    console: Console, redis_client: redis.Redis, role: str, by: str
) -> None:
    step = {"event": "fax.failed", "at": BEGIN + 5, "state": "failed", "attempt": 1, "reason": "operator"}
    live(
        redis_client, "unsure", state="failed", reason="operator", attempt=1, n=2, **{"h:2": json.dumps(step)}
    )
    order: Any = {"at": BEGIN + 5, "who": "ada: not there", "what": "resolve_failed", "outcome": "done"}
    redis_client.xadd(KEYS.audit, order | {"job": "unsure"}, id=f"{BEGIN + 5}-0")
    page = shown(console.person(role).get("/faxes/north/unsure"))
    assert f"has ended: failed: given up by {by}" in page
    assert f"Failed by {by}" in page
    assert "operator" not in page


def test_a_job_id_that_was_refused_stays_typed_and_is_said_to_be_refused(
    console: Console, redis_client: redis.Redis
) -> None:
    live(redis_client, "unsure", state="in_doubt", attempt=1)
    order: Any = {"at": BEGIN + 5, "who": "ada", "what": "resolve accepted", "job": "unsure", "jobId": 5}
    older, refused = {"outcome": "taken"}, {"outcome": "refused", "about": "other_fax"}
    for number, outcome in enumerate((older, refused)):
        redis_client.xadd(KEYS.audit, order | outcome, id=f"{BEGIN + 5}-{number}")
    answer = console.person("admin").act("/faxes/north/unsure/resolve", how="accepted", job_id="5x")
    assert 'name="job_id" inputmode="numeric" value="5x"' in answer.text
    said = "Resolve accepted: refused, the jobId is of another fax By ada, jobId 5"
    assert shown(answer).count(said) == 2
    auditor = console.person("auditor")
    assert "resolve accepted on north unsure jobId 5" in shown(auditor.get("/audit?job=unsure"))
    assert auditor.get("/audit.csv?job=unsure").text.splitlines()[1].endswith(",refused,5")


@pytest.mark.parametrize("state", ["submitted", "unconfirmed"])
def test_a_job_id_that_ifax_does_not_know_is_told_until_ifax_answers_otherwise(
    console: Console, redis_client: redis.Redis, state: str
) -> None:
    live(redis_client, "lost", state=state, job_id=999999, attempt=1)
    call: Any = {"who": "worker:1", "what": "fax-status", "job": "lost", "jobId": 999999}
    unknown = {"at": BEGIN + 5, "outcome": "refused", "status": 404, "code": -5}
    redis_client.xadd(KEYS.audit, call | unknown, id=f"{BEGIN + 5}-0")
    operator = console.person("operator")
    page = shown(operator.get("/faxes/north/lost"))
    assert "iFax does not know jobId 999999: it answered 404" in page
    assert "There is nothing to do" not in page
    known = {"at": BEGIN + 9, "outcome": "accepted", "status": 200}
    redis_client.xadd(KEYS.audit, call | known, id=f"{BEGIN + 9}-0")
    page = shown(operator.get("/faxes/north/lost"))
    assert "does not know" not in page
    assert "There is nothing to do" not in page  # iFax can be asked


@pytest.mark.parametrize(
    ("who", "state", "words"),
    [
        ("clerk", "failed", "It was never taken by iFax: send it as a new fax."),
        ("clerk", "submitted", "There is nothing to do while it is sending."),
        ("viewer", "failed", "The role viewer reads faxes and changes none."),
        ("viewer", "queued", "The role viewer reads faxes and changes none."),
    ],
)
def test_the_actions_are_never_an_empty_box(
    console: Console, redis_client: redis.Redis, who: str, state: str, words: str
) -> None:
    live(redis_client, "new", state=state, **({"job_id": 7} if state == "submitted" else {}))
    assert shown(console.person(who).get("/faxes/north/new")).partition(" Actions ")[2].startswith(words)


def test_a_doubt_that_was_given_up_is_never_said_not_to_have_been_taken(
    console: Console, redis_client: redis.Redis
) -> None:
    doubt = json.dumps({"event": "fax.in_doubt", "at": BEGIN + 1, "state": "in_doubt", "attempt": 1})
    end = json.dumps({"event": "fax.failed", "at": BEGIN + 2, "state": "failed", "attempt": 1})
    live(redis_client, "unsure", state="failed", reason="operator", n=3, **{"h:2": doubt, "h:3": end})
    page = shown(console.person("clerk").get("/faxes/north/unsure"))
    assert "never taken" not in page
    assert "nobody knows whether iFax took it: look for it there before you send it as a new fax." in page


@pytest.mark.parametrize("how", ["resend", "fail"])
def test_a_doubt_is_sent_again_or_given_up_only_with_a_reason_once_the_page_said_what_that_does(
    console: Console, redis_client: redis.Redis, how: str
) -> None:
    live(redis_client, "unsure", state="in_doubt", attempt=1)
    operator = console.person("operator")
    page = shown(operator.get("/faxes/north/unsure"))
    assert "Not there: send again… It goes to the same number again" in page
    assert "Give up… It ends as failed" in page
    assert "can be resent or canceled" not in page
    assert "There is nothing to do" not in page
    for path in ("/faxes/north/unsure/resolve", "/attention/north/doubts/unsure"):
        assert operator.act(path, how=how).status_code == 400
        assert "Give a reason" in shown(operator.act(path, how=how, reason=" "))
    assert not redis_client.exists(KEYS.intake, KEYS.orders)


@pytest.mark.parametrize("state", ["queued", "submitted"])
def test_a_scheduled_fax_says_its_date_first_and_is_not_called_sending(
    console: Console, redis_client: redis.Redis, state: str
) -> None:
    date = 4_102_477_200_000  # 2100-01-01 09:00 UTC
    live(redis_client, "later", state=state, send_at=date, job_id=7, attempt=1)
    if state == "queued":
        redis_client.zadd(KEYS.ready, {"later": 5e14})
    page = shown(console.person("clerk").get("/faxes/north/later"))
    say = page.partition("As of")[2]
    assert say.index("2100-01-01 09:00") < 120
    assert "Until then it can be canceled." in page or state == "queued"
    assert "Expected start Its date: not sent before" in page
    assert "Sending" not in page


def test_a_fax_says_between_which_times_its_calls_and_orders_were_not_looked_for(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "MOST", 1000)
    keys, begun = RedisKeys("north"), round(time.time() * 1000) - 5_000
    told: Any = {"state": "failed", "number": "+12025550147", "created_at": begun, "updated_at": begun + 9}
    redis_client.hset(keys.job("busy"), mapping=told)
    call = {"who": "worker:1", "what": "fax-send", "job": "other", "outcome": "accepted"}
    seen = {"at": begun + 400, "who": "ada", "what": "reveal", "job": "busy", "outcome": "done"}
    with redis_client.pipeline(transaction=False) as pipe:
        for number in range(1500):
            fields: Any = seen if number == 400 else call | {"at": begun + number}
            pipe.xadd(keys.audit, fields, id=f"{begun + number}-0")
        pipe.execute()
    page = console.person("auditor").get("/faxes/north/busy")
    assert "ada" not in shown(page).partition("What happened")[2].partition("Calls and orders between")[0]
    assert re.search(
        r"Calls and orders between \d\d:\d\d:\d\d UTC and \d\d:\d\d:\d\d UTC were not looked for", shown(page)
    )
    assert 'href="/audit?job=busy"' in page.text
    monkeypatch.setattr(acts, "MOST", 20_000)
    whole = shown(console.person("auditor").get("/faxes/north/busy"))
    assert "were not looked for" not in whole
    assert "ada" in whole.partition("What happened")[2]


def test_a_later_call_of_a_fax_is_shown_however_many_others_were_between(
    console: Console, redis_client: redis.Redis
) -> None:
    begun = round(time.time() * 1000) - 5_000
    put_fax(redis_client, "dialled", state="failed", created_at=begun)
    with redis_client.pipeline(transaction=False) as pipe:
        for number in range(1000):
            call: Any = {"at": begun + number, "who": "worker:1", "what": "fax-send", "outcome": "accepted"}
            if number in {0, 700}:
                call |= {"job": "dialled", "what": "fax-resend" if number else "fax-send"}
            pipe.xadd(KEYS.audit, call | {"job": call.get("job", "other")}, id=f"{begun + number}-0")
        pipe.execute()
    page = shown(console.person("auditor").get("/faxes/north/dialled"))
    assert page.index("Call: fax-send") < page.index("Call: fax-resend")
    assert "were not looked for" not in page


SCRIPT = "<script>alert(1)</script>.pdf"
REQUEST = json.dumps(
    {
        "faxNumber": NUMBER,
        "faxData": [
            {"fileName": "referral of Ada.pdf", "document": f"sha256:{'3f9a' * 16}"},
            {"fileName": SCRIPT, "fileUrl": "https://example.com/secret"},
        ],
    }
)


@pytest.mark.usefixtures("orders")
def test_the_names_of_documents_are_masked_and_shown_with_the_number_alone(
    console: Console, redis_client: redis.Redis
) -> None:
    kept: Any = {"expires_at": 4_102_477_200_000, "in_doubt": "resend", "attempts": 5, "deliveries": 1}
    live(redis_client, "named", request=REQUEST, documents="3f9a" * 16, known_pages="3", **kept)
    clerk = console.person("clerk")
    page = clerk.get("/faxes/north/named")
    text = shown(page)
    assert "Documents 3 pages Name Digest •••.pdf sha256:3f9a…3f9a •••.pdf none: it is at an address" in text
    assert "Expires 1 Jan 2100 09:00:00 UTC If in doubt it is sent again" in text
    assert "Failed deliveries 1 of 5 at most" in text
    assert "Ada" not in page.text
    assert "example.com" not in page.text
    shown_page = clerk.act("/faxes/north/named/reveal")
    assert "referral of Ada.pdf" in shown(shown_page)
    assert "example.com" not in shown_page.text
    assert "<script>alert" not in shown_page.text
    assert told(redis_client) == [("reveal", "named", "clerk")]
    assert clerk.get("/faxes/north/named").text.count("Ada") == 0


def test_of_a_request_that_is_gone_or_sealed_with_a_key_that_is_not_there_the_digests_are_shown(
    console: Console, redis_client: redis.Redis
) -> None:
    for request in ("", "sealed:gone:AAAA", "not json", "[]", json.dumps({"faxData": [7]})):
        live(redis_client, "named", request=request, documents="3f9a" * 16)
        page = shown(console.person("viewer").get("/faxes/north/named"))
        assert "Document Name Digest not kept sha256:3f9a…3f9a" in page
    assert "sha256:" in shown(console.person("viewer").get("/faxes/north/old"))


@pytest.mark.usefixtures("orders")
def test_an_operator_has_ifax_asked_about_a_fax_without_a_receipt_and_the_audit_has_why(
    console: Console, redis_client: redis.Redis
) -> None:
    live(redis_client, "lost", state="unconfirmed", job_id=7, attempt=1)
    operator = console.person("operator")
    assert "Ask iFax again…" in shown(operator.get("/faxes/north/lost"))
    assert operator.act("/faxes/north/lost/ask").status_code == 400
    answer = operator.act("/faxes/north/lost/ask", reason="the clinic called")
    assert (answer.status_code, answer.headers["location"]) == (303, "/faxes/north/lost?done=asked")
    assert told(redis_client) == [("ask", "lost", "operator: the clinic called")]
    assert redis_client.zrange(KEYS.ready, 0, -1) == [b"!poll!lost"]
    assert "iFax is asked." in shown(operator.get("/faxes/north/lost?done=asked"))
    for name in ("viewer", "clerk", "auditor"):
        assert "Ask iFax" not in shown(console.person(name).get("/faxes/north/lost"))
        assert console.person(name).act("/faxes/north/lost/ask", reason="x").status_code == 403


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"state": "delivered", "job_id": 7}, "This fax is delivered."),
        ({"state": "in_doubt", "attempt": 1}, "has no jobId to ask about"),
        ({"state": "unconfirmed"}, "has no jobId to ask about"),
    ],
)
def test_ifax_is_not_asked_about_what_it_cannot_tell(
    console: Console, redis_client: redis.Redis, fields: dict[str, Any], why: str
) -> None:
    live(redis_client, "f", **fields)
    operator = console.person("operator")
    assert "Ask iFax again" not in shown(operator.get("/faxes/north/f"))
    answer = operator.act("/faxes/north/f/ask", reason="x")
    assert (answer.status_code, redis_client.exists(KEYS.orders)) == (400, 0)
    assert why in shown(answer)
