"""The form with which a fax is sent: what it pushes, what it refuses, and what it keeps of what was typed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import phonenumbers
import pypdfium2
import pytest
import redis

from faxline.contract.errors import QueueUnavailable
from faxline.contract.redis_keys import RedisKeys
from faxline.reading.job import Job
from faxline_console.access.people import Person, Role
from faxline_console.live.line import ConsoleLine
from tests.consoles import Console, shown

FIELDS = {
    "to": "+1 (202) 555-0147",
    "account": "north",
    "priority": "normal",
    "faxQuality": "Standard",
    "how": "send",
}
INTAKE = RedisKeys("north").intake


@pytest.fixture
def console(redis_url: str, tmp_path: Path) -> Iterator[Console]:
    with Console(redis_url, tmp_path) as console:
        yield console


@pytest.fixture(scope="module")
def letter(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Any]]:
    path = tmp_path_factory.mktemp("letters") / "letter.pdf"
    document = pypdfium2.PdfDocument.new()
    document.new_page(595, 842)
    document.save(path)
    document.close()
    return [("files", ("C:\\letters\\letter.pdf", path.read_bytes(), "application/pdf"))]


@pytest.mark.parametrize(
    ("here", "back"),
    [
        ("/faxes/plan", "/faxes"),
        ("/faxes/do", "/faxes"),
        ("/faxes/north/f/elsewhere", "/faxes/north/f"),
        ("/attention/north/doubts/f", "/attention"),
        ("/mailings/push", "/mailings"),
        ("/send", "/send"),
        ("//evil.example", "/faxes"),
    ],
)
def test_who_chooses_colours_comes_back_to_a_page_that_can_be_loaded(
    console: Console, here: str, back: str
) -> None:
    answer = console.person("clerk").act("/theme", theme="dark", back=here)
    assert (answer.status_code, answer.headers["location"]) == (303, back)
    assert answer.cookies["faxline-theme"] == "dark"


def test_who_is_signed_out_while_a_form_is_filled_is_led_back_to_that_form(console: Console) -> None:
    page = console.stranger().act("/send", to="+12025550147")
    assert '<a class="btn primary" href="/sign-in?back=/send">Sign in</a>' in page.text
    assert "Nothing was sent or changed." in page.text


def pushed(client: redis.Redis) -> list[dict[str, Any]]:
    entries: Any = client.xrange(INTAKE)
    return [json.loads(fields[b"send"]) for _, fields in entries]


def hidden_id(page: str) -> str:
    return page.partition('name="id" value="')[2].partition('"')[0]


def test_a_fax_is_pushed_with_its_number_in_one_form_and_its_file_by_name(
    console: Console, redis_client: redis.Redis, letter: Any
) -> None:
    answer = console.person("clerk").act("/send", letter, **FIELDS, subject="Referral")
    (entry,) = pushed(redis_client)
    place = f"/faxes/north/{entry['id']}?done=pushed"
    assert (answer.status_code, answer.headers["location"]) == (303, place)
    assert (entry["fax"]["faxNumber"], entry["fax"]["subject"]) == ("+12025550147", "Referral")
    assert [file["fileName"] for file in entry["fax"]["faxData"]] == ["letter.pdf"]


def test_the_same_form_twice_names_the_same_fax(
    console: Console, redis_client: redis.Redis, letter: Any
) -> None:
    person = console.person("clerk")
    name = hidden_id(person.get("/send").text)
    for _ in range(2):
        person.act("/send", letter, **FIELDS, id=name)
    assert len({entry["id"] for entry in pushed(redis_client)}) == 1


def test_a_form_whose_push_was_not_answered_comes_back_filled_and_sent_again_goes_once(
    console: Console, redis_client: redis.Redis, letter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clerk, send = console.person("clerk"), ConsoleLine.send

    async def loses_the_answer(self: ConsoleLine, **fax: Any) -> Job:
        await send(self, **fax)
        raise QueueUnavailable("away")

    name = hidden_id(clerk.get("/send").text)
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleLine, "send", loses_the_answer)
        answer = clerk.act("/send", letter, **FIELDS, subject="Referral", id=name)
    (entry,) = pushed(redis_client)
    assert answer.status_code == 503
    assert "It is not known whether the fax was pushed." in shown(answer)
    assert "Choose the file again: a browser does not keep it. letter.pdf" in shown(answer)
    assert f'<a href="/faxes/north/{entry["id"]}">' in answer.text
    assert 'value="Referral"' in answer.text
    assert FIELDS["to"] in answer.text
    again = clerk.act("/send", letter, **FIELDS, subject="Referral", id=hidden_id(answer.text))
    assert again.status_code == 303
    assert {one["id"] for one in pushed(redis_client)} == {entry["id"]}


def test_the_same_document_to_the_same_number_on_a_fresh_form_goes_only_once_that_was_confirmed(
    console: Console, redis_client: redis.Redis, letter: Any
) -> None:
    clerk = console.person("clerk")
    fields = FIELDS | {"to": "+12025550147\n+12025550148"}
    clerk.act("/send", letter, **FIELDS, id=hidden_id(clerk.get("/send").text))
    (first,) = pushed(redis_client)
    checked = clerk.act("/send", letter, **fields | {"how": "check"})
    for answer in (checked, clerk.act("/send", letter, **fields, id="fresh")):
        text = shown(answer)
        assert "You sent the same document to ••• ••• 0147 at " in text
        assert f'<a href="/faxes/north/{first["id"]}">' in answer.text
        assert "0148 at" not in text
        assert "Choose the file again" in text
    assert answer.status_code == 400
    assert len(pushed(redis_client)) == 1
    again = answer.text.partition('name="again" value="')[2].partition('"')[0]
    refused = clerk.act("/send", letter, **fields, id=hidden_id(answer.text), again="another")
    assert refused.status_code == 400
    done = clerk.act("/send", letter, **fields, id=hidden_id(answer.text), again=again)
    assert done.status_code == 303
    assert len(pushed(redis_client)) == 2  # an entry with both numbers


def test_another_number_document_account_or_person_is_not_the_same_fax(
    console: Console, redis_client: redis.Redis, letter: Any
) -> None:
    other = [("files", ("letter.txt", b"Dear colleague"))]
    console.person("clerk").act("/send", letter, **FIELDS)
    console.person("clerk").act("/send", letter, **FIELDS | {"to": "+12025550148"})
    console.person("clerk").act("/send", letter, **FIELDS | {"account": "south"})
    console.person("clerk").act("/send", other, **FIELDS)
    console.person("radiologist").act("/send", letter, **FIELDS)
    assert (len(pushed(redis_client)), redis_client.xlen(RedisKeys("south").intake)) == (4, 1)
    assert console.person("clerk").act("/send", letter, **FIELDS).status_code == 400


@pytest.mark.parametrize("how", ["send", "check"])
def test_the_form_keeps_what_was_typed_while_redis_is_away(
    console: Console, letter: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise QueueUnavailable("away")

    for method in ("note", "send", "account_state"):
        monkeypatch.setattr(ConsoleLine, method, fails)
    numbers = "+12025550147\n+12025550148"
    fields = FIELDS | {"to": numbers, "how": how}
    answer = console.person("clerk").act("/send", letter, **fields, id="7d1c")
    assert answer.status_code == (503 if how == "send" else 200)
    assert (numbers in answer.text, hidden_id(answer.text)) == (True, "7d1c")
    assert "Redis does not answer" in shown(answer)


@pytest.mark.parametrize("changes", [{"to": "+12025550168"}, {"subject": "Second"}, {"account": "south"}, {}])
def test_a_changed_form_or_another_persons_is_another_fax_whatever_id_it_has(
    console: Console, redis_client: redis.Redis, letter: Any, changes: dict[str, str]
) -> None:
    console.person("clerk").act("/send", letter, **FIELDS, id="billing.7")
    (first,) = pushed(redis_client)
    person = console.person("clerk" if changes else "operator")
    answer = person.act("/send", letter, **{**FIELDS, **changes}, id="billing.7", again=first["id"])
    ids = [entry["id"] for entry in pushed(redis_client)]
    assert answer.status_code == 303
    assert answer.headers["location"].rpartition("/")[2].partition("?")[0] not in {"billing.7", ids[0]}


def test_a_fax_of_somebody_with_a_department_has_its_value(
    console: Console, redis_client: redis.Redis, letter: Any
) -> None:
    console.person("radiologist").act("/send", letter, **FIELDS, metadata='{"department":"billing"}')
    (entry,) = pushed(redis_client)
    assert entry["metadata"] == {"department": "radiology"}


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"to": "+1 202 555 0147\n(202) 555-01"}, "to", "Line 2:"),
        ({"to": ""}, "to", "Give at least one number."),
        ({"to": "\n".join(f"+1202555{1000 + i}" for i in range(16))}, "to", "16 numbers; at most 15."),
        ({"to": "+12025550147\n+1 202 555 0147"}, "to", "A number is there twice."),
        ({"region": "XX"}, "region", "Choose a country of the list"),
        ({"region": "Germany"}, "region", "Choose a country of the list"),
        ({"account": "east"}, "account", "Choose one of the accounts."),
        ({"priority": "high"}, "priority", "One of urgent, normal, bulk."),
        ({"send_at": "31.11.2026"}, "send_at", "A date and a time"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_which_keeps_what_was_typed(
    console: Console,
    redis_client: redis.Redis,
    letter: Any,
    changes: dict[str, str],
    field: str,
    text: str,
) -> None:
    subject = '"><script>alert(1)</script>'
    answer = console.person("clerk").act("/send", letter, **{**FIELDS, "subject": subject, **changes})
    assert answer.status_code == 400
    assert "Nothing was sent. 1 thing to mend" in shown(answer)
    about = answer.text.partition(f'id="w-{field}"')[2]
    assert text in about.partition("</span>")[0].replace("&#39;", "'")
    assert f'aria-describedby="w-{field}"' in answer.text
    assert "<script>alert" not in answer.text
    assert "alert(1)" in answer.text
    assert pushed(redis_client) == []


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("scan.pdf", b"<html>no</html>", "the content does not match the name"),
        ("empty.pdf", b"", "the document is empty"),
        ("<script>.pdf", b"%PDF-1.7 broken", "&lt;script&gt;.pdf:"),
    ],
)
def test_a_file_that_ifax_would_refuse_is_named_and_nothing_is_pushed(
    console: Console, redis_client: redis.Redis, name: str, content: bytes, text: str
) -> None:
    answer = console.person("clerk").act("/send", [("files", (name, content))], **FIELDS)
    assert answer.status_code == 400
    assert text in answer.text
    assert "<script>.pdf" not in answer.text
    assert "again: a browser does not keep it." in answer.text
    assert pushed(redis_client) == []


def test_a_check_pushes_nothing_and_says_what_would_go(
    console: Console, redis_client: redis.Redis, letter: Any
) -> None:
    answer = console.person("clerk").act("/send", letter, **{**FIELDS, "how": "check"})
    said = (
        "All is in order. To 1 number, 1 file. Nothing was sent yet. To send it, choose the same file again"
    )
    assert said in shown(answer)
    assert pushed(redis_client) == []


@pytest.mark.parametrize(("name", "status"), [("viewer", 403), ("auditor", 403), ("bound", 400)])
def test_who_may_not_send_or_not_on_this_account_sends_nothing(
    console: Console, redis_client: redis.Redis, letter: Any, name: str, status: int
) -> None:
    assert console.person(name).act("/send", letter, **FIELDS).status_code == status
    assert pushed(redis_client) == []


@pytest.mark.parametrize("how", ["check", "numbers"])
def test_numbers_are_shown_as_they_will_be_dialled_with_their_country_before_anything_goes(
    console: Console, redis_client: redis.Redis, letter: Any, how: str
) -> None:
    fields = {**FIELDS, "to": "030 901820\n+1 202 555 0147", "region": "DE", "how": "check"}
    clerk = console.person("clerk")
    answer = clerk.act("/send", letter, **fields) if how == "check" else clerk.act("/send/numbers", **fields)
    listed = answer.text.partition('id="dialled"')[2]
    assert "+4930901820</span> Germany" in listed
    assert "+12025550147</span> United States" in listed
    assert pushed(redis_client) == []


def test_every_country_can_be_chosen_by_name_and_none_is_chosen_unasked(console: Console) -> None:
    page = console.person("clerk").get("/send").text
    choices = page.partition('<select id="region"')[2].partition("</select>")[0]
    assert set(re.findall('value="([A-Z]{2})"', choices)) == set(phonenumbers.SUPPORTED_REGIONS)
    assert '<option value="GE">Georgia</option>' in choices
    assert "selected" not in choices


def test_enter_in_a_field_checks_and_does_not_send_as_browsers_press_the_first_button(
    console: Console,
) -> None:
    form = console.person("clerk").get("/send").text.partition('action="/send"')[2]
    assert '<button name="how" value="check"' in form[: form.index("</button>")]


def test_a_fax_to_several_numbers_shows_each_and_their_group(
    console: Console, redis_client: redis.Redis, letter: Any
) -> None:
    clerk = console.person("clerk")
    answer = clerk.act("/send", letter, **{**FIELDS, "to": "+12025550147\n+12025550168"})
    (entry,) = pushed(redis_client)
    step = json.dumps({"event": "fax.queued", "at": 1, "state": "queued", "attempt": 0})
    for registered in (False, True):
        if registered:
            record: Any = {"state": "queued", "group": entry["id"], "n": 1, "h:1": step}
            redis_client.hset(RedisKeys("north").job(f"{entry['id']}.1"), mapping=record)
        page = clerk.get(answer.headers["location"]).text
        for place in (1, 2):
            assert f'<a href="/faxes/north/{entry["id"]}.{place}">' in page
        assert f'<a href="/faxes?q=group%3A%22{entry["id"]}%22">' in page


def test_a_text_file_can_be_chosen_and_goes(console: Console, redis_client: redis.Redis) -> None:
    clerk = console.person("clerk")
    assert ".txt" in clerk.get("/send").text.partition('accept="')[2].partition('"')[0].split(",")
    clerk.act("/send", [("files", ("letter.txt", b"Dear colleague"))], **FIELDS)
    assert len(pushed(redis_client)) == 1


def test_the_name_for_the_lists_is_metadata_and_the_covers_subject_is_not(
    console: Console, redis_client: redis.Redis, letter: Any
) -> None:
    for name, listed in (("clerk", ""), ("operator", " Case 7 "), ("radiologist", "Case 8")):
        console.person(name).act("/send", letter, **FIELDS, subject="Secret", listed=listed)
    assert [entry.get("metadata") or {} for entry in pushed(redis_client)] == [
        {},
        {"subject": "Case 7"},
        {"subject": "Case 8", "department": "radiology"},
    ]


@pytest.mark.parametrize("name", ["b.docx", "scan", "letter.pdf.exe"])
def test_a_file_of_a_kind_that_is_not_sent_is_refused_at_once_with_those_that_are(
    console: Console, redis_client: redis.Redis, name: str
) -> None:
    files = [("files", ("A.TXT", b"Dear colleague")), ("files", (name, b"PK"))]
    answer = console.person("clerk").act("/send", files, **FIELDS)
    assert answer.status_code == 400
    assert f"{name}: a file ends in .pdf, .tif, .tiff, .png, .jpg, .jpeg, .gif or .txt." in shown(answer)
    assert pushed(redis_client) == []


@pytest.mark.parametrize("changes", [{"to": ""}, {"how": "check"}])
def test_where_nothing_was_sent_the_field_of_the_files_says_that_they_are_to_be_chosen_again(
    console: Console, letter: Any, changes: dict[str, str]
) -> None:
    clerk = console.person("clerk")
    again = "Choose the file again: a browser does not keep it. letter.pdf"
    answer = clerk.act("/send", letter, **{**FIELDS, **changes})
    assert again in answer.text.partition('id="h-files"')[2].partition("</span>")[0]
    assert 'aria-describedby="h-files"' in answer.text
    assert "h-files" not in clerk.get("/send").text


def test_a_check_tells_a_file_that_is_not_what_its_name_says(console: Console) -> None:
    files = [("files", ("scan.png", b"not an image"))]
    answer = console.person("clerk").act("/send", files, **{**FIELDS, "how": "check"})
    assert answer.status_code == 400
    assert "scan.png: the content does not match the name" in shown(answer)


@pytest.mark.usefixtures("whole_folders")
def test_a_push_to_an_account_that_was_removed_is_refused_with_the_reason(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path, letter: Any
) -> None:
    folders = tmp_path / "accounts"
    for name in ("west", "east"):
        (folders / name).mkdir(parents=True)
    settings = {"FAXLINE_ACCOUNTS": "", "FAXLINE_ACCOUNTS_DIR": str(folders)}
    with Console(redis_url, tmp_path, **settings) as console:
        clerk = console.person("clerk")
        files = [("csv", ("rows.csv", b"to\n+12025550147\n")), *letter]
        preview = clerk.act("/mailings/new", files, account="west").text
        draft = preview.partition('name="draft" value="')[2].partition('"')[0]
        keys = RedisKeys("west")
        redis_client.hset(keys.job("a"), mapping={"state": "queued", "number": "+12025550147"})
        (folders / "west").rmdir()
        for _ in range(2):
            console.live.look()
        answers = [
            clerk.act("/send", letter, **FIELDS | {"account": "west"}),
            clerk.act("/mailings/new", files, account="west"),
            clerk.act("/mailings/push", draft=draft, name="june"),
            clerk.act("/faxes/west/a/cancel", reason="wrong letter"),
        ]
        assert [answer.status_code for answer in answers] == [400, 400, 400, 409]
        for answer in answers:
            assert "Account west was removed and takes nothing any more" in shown(answer)
        assert "<option>west" not in clerk.get("/send").text
        assert console.mailings.list(Person("clerk", Role.CLERK)) == []
        assert not redis_client.exists(keys.intake, keys.orders)
