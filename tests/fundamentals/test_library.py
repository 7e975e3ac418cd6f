"""The library: push faxes and follow them."""

import pytest

from faxline import EntryRejected, EventName, Fax, FaxLine, JobRejected, JobState
from faxline.testing import MemoryLine

LETTER = ("letter.txt", b"Dear Dr. Smith, ...")


def test_a_fax_is_pushed_and_awaited() -> None:
    """`send` checks the fax, pushes it onto Redis and returns at once. `wait` blocks until the fax has ended.

    In your service the line is `FaxLine("redis://localhost:6379/0")`, or its asyncio twin `AsyncFaxLine`. A
    `MemoryLine` needs no server: it delivers every fax at once, unless the test says otherwise.
    """
    line: FaxLine = MemoryLine()
    job = line.send(to="+1 (202) 555-0123", files=[LETTER], metadata={"order": 77})

    ended = line.wait(job, timeout=600)  # seconds
    assert ended.state is JobState.DELIVERED
    assert ended.pages == ended.transferred == 1
    assert ended.metadata == {"order": 77}  # yours: it comes back in the job and in every event


def test_the_same_id_never_faxes_twice() -> None:
    """The id is the idempotency key. After a crash or a lost answer, push again with the same id."""
    line = MemoryLine()
    for _ in range(3):
        line.send(to="+12025550123", files=[LETTER], id="invoice-77")
    history = [step.event for step in line.job("invoice-77").history]
    assert history == ["fax.queued", "fax.submitted", "fax.delivered"]

    # The same id with other content is a mistake. Intake rejects it and the first fax is not affected.
    other = line.send(to="+12025550199", files=[LETTER], id="invoice-77")
    with pytest.raises(JobRejected) as rejected:
        line.wait(other, timeout=10)
    assert rejected.value.reason == "id_reused"


def test_a_fax_that_breaks_a_rule_is_not_pushed() -> None:
    """Numbers, files, pages and size are checked before the push, with the code that the daemon uses."""
    line = MemoryLine()
    with pytest.raises(EntryRejected) as rejected:
        line.send(to="+12025", files=[LETTER], id="a")
    assert (rejected.value.member, rejected.value.reason) == ("fax.faxNumber", "bad_number")
    assert line.entries == ()


def test_a_failed_fax_says_why() -> None:
    """`reason` is a fixed name that your code can rely on. docs/causes.md lists all of them."""
    line = MemoryLine(deliver=False)  # a fax stays queued until the test moves it
    line.send(to="+12025550123", files=[LETTER], id="invoice-77")
    line.fail("invoice-77", reason="busy", code=17)

    ended = line.wait("invoice-77", timeout=10)
    assert (ended.state, ended.reason, ended.code) == (JobState.FAILED, "busy", 17)
    assert [step.event for step in ended.history] == ["fax.queued", "fax.submitted", "fax.failed"]


def test_a_fax_is_sent_again_under_an_id_of_its_own() -> None:
    """`resend` asks iFax to send a fax once more, here to another number. It needs no documents."""
    line = MemoryLine()
    line.send(to="+12025550123", files=[LETTER], id="invoice-77")
    line.resend("invoice-77", to="+12025550199", id="invoice-77-b")

    again = line.wait("invoice-77-b", timeout=10)
    assert (again.of, again.to, again.state) == ("invoice-77", "…0199", JobState.DELIVERED)


def test_a_service_reads_each_event_once() -> None:
    """Readers with the same group share the events, also across processes and restarts.

    An event is done when the reader asks for the next one. A reader that crashes gets its event again.
    """
    line = MemoryLine()
    line.send(to="+12025550123", files=[LETTER], id="invoice-77")

    events = line.events(group="billing", timeout=10)
    assert next(events).name == "fax.queued"
    assert next(events).name == "fax.submitted"  # asking for it finished fax.queued
    events.close()  # as if the service had been restarted in the middle of fax.submitted

    events = line.events(group="billing", timeout=10)
    assert [next(events).name, next(events).name] == ["fax.submitted", "fax.delivered"]
    assert next(line.events(group="archive", timeout=10)).name == "fax.queued"  # this group begins anew


def test_a_mailing_is_one_group() -> None:
    """`send_many` pushes many faxes and stores each document once. The group knows how far they are."""
    line = MemoryLine(deliver=False)
    numbers = ["+12025550101", "+12025550102", "+12025550103"]
    mailing = line.send_many([Fax(to=number, files=[LETTER]) for number in numbers], group="june")
    assert [job.id for job in mailing.jobs] == ["june.1", "june.2", "june.3"]

    line.fail("june.2", reason="no_answer")
    line.deliver("june")  # the rest of the group
    ended = line.wait(mailing, timeout=10)
    assert ended.counts == {JobState.DELIVERED: 2, JobState.FAILED: 1}
    assert [(job.id, job.reason) for job in line.group("june").failed] == [("june.2", "no_answer")]


def test_a_fax_is_sent_at_a_date_or_not_after_one() -> None:
    """iFax keeps a fax until `send_at`. One that is not submitted by `expires_at` fails and is never sent."""
    line = MemoryLine(deliver=False)
    line.send(to="+12025550123", files=[LETTER], id="later", send_at="2099-01-01T08:00:00+01:00")
    line.send(to="+12025550123", files=[LETTER], id="too-late", expires_at="2001-01-01T08:00:00+01:00")

    date = line.job("later").send_at
    assert date is not None
    assert date.isoformat() == "2099-01-01T07:00:00+00:00"
    assert line.wait("too-late", timeout=10).reason == "expired"


def test_a_queued_fax_can_be_canceled() -> None:
    """`cancel` asks for it and returns at once. The job's end or an event tells what became of it."""
    line = MemoryLine(deliver=False)
    events = line.events(timeout=10)
    for name in ("a", "b"):
        line.send(to="+12025550123", files=[LETTER], id=name)
    line.submit("b")  # iFax has taken it and is calling

    line.cancel("a")
    line.cancel("b")
    assert line.wait("a", timeout=10).state is JobState.CANCELED
    refused = next(event for event in events if event.name == EventName.CANCEL_REFUSED)
    assert (refused.job, refused.data["reason"]) == ("b", "submitted")


def test_an_operator_settles_a_doubt() -> None:
    """A connection may break after the request was sent. Then nobody knows whether iFax took the fax.

    Unless you say otherwise (`send(in_doubt="resend")`), Faxline does not send such a fax again: it might
    arrive twice. The job is in doubt until a receipt comes or an operator decides.
    """
    line = MemoryLine(deliver=False)
    line.send(to="+12025550123", files=[LETTER], id="invoice-77")
    line.doubt("invoice-77")
    assert [job.id for job in line.jobs(state="in_doubt")] == ["invoice-77"]

    # The operator found it in iFax's list, with the jobId 4711. Otherwise: resend=True or fail=True.
    job = line.resolve("invoice-77", accepted=4711, by="anna@hospital.example")
    assert (job.state, job.job_id) == (JobState.SUBMITTED, 4711)


def test_a_paused_account_keeps_its_faxes() -> None:
    """Nothing is submitted while an account is paused, and nothing is lost."""
    line = MemoryLine()
    line.pause(by="anna@hospital.example")
    line.send(to="+12025550123", files=[LETTER], id="invoice-77")
    assert line.job("invoice-77").state is JobState.QUEUED

    line.resume(by="anna@hospital.example")
    assert line.wait("invoice-77", timeout=10).state is JobState.DELIVERED


def send_invoice(line: FaxLine, number: int, to: str) -> str:
    """A function of your service: it faxes an invoice and says what to tell the customer."""
    job = line.send(to=to, files=[LETTER], id=f"invoice-{number}", subject=f"Invoice {number}")
    ended = line.wait(job, timeout=600)
    return "sent" if ended.state is JobState.DELIVERED else f"not sent: {ended.reason}"


def test_your_own_tests_need_no_server_and_no_daemon() -> None:
    """Hand a `MemoryLine` to your code, and read what it pushed in `entries`.

    Its asyncio twin is `AsyncMemoryLine`. Both come with the extra `testing`: in the checkout,
    `pip install '.[testing]'` (Faxline is on no package index).
    """
    line = MemoryLine()
    assert send_invoice(line, 77, to="+12025550123") == "sent"
    ((kind, entry),) = line.entries
    assert (kind, entry["id"], entry["fax"]["subject"]) == ("send", "invoice-77", "Invoice 77")
