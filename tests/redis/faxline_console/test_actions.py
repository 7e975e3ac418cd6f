"""What comes of actions that fail half-way, are sent twice, or make no sense."""

import json
from typing import Any

import pytest
import redis

from faxline import QueueUnavailable
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline_console.acting.resends import LONGEST_ID, again
from faxline_console.live.line import ConsoleLine
from tests.consoles import Console, Somebody, put_fax, shown

KEYS = RedisKeys("north")
AT = 1_790_000_000_000


@pytest.fixture
def clerk(console: Console) -> Somebody:
    return console.person("clerk")


@pytest.fixture
def admin(console: Console) -> Somebody:
    return console.person("admin")


def fax(client: redis.Redis, job: str, state: str) -> None:
    put_fax(client, job, state=state, created_at=1, job_id=5)


def pushed(client: redis.Redis) -> list[str]:
    entries: Any = client.xrange(KEYS.intake)
    return sorted(json.loads(text)["id"] for _, entry in entries for text in entry.values())


def test_of_several_some_fail_and_the_page_says_which_went_and_repeats_the_others(
    console: Console, clerk: Somebody, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"f{number}" for number in range(5)]
    for name in names:
        fax(redis_client, name, "failed")
    resend = ConsoleLine.resend

    async def fails(self: ConsoleLine, job: str, **options: Any) -> Job:
        if job == "f2":
            raise QueueUnavailable("away")
        return await resend(self, job, **options)

    fields = {"verb": "resend", "reason": "again"}
    picks = console.picks(*(f"north/{name}" for name in names))
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleLine, "resend", fails)
        answer = clerk.act("/faxes/do", picks=" ".join(picks), **fields)
    assert answer.status_code == 503
    assert "4 faxes pushed again" in shown(answer)
    assert "of 1 fax it is not known" in shown(answer)
    form = answer.text.partition('action="/faxes/do"')[2]
    assert f'name="picks" value="{picks[2]}"' in form
    assert "1 fax pushed again" in shown(clerk.act("/faxes/do", picks=picks[2], **fields))
    assert pushed(redis_client) == [f"{name}.r1" for name in names]


def test_a_plan_without_a_reason_keeps_its_faxes(
    console: Console, clerk: Somebody, redis_client: redis.Redis
) -> None:
    fax(redis_client, "f", "failed")
    answer = clerk.act("/faxes/do", verb="resend", picks=console.seen("north/f"))
    assert answer.status_code == 400
    assert f'name="picks" value="{console.seen("north/f")}"' in answer.text


def test_a_resend_sent_twice_goes_once_and_is_not_said_to_be_unknown_before_it_is_registered(
    clerk: Somebody, redis_client: redis.Redis
) -> None:
    fax(redis_client, "f", "failed")
    following = clerk.get("/faxes/north/f").text.partition('name="next" value="')[2].partition('"')[0]
    places = {
        clerk.act("/faxes/north/f/resend", next=following, reason="again").headers["location"]
        for _ in range(2)
    }
    assert places == {"/faxes/north/f.r1?done=pushed"}
    assert set(pushed(redis_client)) == {"f.r1"}
    answer = clerk.get(places.pop())
    assert (answer.status_code, "The fax is being registered" in shown(answer)) == (200, True)
    assert "Do not send it again." in shown(answer)
    assert "never goes" not in shown(answer)
    assert clerk.get("/faxes/north/f.r1").status_code == 404


def test_faxes_of_which_the_long_ids_begin_alike_are_sent_again_under_two_ids() -> None:
    names = [again(Job(id="a" * 127 + end, account="north", state=JobState.FAILED), 1) for end in "xy"]
    assert len(set(names)) == 2
    assert {len(name) for name in names} == {LONGEST_ID}


@pytest.mark.parametrize(
    ("action", "fields", "says"),
    [
        ("cancel", {}, "Give a reason"),
        ("resend", {"next": "over.r1"}, "Give a reason"),
        ("forget", {"reason": " "}, "Give a reason"),
        ("cancel", {"reason": "x" * 200}, "Shorten the reason by"),
        ("cancel", {"reason": "x", "job": "over"}, "This fax is failed already."),
        ("resend", {"reason": "x", "next": "now.r1"}, "This fax is still queued."),
        ("resend", {"reason": "x", "job": "over"}, "The form is not whole"),
        ("forget", {"reason": "x"}, "This fax is still on its way."),
    ],
)
def test_what_the_page_does_not_offer_the_server_refuses(
    admin: Somebody, redis_client: redis.Redis, action: str, fields: dict[str, str], says: str
) -> None:
    fax(redis_client, "now", "queued")
    fax(redis_client, "over", "failed")
    answer = admin.act(f"/faxes/north/{fields.pop('job', 'now')}/{action}", **fields)
    assert (answer.status_code, says in shown(answer)) == (400, True)
    assert not redis_client.exists(KEYS.intake, KEYS.orders)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/accounts/north", {"how": "pause"}),
        ("/accounts/north", {"how": "stop", "reason": "x"}),
        ("/accounts/north", {"reason": "x"}),
        ("/accounts/north", {"how": "resume", "reason": "x"}),
        ("/attention/north/dead", {"how": "drop", "entry": "1-1"}),
        ("/attention/north/dead", {"entry": "1-1", "reason": "x"}),
        ("/attention/north/dead", {"how": "again", "entry": "1-1", "reason": "x"}),
    ],
)
def test_an_order_without_a_reason_or_of_no_known_kind_is_not_given(
    admin: Somebody, redis_client: redis.Redis, path: str, fields: dict[str, str]
) -> None:
    assert admin.act(path, **fields).status_code == 400
    assert not redis_client.exists(KEYS.orders)


def test_an_order_that_nobody_carried_out_yet_stays_and_the_page_says_so(
    admin: Somebody, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = ConsoleLine.pause
    monkeypatch.setattr(ConsoleLine, "pause", lambda line, by: pause(line, by=by, timeout=0.05))
    answer = admin.act("/accounts/north", how="pause", reason="x")
    assert (answer.status_code, redis_client.xlen(KEYS.orders)) == (503, 1)
    assert "Given, not yet carried out" in shown(answer)
    assert "Nothing was changed" not in shown(answer)


@pytest.mark.parametrize("error", [QueueUnavailable("away"), ZeroDivisionError()])
def test_of_an_action_that_failed_the_page_does_not_say_that_nothing_was_done(
    admin: Somebody, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(ConsoleLine, "cancel", fails)
    fax(redis_client, "now", "queued")
    answer = admin.act("/faxes/north/now/cancel", reason="x")
    assert answer.status_code >= 500
    assert "It is not known whether it was done." in shown(answer)
    assert "nothing" not in shown(answer).lower()


def audited(client: redis.Redis, count: int) -> list[tuple[str, ...]]:
    while client.xlen(KEYS.audit) < count:
        client.xread({KEYS.audit: "$"}, block=20)
    names = (b"what", b"who", b"job", b"about", b"outcome")
    entries: Any = client.xrange(KEYS.audit)
    return [tuple(fields.get(name, b"").decode() for name in names) for _, fields in entries]


LETTER = ("files", ("a.gif", b"GIF89a" + bytes(20)))
SEND = {"account": "north", "priority": "normal", "faxQuality": "Standard", "how": "send"}


@pytest.mark.usefixtures("orders")
def test_the_audit_has_who_sent_a_fax_pushed_a_mailing_and_left_a_fax_as_it_is(
    admin: Somebody, redis_client: redis.Redis
) -> None:
    admin.act("/send", [LETTER], to="+12025550147\n+12025550148", **SEND)
    (sent,) = pushed(redis_client)
    rows = ("csv", ("rows.csv", b"to\n+12025550147\n"))
    page = admin.act("/mailings/new", [rows, LETTER], account="north", region="").text
    draft = page.partition('name="draft" value="')[2].partition('"')[0]
    admin.act("/mailings/push", draft=draft, name="june")
    fax(redis_client, "gone", "unconfirmed")
    admin.act("/attention/north/ended/gone/leave")
    assert audited(redis_client, 4) == [
        ("send", "admin", f"{sent}.1", "", "asked"),
        ("send", "admin", f"{sent}.2", "", "asked"),
        ("mailing", "admin", "", "june: 1 fax", "asked"),
        ("leave", "admin", "gone", "", "done"),
    ]


def test_the_page_of_a_fax_tells_who_sent_it(admin: Somebody, redis_client: redis.Redis) -> None:
    fax(redis_client, "now", "queued")
    redis_client.hset(KEYS.job("now"), "created_at", AT)
    note: Any = {"at": AT - 5000, "who": "ada", "what": "send", "job": "now", "outcome": "asked"}
    redis_client.xadd(KEYS.audit, note, id=f"{AT - 5000}-0")
    assert "Send: asked By ada" in shown(admin.get("/faxes/north/now"))


def test_nothing_is_pushed_that_the_audit_cannot_note(
    admin: Somebody, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise QueueUnavailable("away")

    monkeypatch.setattr(ConsoleLine, "note", fails)
    assert admin.act("/send", [LETTER], to="+12025550191", **SEND).status_code == 503
    assert not redis_client.exists(KEYS.intake)
