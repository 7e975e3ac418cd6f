"""What the operators' command shows and orders: doubts, entries set aside, the audit."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from faxline import (
    EntryNotFound,
    FaxLine,
    JobState,
    OrderUnknown,
)
from faxline.cli.app import operator as cli_name
from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.stage.daemon import make_intake
from tests.stage.intake import read_intake


@pytest.mark.usefixtures("dispatcher")
def test_the_command_settles_a_doubt_and_tells_what_was_refused(
    cli: Callable[..., tuple[int, str, str]], doubt: Callable[..., Admitted]
) -> None:
    doubt("a")
    doubt("b")
    assert cli("resolve", "a", "--accepted", "77", "--timeout", "20") == (
        0,
        "a: submitted under jobId 77\n",
        "",
    )
    again = cli("resolve", "a", "--resend", "--timeout", "20")
    assert again == (1, "", "faxline: job 'a' is not in doubt: it is submitted; nothing was changed\n")
    taken = cli("resolve", "b", "--accepted", "77", "--timeout", "20")
    assert taken == (1, "", "faxline: jobId 77 belongs to job 'a'; nothing was changed\n")
    assert cli("resolve", "nobody", "--fail", "--timeout", "20")[0] == 4
    assert cli("resolve", "b")[0] == cli("resolve", "b", "--fail", "--resend")[0] == 2
    code, out, _ = cli("resolve", "b", "--fail", "--by", "jane", "--timeout", "20", "--json")
    assert (code, json.loads(out)["state"]) == (0, "failed")


def test_doubts_are_listed_first_with_reason_deadline_and_policy(
    cli: Callable[..., tuple[int, str, str]], doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("later")
    doubt("own", in_doubt="resend")
    doubt("held")
    redis_client.zadd("fax:{default}:in_doubt", {"held": float("inf")})
    rows = [json.loads(line) for line in cli("list", "--json")[1].splitlines()]
    assert [(r["id"], r["policy"], bool(r["waits_until"])) for r in rows] == [
        ("held", "hold", False),
        ("later", "hold", True),
        ("own", "resend", True),
    ]
    table = cli("list")[1].splitlines()
    assert "read_timeout  an operator decides" in table[1]
    assert table[3].endswith("resend")
    output = cli("explain", "own")[1]
    assert "Why: read_timeout (iFax did not answer in time)." in output
    assert "resend: it is sent again" in output
    assert "`faxline resolve own --accepted JOBID`" in output


@pytest.mark.usefixtures("dispatcher")
def test_entries_set_aside_are_listed_without_their_content_and_put_back(
    cli: Callable[..., tuple[int, str, str]], line: FaxLine, store: Store, redis_client: Any
) -> None:
    entries = []
    for i in range(12):
        body: Any = {"body": b'{"toNumber":"+12345678901"}', "kind": "receipt", "at": str(i)}
        entry: Any = redis_client.xadd(store.keys.status, body)
        store.streams.set_aside("status", entry.decode(), "malformed")
        entries.append(entry.decode())
    found = line.dead()
    assert len(found) == 12
    assert [d.entry for d in reversed(found)] == entries
    assert {(d.stream, d.why) for d in found} == {("status", "malformed")}
    assert found[-1].size == len(b'body{"toNumber":"+12345678901"}kindreceiptat0')
    code, out, _ = cli("dead")
    assert (code, len(out.splitlines())) == (0, 13)
    assert "12345678901" not in out + cli("dead", "list", "--json")[1]
    assert [d.id for d in line.dead(limit=3)] == [d.id for d in found[:3]]
    assert cli("dead", "list", "--limit", "10")[2] == "faxline: 2 more are set aside; --limit 12 shows all\n"
    oldest = found[-1].id
    assert cli("dead", "redrive", oldest, "--timeout", "20") == (0, f"{oldest} is put back\n", "")
    ((_, fields),) = redis_client.xrange(store.keys.status)
    assert fields == {b"body": b'{"toNumber":"+12345678901"}', b"kind": b"receipt", b"at": b"0"}
    assert cli("dead", "redrive", oldest, "--timeout", "20")[0] == 4
    code, out, _ = cli("dead", "redrive", "--all", "--json", "--timeout", "20")
    assert (code, len(json.loads(out)["redriven"])) == (0, 11)
    assert redis_client.xlen(store.keys.status) == 12
    assert cli("dead", "list")[1] == "account default has no entry that was set aside\n"


@pytest.mark.usefixtures("dispatcher")
def test_every_order_is_audited_with_the_name_that_was_given_and_the_redis_user(
    line: FaxLine,
    doubt: Callable[..., Admitted],
    cli: Callable[..., tuple[int, str, str]],
    store: Store,
    redis_client: Any,
) -> None:
    intake = make_intake(store)

    def take() -> None:
        intake.take(read_intake(redis_client, store))

    doubt("in-doubt")
    for name in ("a", "b"):
        line.send(to="+12025550123", files=["https://example.com/a.pdf"], id=name)
    assert cli("cancel", "a", "--timeout", "0", "--by", "jane@desk")[0] == 0
    line.cancel("a", by="jane@desk")
    take()
    line.resolve("in-doubt", accepted=77, by="john", timeout=20)
    for _ in range(2):
        line.resend("in-doubt", id="again", by="john")
    line.resend("b", id="never", by="john")
    line.push("cancel", {"id": "b"})  # as a program that knows of no names does
    take()
    line.pause(by="john", timeout=20)
    assert cli("accounts", "resume", "default", "--by", "jane@desk", "--timeout", "20")[0] == 0
    entries = [entry for entry in line.audit() if not entry.is_call]
    assert [(e.who, e.user, e.what, e.job, e.outcome, e.about, e.reason) for e in entries] == [
        ("jane@desk", "default", "cancel", "a", "done", None, None),
        ("jane@desk", "default", "cancel", "a", "refused", None, "final"),
        ("john", "default", "resolve accepted", "in-doubt", "done", None, None),
        ("john", "default", "resend", "again", "done", "in-doubt", None),
        ("john", "default", "resend", "again", "idle", "in-doubt", None),
        ("john", "default", "resend", "never", "refused", "b", "unknown_job"),
        ("unnamed", None, "cancel", "b", "done", None, None),
        ("john", "default", "pause", None, "done", None, None),
        ("jane@desk", "default", "resume", None, "done", None, None),
    ]
    assert len(cli("audit", "--orders", "--who", "default")[1].splitlines()) == 8
    assert "  john (default)  pause  done" in cli("audit", "--orders", "--who", "john")[1]


@pytest.mark.usefixtures("dispatcher")
def test_what_was_set_aside_tells_what_is_wrong_and_can_be_dropped(
    cli: Callable[..., tuple[int, str, str]], line: FaxLine, store: Store, redis_client: Any
) -> None:
    body = {"event": "x", "data": {"jobId": 4711, "faxStatus": "teleported", "toNumber": "+12345678901"}}
    for stream, fields, why in (
        (store.keys.status, {"body": json.dumps(body), "kind": "receipt", "at": "1"}, "unknown_status"),
        (store.keys.status, {"body": "no JSON", "kind": "malformed", "at": "2"}, "malformed"),
        (store.keys.intake, {"send": '{"id": "invoice-77", "sealed": "k:x"}'}, "key_missing"),
    ):
        entry: Any = redis_client.xadd(stream, fields)
        store.streams.set_aside("status" if "body" in fields else "intake", entry.decode(), why)
    sealed, nonsense, unknown = line.dead()
    assert (unknown.kind, unknown.job_id, unknown.word) == ("receipt", 4711, "teleported")
    assert (nonsense.kind, nonsense.job_id, nonsense.word) == ("malformed", None, None)
    assert (sealed.kind, sealed.job, sealed.why) == ("send", "invoice-77", "key_missing")
    shown = cli("dead")[1]
    assert "unknown_status: teleported" in shown
    assert "4711" in shown
    assert "12345678901" not in shown
    assert cli("dead", "drop", unknown.id)[0] == 2  # nobody can be asked
    assert cli("dead", "drop", unknown.id, "--yes", "--by", "jane", "--timeout", "20") == (
        *(0, f"{unknown.id} is dropped\n", ""),
    )
    assert cli("dead", "drop", unknown.id, "--yes", "--timeout", "20")[0] == 4
    assert cli("dead", "drop", "--all", "--yes", "--json", "--timeout", "20")[1] == (
        f'{{"dropped": ["{nonsense.id}", "{sealed.id}"]}}\n'
    )
    assert line.dead() == []
    assert [(e.who, e.what, e.about, e.outcome) for e in line.audit()][:2] == [
        *(("jane", "drop", unknown.id, "done"),),
        *((cli_name(), "drop", unknown.id, "refused"),),
    ]


@pytest.mark.usefixtures("dispatcher")
def test_an_operator_is_shown_the_number_and_what_to_look_for_and_the_audit_has_it(
    cli: Callable[..., tuple[int, str, str]], line: FaxLine, doubt: Callable[..., Admitted]
) -> None:
    number = "+12025550123"
    doubt("a", number=number, known_pages="3")
    doubt("b", number=number)
    assert number not in "".join(cli(*words)[1] for words in (["show", "a"], ["list"], ["explain", "a"]))
    assert [entry for entry in line.audit() if entry.what == "reveal"] == []
    sent_at = line.job("a").sent_at
    assert sent_at is not None
    sought = f"look for: to {number}, sent {sent_at:%Y-%m-%d %H:%M:%S} UTC, 3 pages, jobId not known"
    assert sought in cli("show", "a", "--reveal", "--by", "jane")[1]
    assert json.loads(cli("show", "a", "--reveal", "--json")[1])["number"] == number
    assert sought in cli("resolve", "a", "--reveal")[1]
    assert cli("list", "--state", "in_doubt", "--reveal")[1].count(number) == 2
    revealed = [(e.who, e.user, e.job) for e in line.audit() if e.what == "reveal"]
    assert revealed[0] == ("jane", "default", "a")
    assert [job for *_, job in revealed] == ["a", "a", "a", "a", "b"]
    assert line.reveal(["a", "nobody"], by="jane", timeout=20) == {"a": number}


@pytest.mark.usefixtures("dispatcher")
def test_many_doubts_are_settled_at_once_after_a_look_at_which(
    cli: Callable[..., tuple[int, str, str]], line: FaxLine, doubt: Callable[..., Admitted]
) -> None:
    for name in ("a", "b"):
        doubt(name, group="june", known_pages="3")
    doubt("c")
    code, out, err = cli("resolve", "--all", "--reason", "read_timeout", "--group", "june", "--fail")
    assert (code, line.job("a").state) == (2, JobState.IN_DOUBT)
    sent_at = line.job("a").sent_at
    assert [row.split()[0] for row in out.splitlines()] == ["id", "a", "b"]
    assert f"{sent_at:%Y-%m-%d %H:%M:%S}  3 " in out.splitlines()[1]
    assert "2 doubts" in err
    assert "--yes" in err
    none = cli("resolve", "--all", "--reason", "other", "--fail", "--yes")
    assert none == (0, "no doubt of account default fits of 3, with read_timeout\n", "")
    mistyped = cli("resolve", "--all", "--reason", "red_timeout", "--fail", "--yes")
    told = "no doubt has the reason red_timeout; did you mean read_timeout?"
    assert mistyped == (2, "", f"faxline: {told}\n")
    assert cli("resolve", "--all", "--accepted", "7", "--yes")[0] == 2
    assert cli("resolve", "--all")[0] == 0  # a look only
    assert cli("resolve", "a", "--all", "--fail", "--yes")[0] == 2
    assert cli("resolve", "a", "--group", "june", "--fail")[0] == 2
    words = ("--group", "june", "--fail", "--yes", "--by", "jane", "--timeout", "20")
    code, out, _ = cli("resolve", "--all", *words)
    assert (code, [row.partition(" (")[0] for row in out.splitlines()[-2:]]) == (
        *(0, ["a: failed: operator", "b: failed: operator"]),
    )
    assert line.job("c").state is JobState.IN_DOUBT
    code, out, _ = cli("resolve", "--all", "--before", "0s", "--resend", "--yes", "--json", "--timeout", "20")
    assert (code, [json.loads(row)["state"] for row in out.splitlines()]) == (0, ["queued"])
    settled = [(e.who, e.what, e.job) for e in line.audit() if e.what.startswith("resolve")]
    assert settled[:2] == [("jane", "resolve fail", "a"), ("jane", "resolve fail", "b")]


@pytest.mark.usefixtures("dispatcher")
def test_an_entry_that_is_none_is_not_put_back(line: FaxLine) -> None:
    for entry in ("1-0", "no id", ""):
        with pytest.raises(EntryNotFound, match="no entry"):
            line.redrive(entry, by="me@here", timeout=20)


def test_an_entry_of_intake_goes_back_to_intake_with_its_own_fields(store: Store, redis_client: Any) -> None:
    odd: Any = {"stream": "status", "why": "mine", "send": "{}"}
    entry: Any = redis_client.xadd(store.keys.intake, odd)
    redis_client.xreadgroup(INTAKE_GROUP, "test", {store.keys.intake: ">"})
    assert store.streams.set_aside("intake", entry.decode(), "KeyError")
    assert redis_client.xpending(store.keys.intake, INTAKE_GROUP)["pending"] == 0
    ((dead, _),) = redis_client.xrange(store.keys.dead)
    order: Any = redis_client.xadd(store.keys.orders, {"order": "redrive"})
    assert store.orders.redrive(order.decode(), dead.decode()) == "done"
    ((_, fields),) = redis_client.xrange(store.keys.intake)
    assert fields == {name.encode(): value.encode() for name, value in odd.items()}


def test_a_look_back_at_the_events_shows_those_of_a_name_or_the_partial_ones_and_ends(
    cli: Callable[..., tuple[int, str, str]], line: FaxLine, redis_client: Any
) -> None:
    for job, name, data in (
        ("a", "fax.delivered", {"pages": 2, "transferred": 1, "partial": True}),
        ("b", "fax.delivered", {"pages": 2, "transferred": 2}),
        ("c", "fax.unconfirmed", {}),
    ):
        fields: Any = {"event": name, "job": job, "at": "1", "data": json.dumps(data)}
        redis_client.xadd(line.keys.events, fields)

    def shown(*options: str) -> list[str]:
        return [
            json.loads(row)["job"]
            for row in cli("events", "--since", "24h", "--json", *options)[1].splitlines()
        ]

    assert shown() == ["a", "b", "c"]
    assert shown("--partial") == ["a"]
    assert shown("--event", "unconfirmed") == shown("--event", "fax.unconfirmed") == ["c"]
    code, _, err = cli("events", "--since", "24h", "--event", "unconfirmd")
    assert (code, "there is no event fax.unconfirmd: --event is one of queued, rejected" in err) == (2, True)
    assert cli("events", "--since", "0s")[1] == ""


@pytest.fixture
def older_dispatcher(redis_url: str, line: FaxLine) -> Iterator[None]:
    """One that knows none of the orders, and says so."""
    stopping = threading.Event()

    def refuse() -> None:
        last = "0"
        with redis.Redis.from_url(redis_url) as client:
            while not stopping.is_set():
                page: Any = client.xread({line.keys.orders: last}, block=50)
                for entry, _ in page[0][1] if page else ():
                    last = entry.decode()
                    client.xadd(line.keys.reply(last), {"result": "unknown"})

    thread = threading.Thread(target=refuse)
    thread.start()
    yield
    stopping.set()
    thread.join()


@pytest.mark.usefixtures("older_dispatcher")
@pytest.mark.parametrize(
    "order",
    [
        lambda line: line.reveal(["a"], by="me", timeout=20),
        lambda line: line.resolve("a", fail=True, by="me", timeout=20),
        lambda line: line.drop("1-0", by="me", timeout=20),
        lambda line: line.redrive("1-0", by="me", timeout=20),
        lambda line: line.pause(by="me", timeout=20),
        lambda line: line.forget("a", by="me", timeout=20),
        lambda line: line.probe(by="me", timeout=20),
        lambda line: line.ask("a", by="me", timeout=20),
    ],
    ids=["reveal", "resolve", "drop", "redrive", "pause", "forget", "probe", "ask"],
)
def test_an_order_that_the_dispatcher_does_not_know_is_not_taken_for_done(
    line: FaxLine, doubt: Callable[..., Admitted], order: Callable[[FaxLine], object]
) -> None:
    doubt("a")
    with pytest.raises(OrderUnknown, match="nothing was done"):
        order(line)


@pytest.mark.usefixtures("older_dispatcher")
def test_no_number_is_shown_that_the_audit_does_not_have(
    cli: Callable[..., tuple[int, str, str]], doubt: Callable[..., Admitted]
) -> None:
    doubt("a", number="+12025550123")
    code, out, err = cli("show", "a", "--reveal")
    assert code == 3
    assert "+12025550123" not in out + err
