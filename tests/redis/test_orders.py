"""What operators order about doubts and entries set aside, through library, command and dispatcher."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline import EntryNotFound, FaxLine, JobIdTaken, JobNotFound, JobState, NotInDoubt, OrderTimeout
from faxline.cli.running import run
from faxline.keys import INTAKE_GROUP
from faxline_worker.actors import Wakes
from faxline_worker.app import failure_labels
from faxline_worker.dispatcher import Dispatcher
from faxline_worker.metrics import DispatcherMetrics, new_registry
from faxline_worker.replies import Admitted
from faxline_worker.settings import read_settings
from faxline_worker.store import Store

SETTINGS = {
    "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token",
    "FAXLINE_IN_DOUBT__WAIT": "600",
    "FAXLINE_LINES__PER_NUMBER": "0",
}


@pytest.fixture
def store(redis_client: Any) -> Store:
    made = Store(redis_client, read_settings(SETTINGS), "default")
    redis_client.xgroup_create(made.keys.intake, INTAKE_GROUP, id="0", mkstream=True)
    made.survey()
    return made


@pytest.fixture
def line(redis_url: str) -> Iterator[FaxLine]:
    with FaxLine(redis_url) as line:
        yield line


@pytest.fixture
def dispatcher(redis_url: str, store: Store) -> Iterator[Dispatcher]:
    """One of which only the orders are at work."""
    with redis.Redis.from_url(redis_url) as client:
        made = Dispatcher(
            client,
            {"default": store},
            Mock(spec=Wakes),
            DispatcherMetrics(new_registry(), ["default"], failure_labels()),
            Mock(),
            consumer="test",
            takeover=60,
            sweep=60,
            wake_lease=60,
        )
        stopping = threading.Event()

        def carry_out() -> None:
            while not stopping.is_set():
                client.xread({store.keys.orders: "0"}, block=50)
                made._carry_out("default")

        thread = threading.Thread(target=carry_out)
        thread.start()
        yield made
        stopping.set()
        thread.join()


@pytest.fixture
def doubt(store: Store, redis_client: Any) -> Callable[..., Admitted]:
    """A job whose request may have reached iFax."""

    def enter(job: str, **fields: str) -> Admitted:
        entry = redis_client.xadd(store.keys.intake, {"send": "{}"})
        redis_client.xreadgroup(INTAKE_GROUP, "test", {store.keys.intake: ">"})
        values = {"kind": "send", "request": "{}", "number": "+12345678901", "priority": "normal", **fields}
        jobs = [{"id": job, "digest": "d", "rank": 2, "fields": values}]
        store.register([{"entry": entry.decode(), "jobs": jobs}])
        admitted = store.admit(f"permit-{job}", "")
        assert isinstance(admitted, Admitted)
        store.mark(admitted)
        answer = {"decision": "in_doubt", "reason": "read_timeout", "message": "iFax did not answer in time"}
        store.settle(admitted, answer)
        return admitted

    return enter


@pytest.fixture
def cli(redis_url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["--redis", redis_url, *arguments])
        return (code, *capsys.readouterr())

    return call


def names(line: FaxLine, job: str) -> list[str]:
    return [step.event for step in line.job(job).history]


@pytest.mark.usefixtures("dispatcher")
def test_a_job_that_ifax_took_goes_on_under_its_job_id_and_is_delivered_by_its_receipt(
    line: FaxLine, store: Store, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    settled = line.resolve("a", accepted=77, by="me@here", timeout=20)
    assert (settled.state, settled.job_id) == (JobState.SUBMITTED, 77)
    entry: Any = redis_client.xadd(store.keys.status, {"kind": "receipt"})
    assert store.receipt(entry.decode(), {"job_id": "77", "outcome": "delivered"}).result == "applied"
    assert names(line, "a") == ["fax.queued", "fax.in_doubt", "fax.submitted", "fax.delivered"]
    assert not redis_client.exists(store.keys.doubts, store.keys.in_doubt)


@pytest.mark.usefixtures("dispatcher")
def test_a_receipt_that_waits_under_the_job_id_is_applied_at_once(
    line: FaxLine, store: Store, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    entry: Any = redis_client.xadd(store.keys.status, {"kind": "receipt"})
    store.receipt(entry.decode(), {"job_id": "77", "outcome": "delivered"})
    assert line.resolve("a", accepted=77, by="me@here", timeout=20).state is JobState.DELIVERED


@pytest.mark.usefixtures("dispatcher")
def test_a_job_that_ifax_does_not_have_is_sent_again_with_all_its_attempts(
    line: FaxLine, store: Store, doubt: Callable[..., Admitted]
) -> None:
    doubt("a")
    assert line.resolve("a", resend=True, by="me@here", timeout=20).state is JobState.QUEUED
    again = store.admit("again", "")
    assert isinstance(again, Admitted)
    assert (again.job, again.attempt) == ("a", 2)
    assert line.job("a").history[-1].data["reason"] == "operator"


def test_a_job_that_is_given_up_fails_and_is_counted(
    line: FaxLine,
    doubt: Callable[..., Admitted],
    dispatcher: Dispatcher,
    wait_until: Callable[..., Any],
) -> None:
    doubt("a")
    settled = line.resolve("a", fail=True, by="me@here", timeout=20)
    assert (settled.state, settled.reason) == (JobState.FAILED, "operator")
    counted = dispatcher._metrics._outcomes("default", "failed")
    wait_until(lambda: counted._value.get() == 1)


@pytest.mark.usefixtures("dispatcher")
def test_an_order_about_a_job_that_is_not_in_doubt_is_refused_with_its_state(
    line: FaxLine, doubt: Callable[..., Admitted]
) -> None:
    doubt("a")
    line.resolve("a", fail=True, by="me@here", timeout=20)
    with pytest.raises(NotInDoubt, match="it is failed") as caught:
        line.resolve("a", resend=True, by="me@here", timeout=20)
    assert caught.value.state == "failed"
    with pytest.raises(JobNotFound, match="'nobody'"):
        line.resolve("nobody", resend=True, by="me@here", timeout=20)


@pytest.mark.usefixtures("dispatcher")
def test_a_job_id_of_another_job_settles_no_doubt(line: FaxLine, doubt: Callable[..., Admitted]) -> None:
    doubt("a")
    doubt("b")
    line.resolve("a", accepted=77, by="me@here", timeout=20)
    with pytest.raises(JobIdTaken, match="belongs to job 'a'") as caught:
        line.resolve("b", accepted=77, by="me@here", timeout=20)
    assert caught.value.job == "a"
    assert line.job("b").state is JobState.IN_DOUBT


@pytest.mark.usefixtures("dispatcher")
def test_the_job_id_of_the_jobs_own_duplicate_settles_its_doubt(
    line: FaxLine, store: Store, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    redis_client.set(store.keys.job_ids + "77", "a")
    assert line.resolve("a", accepted=77, by="me@here", timeout=20).state is JobState.SUBMITTED


def test_without_a_dispatcher_the_order_stays(
    line: FaxLine, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    with pytest.raises(OrderTimeout, match=r"'resolve'.*the order stays"):
        line.resolve("a", accepted=77, by="me@here", timeout=0.01)
    ((_, word),) = redis_client.xrange(line.keys.orders)
    assert word == {
        b"order": b"resolve",
        b"job": b"a",
        b"how": b"accepted",
        b"jobId": b"77",
        b"by": b"me@here",
    }


@pytest.mark.parametrize(
    "how", [{}, {"accepted": 1, "resend": True}, {"resend": True, "fail": True}, {"accepted": -1}]
)
def test_one_word_and_a_proper_job_id_settle_a_doubt(line: FaxLine, how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"settles a doubt|whole number"):
        line.resolve("a", by="me@here", **how)


def test_an_order_called_again_after_a_lost_reply_does_nothing_and_its_first_reply_stays(
    store: Store, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    entry: Any = redis_client.xadd(store.keys.orders, {"order": "resolve"})
    order = entry.decode()
    assert [store.resolve(order, "a", "fail", "") for _ in range(2)] == ["done", "gone"]
    reply = store.keys.reply(order)
    assert [fields for _, fields in redis_client.xrange(reply)] == [{b"result": b"done", b"state": b"failed"}]
    assert 0 < redis_client.pttl(reply) <= 60_000


@pytest.mark.parametrize("job_id", ["", "0x7", "7" * 19, "\u0667", "-1"])
@pytest.mark.usefixtures("dispatcher")
def test_an_order_written_by_hand_without_a_proper_job_id_is_unknown(
    line: FaxLine, doubt: Callable[..., Admitted], redis_client: Any, job_id: str
) -> None:
    doubt("a")
    word: Any = {"order": "resolve", "job": "a", "how": "accepted", "jobId": job_id}
    entry: Any = redis_client.xadd(line.keys.orders, word)
    reply: Any = redis_client.xread({line.keys.reply(entry.decode()): "0"}, block=20_000)
    assert reply[0][1][0][1] == {b"result": b"unknown"}
    assert line.job("a").state is JobState.IN_DOUBT


@pytest.mark.usefixtures("dispatcher")
def test_a_job_id_with_leading_zeros_breaks_no_events_json(
    line: FaxLine, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    word: Any = {"order": "resolve", "job": "a", "how": "accepted", "jobId": "007"}
    redis_client.xadd(line.keys.orders, word)
    event = next(e for e in line.events(after="0", timeout=20) if e.name == "fax.submitted")
    assert event.data["jobId"] == 7
    assert line.job("a").job_id == 7


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
    told = cli("explain", "own")[1]
    assert "Why: read_timeout (iFax did not answer in time)." in told
    assert "its policy, resend, applies: it is sent again" in told
    assert "`faxline resolve own --accepted JOBID`" in told


@pytest.mark.usefixtures("dispatcher")
def test_entries_set_aside_are_listed_without_their_content_and_put_back(
    cli: Callable[..., tuple[int, str, str]], line: FaxLine, store: Store, redis_client: Any
) -> None:
    entries = []
    for i in range(12):
        body: Any = {"body": b'{"toNumber":"+12345678901"}', "kind": "receipt", "at": str(i)}
        entry: Any = redis_client.xadd(store.keys.status, body)
        store.set_aside("status", entry.decode(), "malformed")
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
def test_an_entry_that_is_none_is_not_put_back(line: FaxLine) -> None:
    for entry in ("1-0", "no id", ""):
        with pytest.raises(EntryNotFound, match="no entry"):
            line.redrive(entry, by="me@here", timeout=20)


def test_an_entry_of_intake_goes_back_to_intake_with_its_own_fields(store: Store, redis_client: Any) -> None:
    odd: Any = {"stream": "status", "why": "mine", "send": "{}"}
    entry: Any = redis_client.xadd(store.keys.intake, odd)
    redis_client.xreadgroup(INTAKE_GROUP, "test", {store.keys.intake: ">"})
    assert store.set_aside("intake", entry.decode(), "KeyError")
    assert redis_client.xpending(store.keys.intake, INTAKE_GROUP)["pending"] == 0
    ((dead, _),) = redis_client.xrange(store.keys.dead)
    order: Any = redis_client.xadd(store.keys.orders, {"order": "redrive"})
    assert store.redrive(order.decode(), dead.decode()) == "done"
    ((_, fields),) = redis_client.xrange(store.keys.intake)
    assert fields == {name.encode(): value.encode() for name, value in odd.items()}
