"""What every script can be told about a job.

An input prepares what the script needs, such as the entry of a stream, and gives the call itself: calling
that twice is what a client does whose first reply was lost.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from faxline.contract.page_count import digest
from faxline_worker.state.intake_entries import MOST_TIMES
from faxline_worker.state.lineage import Knowledge
from faxline_worker.state.recent_work import Action, Entry, Evidence
from faxline_worker.state.recent_work import Call as MarkedCall
from faxline_worker.state.results import Admitted
from tests.stage.intake import create_group
from tests.stage.scene import BEGIN, NUMBER, receipt
from tests.stage.states import DATE, DEADLINE, JOB, JOB_ID, LEASE, RETRY, STRANGER, WAIT, Actors

Call = Callable[[], Any]
UNKNOWN = "99"
"""A jobId that no answer told."""
EXPIRES = RETRY + 1
KEPT = {"send_at": str(round((BEGIN + DATE) * 1000)), "schedule": "provider"}
"""Fields of a job that iFax keeps for a date."""
HERE = KEPT | {"schedule": "local"}
WORTH = {"again": "busy"}
"""Of a failure: it is worth another delivery."""
MATCH = LEASE + 1
"""Seconds after which a receipt that no answer claimed meets the doubts."""


@dataclass(frozen=True)
class Input:
    """One way to call a script; `fields` are those of the job it is about."""

    prepare: Callable[[Actors], Call]
    fields: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    first_only: bool = False
    """Only on the states of a first attempt: those of a second one come too late for its timer."""


def _register(job: str, digest: str, **fields: str) -> Input:
    def prepare(actors: Actors) -> Call:
        item = actors.scene.item(actors.scene.intake(), job, digest=digest, **fields)
        return lambda: actors.scene.store.intake.register([item])

    return Input(prepare)


def _register_above(actors: Actors) -> Call:
    actors.scene.push("another")
    return _register(JOB, "same").prepare(actors)


def _reject(actors: Actors) -> Call:
    entry = actors.scene.intake()
    reject = {"job": JOB, "member": "fax", "reason": "bad", "message": "bad"}
    return lambda: actors.scene.store.intake.register([{"entry": entry, "reject": reject}])


def _cancel(actors: Actors) -> Call:
    entry = actors.scene.intake("cancel")
    return lambda: actors.scene.store.intake.cancel(entry, JOB)


def _admit(actors: Actors) -> Call:
    return lambda: actors.scene.store.submission.admit("permit-x", "wake-x")


def _admit_too_late(actors: Actors) -> Call:
    if actors.scene.record(JOB):
        actors.scene.client.hset(actors.scene.keys.job(JOB), "expires_at", "1")
    return _admit(actors)


def _owner(actors: Actors) -> Admitted:
    return actors.owner


def _older(actors: Actors) -> Admitted:
    return actors.older


def _mark(who: Callable[[Actors], Admitted]) -> Input:
    return Input(lambda actors: lambda: actors.scene.store.submission.mark(who(actors)))


def _settle(
    decision: str, who: Callable[[Actors], Admitted] = _owner, permit: str = "", **more: Any
) -> Input:
    answer = {"decision": decision, "reason": decision, "code": 7, "retry": round(RETRY * 1000), **more}
    return Input(
        lambda actors: lambda: actors.scene.store.submission.settle(who(actors), answer, permit=permit)
    )


def _settle_the_last_try(actors: Actors) -> Call:
    if actors.scene.record(JOB):
        actors.scene.client.hset(actors.scene.keys.job(JOB), "tries", 3)
    return _settle("retry").prepare(actors)


def _settle_where_others_are_accepted(actors: Actors) -> Call:
    actors.scene.client.hset(actors.scene.keys.account_state, "accepted", f"{actors.scene.now} another")
    return _settle("unreachable", ours=True).prepare(actors)


def _refused_before(actors: Actors, times: int) -> None:
    if actors.scene.record(JOB):
        fields: Any = {"refusals": times, "refused_at": actors.scene.now - 1000}
        actors.scene.client.hset(actors.scene.keys.job(JOB), mapping=fields)


def _settle_the_last_refusal(actors: Actors) -> Call:
    _refused_before(actors, 4)
    return _settle("unknown", meaning="unknown_refusal 7").prepare(actors)


def _settle_a_refusal_beside_others(actors: Actors) -> Call:
    _refused_before(actors, 1)
    actors.scene.client.hset(actors.scene.keys.account_state, "accepted", f"{actors.scene.now} another")
    return _settle("unknown", meaning="unknown_refusal 7").prepare(actors)


def _settle_a_refusal_of_the_account(actors: Actors) -> Call:
    _refused_before(actors, 4)
    actors.scene.client.hset(actors.scene.keys.account_state, "paused", "breaker")
    return _settle("unknown", meaning="unknown_refusal 7").prepare(actors)


def _settle_after_the_receipt(outcome: str, **more: Any) -> Input:
    def prepare(actors: Actors) -> Call:
        actors.scene.receipt(JOB_ID, outcome, **more)
        return _settle("accepted", job_id=JOB_ID).prepare(actors)

    return Input(prepare)


def _receipt(job_id: str, outcome: str, **more: Any) -> Input:
    def prepare(actors: Actors) -> Call:
        entry, content = actors.scene.status(), receipt(job_id, outcome, **({"to": NUMBER} | more))
        return lambda: actors.scene.store.receipts.apply([(entry, content)])[0]

    return Input(prepare)


REDIALS = {"RETRIES__DELIVERY__REDIAL_WAIT": "1"}


def _time_after_a_redial(**more: Any) -> Input:
    def prepare(actors: Actors) -> Call:
        actors.scene.receipt(JOB_ID, "failed", redial=0, **more)
        actors.scene.go(1.5)
        return actors.scene.store.timers.run

    return Input(prepare, settings=REDIALS)


def _receipt_after(outcome: str) -> Input:
    """iFax said before that it ended otherwise."""

    def prepare(actors: Actors) -> Call:
        actors.scene.receipt(JOB_ID, outcome)
        return _receipt(JOB_ID, "delivered").prepare(actors)

    return Input(prepare)


def _receipt_of_an_older_attempt(actors: Actors) -> Call:
    answer = {"decision": "accepted", "job_id": UNKNOWN}
    actors.scene.store.submission.settle(actors.older, answer)
    return _receipt(UNKNOWN, "delivered").prepare(actors)


def _took_both(actors: Actors) -> None:
    """iFax took an older request, too, and nobody knows how that one ended."""
    actors.scene.store.submission.settle(actors.older, {"decision": "accepted", "job_id": UNKNOWN})


def _receipt_while_ifax_has_another(outcome: str, **more: Any) -> Input:
    def prepare(actors: Actors) -> Call:
        _took_both(actors)
        return _receipt(JOB_ID, outcome, **more).prepare(actors)

    return Input(prepare)


def _receipt_of_the_older_of_two(actors: Actors) -> Call:
    _took_both(actors)
    return _receipt(UNKNOWN, "failed").prepare(actors)


def _report_while_ifax_has_another(actors: Actors) -> Call:
    _took_both(actors)
    return _asked("accepted", receipt=receipt(JOB_ID, "failed")).prepare(actors)


def _report_of_the_older_of_two(actors: Actors) -> Call:
    _took_both(actors)
    return _asked("accepted", receipt=receipt(UNKNOWN, "failed"), about=UNKNOWN).prepare(actors)


def _time_after_a_redial_while_ifax_has_another(actors: Actors) -> Call:
    _took_both(actors)
    return _time_after_a_redial().prepare(actors)


def _took_the_older_while_the_newer_is_in_doubt(actors: Actors) -> None:
    if actors.scene.record(JOB).get("state") == "submitting":
        actors.settle("in_doubt")
    _took_both(actors)


def _report_while_a_newer_request_is_in_doubt(actors: Actors) -> Call:
    _took_the_older_while_the_newer_is_in_doubt(actors)
    said = receipt(UNKNOWN, "failed", **WORTH)
    return _asked("accepted", receipt=said, about=UNKNOWN).prepare(actors)


def _time_after_a_redial_while_a_newer_request_is_in_doubt(actors: Actors) -> Call:
    _took_the_older_while_the_newer_is_in_doubt(actors)
    actors.scene.receipt(UNKNOWN, "failed", redial=0, to=NUMBER, **WORTH)
    actors.scene.go(1.5)
    return actors.scene.store.timers.run


def _receipt_while_a_newer_request_is_in_doubt(actors: Actors) -> Call:
    _took_the_older_while_the_newer_is_in_doubt(actors)
    return _receipt(UNKNOWN, "failed", **WORTH).prepare(actors)


def _receipt_that_an_unclear_answer_named(actors: Actors) -> Call:
    if actors.scene.record(JOB).get("state") == "submitting":
        actors.settle("in_doubt", named=UNKNOWN)
    return _receipt(UNKNOWN, "failed", redial=0).prepare(actors)


ELSEWHERE = "+493012345678"


def _name_a_job_id(actors: Actors) -> None:
    actors.scene.store.orders.resolve(actors.scene.ordered("resolve"), JOB, "accepted", UNKNOWN)


def _receipt_of_another_number(actors: Actors) -> Call:
    _name_a_job_id(actors)
    return _receipt(UNKNOWN, "delivered", to=ELSEWHERE).prepare(actors)


def _report_of_another_number(actors: Actors) -> Call:
    _name_a_job_id(actors)
    said = receipt(UNKNOWN, to=ELSEWHERE)
    return _report("accepted", receipt=said, about=UNKNOWN, to=ELSEWHERE).prepare(actors)


def _come_in() -> Input:
    def prepare(actors: Actors) -> Call:
        entry = actors.scene.status()
        data = {
            "state": "received",
            "from": "…5014",
            "to": "…0100",
            "pages": 2,
            "transactionId": "t",
            "at": 1000,
        }
        content = {"outcome": "received", "job_id": JOB_ID, "about": JOB_ID, "data": data}
        return lambda: actors.scene.store.receipts.apply([(entry, content)])[0]

    return Input(prepare)


def _match(outcome: str, number: str = NUMBER, **more: Any) -> Input:
    def prepare(actors: Actors) -> Call:
        actors.scene.receipt(UNKNOWN, outcome, to=number, **more)
        actors.scene.go(MATCH)
        return actors.scene.store.receipts.match

    return Input(prepare)


def _lose_the_last_worker(actors: Actors) -> Call:
    """So many were lost before, one after the other, while iFax took other faxes."""
    if actors.scene.record(JOB):
        actors.scene.client.hset(actors.scene.keys.job(JOB), "unsent", f"4 {actors.scene.now - 1000}")
    actors.scene.client.hset(actors.scene.keys.account_state, "accepted", f"{actors.scene.now} another")
    return _time(LEASE).prepare(actors)


def _time(after: float, *, first_only: bool = False, **fields: str) -> Input:
    def prepare(actors: Actors) -> Call:
        actors.scene.go(after)
        return actors.scene.store.timers.run

    return Input(prepare, fields, first_only=first_only)


ASKING = {"STATUS_CALL": "true", "STATUS_CALL__TIMEOUT": "50"}
ASKED = 50.1


def _ask(actors: Actors) -> None:
    actors.scene.go(DEADLINE)
    actors.scene.store.timers.run()
    if actors.scene.record(JOB).get("state") == "submitted":
        actors.asker = actors.scene.admit()
        actors.scene.store.submission.mark(actors.asker)


def _report(decision: str, *, receipt_first: bool = False, **more: Any) -> Input:
    def prepare(actors: Actors) -> Call:
        _ask(actors)
        if receipt_first:
            actors.scene.receipt(JOB_ID)
        answer = {"decision": decision, "reason": decision, "seconds": 0.5, **more}
        return lambda: actors.scene.store.submission.report(actors.asker, answer)

    return Input(prepare, settings=ASKING)


def _admit_the_question(actors: Actors) -> Call:
    actors.scene.go(DEADLINE)
    actors.scene.store.timers.run()
    return _admit(actors)


def _mark_the_question(actors: Actors) -> Call:
    _ask(actors)
    return lambda: actors.scene.store.submission.mark(actors.asker)


def _time_after_asking(actors: Actors) -> Call:
    _ask(actors)
    actors.scene.go(ASKED)
    return actors.scene.store.timers.run


POLLING = {"RESULTS": "poll", "POLL__SCHEDULE": "[10]"}
POLL = 10.1


def _await_the_question(actors: Actors) -> None:
    """It is to be asked for; that of the way to the state may have had other settings."""
    if actors.scene.record(JOB).get("state") == "submitted":
        actors.scene.client.zadd(actors.scene.keys.polls, {JOB: actors.scene.now})
    actors.scene.go(POLL)


def _put_a_question(actors: Actors) -> None:
    """It is asked for by schedule."""
    _await_the_question(actors)
    actors.asker = replace(actors.asker, kind="poll", control_call=f"!poll!{JOB}")
    asking = actors.scene.record(JOB).get("state") in {"submitted", "in_doubt"}
    if asking and actors.scene.store.timers.poll().asked:
        actors.asker = actors.scene.admit()
        actors.scene.store.submission.mark(actors.asker)


def _poll(actors: Actors) -> Call:
    _await_the_question(actors)
    return actors.scene.store.timers.poll


def _admit_the_poll(actors: Actors) -> Call:
    _await_the_question(actors)
    actors.scene.store.timers.poll()
    return _admit(actors)


def _polled(decision: str, *, receipt_first: str = "", **more: Any) -> Input:
    def prepare(actors: Actors) -> Call:
        if actors.scene.record(JOB).get("state") == "submitting":  # its answer is unclear, and names a jobId
            actors.settle("in_doubt", named=JOB_ID)
        _put_a_question(actors)
        if receipt_first:
            actors.scene.receipt(JOB_ID, receipt_first)
        answer = {"decision": decision, "reason": decision, "seconds": 0.5, "about": JOB_ID, **more}
        return lambda: actors.scene.store.submission.report(actors.asker, answer)

    return Input(prepare, settings=POLLING)


def _lose_the_poll(actors: Actors) -> Call:
    _put_a_question(actors)
    return _time(LEASE).prepare(actors)


def _wish(actors: Actors) -> None:
    """The producer does not want the fax any more, and a worker is on its way to tell iFax."""
    actors.scene.store.intake.cancel(actors.scene.intake("cancel"), JOB)
    actors.asker = replace(actors.asker, kind="cancel", control_call=f"!cancel!{JOB}")
    if actors.scene.record(JOB).get("state") == "submitted":
        actors.asker = actors.scene.admit()
        actors.scene.store.submission.mark(actors.asker)


def _report_the_wish(decision: str, *, tries: int = 0, receipt_first: str = "", **more: Any) -> Input:
    def prepare(actors: Actors) -> Call:
        _wish(actors)
        if tries and actors.scene.record(JOB):
            actors.scene.client.hset(actors.scene.keys.job(JOB), "cancel_tries", tries)
        if receipt_first:
            actors.scene.receipt(JOB_ID, receipt_first)
        answer = {"decision": decision, "reason": decision, "seconds": 0.5, "retry": 500, **more}
        return lambda: actors.scene.store.submission.report(actors.asker, answer)

    return Input(prepare, KEPT)


def _admit_the_wish(actors: Actors) -> Call:
    actors.scene.store.intake.cancel(actors.scene.intake("cancel"), JOB)
    return _admit(actors)


def _mark_the_wish(actors: Actors) -> Call:
    _wish(actors)
    return lambda: actors.scene.store.submission.mark(actors.asker)


def _lose_the_wish(actors: Actors) -> Call:
    _wish(actors)
    return _time(LEASE).prepare(actors)


def _resolve(how: str, job_id: str = "", *, after_its_receipt: str = "", **more: Any) -> Input:
    def prepare(actors: Actors) -> Call:
        if after_its_receipt:
            actors.scene.receipt(job_id, after_its_receipt, **more)
        entry = actors.scene.ordered("resolve")
        return lambda: actors.scene.store.orders.resolve(entry, JOB, how, job_id)

    return Input(prepare)


def _resolve_with_the_jobid_of_another(actors: Actors) -> Call:
    actors.scene.client.set(actors.scene.keys.job_ids + UNKNOWN, "another")
    return _resolve("accepted", UNKNOWN).prepare(actors)


def _set_aside(origin: str) -> Input:
    def prepare(actors: Actors) -> Call:
        entry = actors.scene.intake() if origin == "intake" else actors.scene.status()
        return lambda: actors.scene.store.streams.set_aside(origin, entry, "malformed")

    return Input(prepare)


def _redrive(origin: str) -> Input:
    def prepare(actors: Actors) -> Call:
        _set_aside(origin).prepare(actors)()
        dead: Any = actors.scene.client.xrange(actors.scene.keys.dead)[0]
        entry = actors.scene.ordered("redrive")
        return lambda: actors.scene.store.orders.redrive(entry, dead[0].decode())

    return Input(prepare)


def _drop(actors: Actors) -> Call:
    _set_aside("status").prepare(actors)()
    dead: Any = actors.scene.client.xrange(actors.scene.keys.dead)[0]
    entry = actors.scene.ordered("drop")
    return lambda: actors.scene.store.orders.drop(entry, dead[0].decode())


def _reveal(actors: Actors) -> Call:
    entry = actors.scene.ordered("reveal")
    return lambda: actors.scene.store.orders.reveal(entry)


def _ask_about(actors: Actors) -> Call:
    entry = actors.scene.ordered("ask")
    return lambda: actors.scene.store.orders.ask(entry, JOB)


def _asked(decision: str, **more: Any) -> Input:
    """An operator had iFax asked, and the answer is this."""

    def prepare(actors: Actors) -> Call:
        actors.asker = replace(actors.asker, kind="poll", control_call=f"!poll!{JOB}")
        if _ask_about(actors)() == "done":
            actors.asker = actors.scene.admit()
            actors.scene.store.submission.mark(actors.asker)
        answer = {"decision": decision, "reason": decision, "seconds": 0.5, "about": JOB_ID, **more}
        return lambda: actors.scene.store.submission.report(actors.asker, answer)

    return Input(prepare)


def _admit_the_ordered(actors: Actors) -> Call:
    _ask_about(actors)()
    return _admit(actors)


def _given(actors: Actors, times: int) -> str:
    """An entry that was given out so often, at the end to one that had it alone."""
    scene = actors.scene
    entry = scene.intake()
    scene.store.intake_entries.claim_alone("dead", entry, idle=0, times=times)
    return entry


def _set_aside_unread(actors: Actors) -> Call:
    entry = _given(actors, MOST_TIMES + 1)
    return lambda: actors.scene.store.intake_entries.set_aside_unread([entry])


def _read_intake(actors: Actors) -> Call:
    actors.scene.client.xadd(actors.scene.keys.intake, {"send": "{}"})
    return lambda: actors.scene.store.intake_entries.read("a dispatcher", 10, 1000)


def _order(order: str, *, while_paused: bool = False) -> Input:
    def prepare(actors: Actors) -> Call:
        if while_paused:
            actors.scene.store.orders.pause_or_resume(actors.scene.ordered("pause"), "pause")
        entry = actors.scene.ordered(order)
        return lambda: actors.scene.store.orders.pause_or_resume(entry, order)

    return Input(prepare)


def _store_document(actors: Actors) -> Call:
    return partial(actors.scene.store.documents.store, "sha256:ab", b"bytes")


def _reseal_document(actors: Actors) -> Call:
    store = actors.scene.store
    store.documents.store(digest(b"bytes"), b"bytes")
    return partial(store.documents.reseal, digest(b"bytes"), b"bytes")


def _reseal_request(actors: Actors) -> Call:
    job = actors.scene.record(JOB)
    return partial(actors.scene.store.maintenance.reseal_request, JOB, job.get("request") or "{}")


def _reseal_dead(actors: Actors) -> Call:
    actors.scene.store.streams.set_aside("intake", actors.scene.intake(), "KeyError")
    dead: Any = actors.scene.client.xrange(actors.scene.keys.dead)
    return partial(actors.scene.store.maintenance.reseal_dead, dead[0][0].decode(), "content")


def _forget(actors: Actors) -> Call:
    return partial(actors.scene.store.maintenance.forget, JOB)


def _complete_order(actors: Actors) -> Call:
    actors.scene.store.maintenance.lock("dispatcher", 5)
    entry = actors.scene.ordered("rotate")
    complete = actors.scene.store.maintenance.complete_order
    return partial(complete, entry, {"order": "rotate", "by": "test"}, "done", {"sealed": {}}, "dispatcher")


def _lock_maintenance(who: str) -> Input:
    def prepare(actors: Actors) -> Call:
        actors.scene.store.maintenance.lock("dispatcher", 100)
        return partial(actors.scene.store.maintenance.lock, who, 100)

    return Input(prepare)


FAR = f"{2**64 - 1}-{2**64 - 1}"
"""The last id of a stream: nothing can be added behind it."""


def _use_up(actors: Actors) -> str:
    """Somebody adds an entry to intake behind which nothing can be added."""
    actors.scene.client.xadd(actors.scene.keys.intake, {"send": "{}"}, id=FAR)
    return "intake"


def _check_streams(actors: Actors) -> Call:
    _use_up(actors)
    return actors.scene.store.streams.check


def _replace_stream(actors: Actors) -> Call:
    return partial(actors.scene.store.streams.replace, _use_up(actors))


def _tidy(actors: Actors) -> Call:
    scene = actors.scene
    scene.store.documents.store("sha256:ab", b"bytes")
    scene.client.zadd(scene.keys.released, {"ab": scene.now})
    return scene.store.maintenance.tidy


def _create_group(actors: Actors) -> Call:
    return partial(create_group, actors.scene.store)


def _try_lock_reconcile(actors: Actors) -> Call:
    actors.scene.status()
    return actors.scene.store.receipts.try_lock_reconcile


def _upgrade(actors: Actors) -> Call:
    return partial(actors.scene.store.schema.upgrade, [JOB], [], look=False)


def _acquire_check_permit(actors: Actors) -> Call:
    return lambda: actors.scene.store.submission.acquire_check_permit("permit-k")


def _report_the_check(decision: str, **more: Any) -> Input:
    def prepare(actors: Actors) -> Call:
        asked = actors.scene.store.submission.acquire_check_permit("permit-k")
        assert isinstance(asked, Admitted)
        actors.scene.store.submission.mark(asked)
        return lambda: actors.scene.store.submission.report(
            asked, {"decision": decision, "reason": decision, **more}
        )

    return Input(prepare)


def _check_in(knows: Knowledge) -> Input:
    def prepare(actors: Actors) -> Call:
        lineage = actors.scene.store.lineage
        lineage.check_in("a run", Knowledge.NOTHING, 2, "")
        return partial(lineage.check_in, "a run" if knows is Knowledge.BACK else "another run", knows, 2, "")

    return Input(prepare)


def _call(actors: Actors, decision: str | None = None, attempt: int = 1, **answer: Any) -> MarkedCall:
    """A call about the job that was marked in a stretch that Redis lost."""
    settled = {"decision": decision, **answer} if decision else None
    return MarkedCall(replace(LOST, attempt=attempt), actors.scene.now, settled)


def _examine(*, unknown: bool = False) -> Input:
    def prepare(actors: Actors) -> Call:
        actions: list[Action] = [_call(actors), Entry("push", JOB, "1-1"), Entry("cancel", JOB, "1-2")]
        evidence = Evidence("9-9", tuple(actions), unknown=unknown)
        return partial(actors.scene.store.lineage.examine, evidence, actions)

    return Input(prepare)


def _examine_the_owners_call(actors: Actors) -> Call:
    call = MarkedCall(actors.owner, actors.scene.now)
    return partial(actors.scene.store.lineage.examine, Evidence("9-9", (call,)), [call])


def _recover(
    decision: str | None = None, *, attempt: int = 1, receipt_first: str = "", more: Any = None, **answer: Any
) -> Input:
    def prepare(actors: Actors) -> Call:
        if receipt_first:
            actors.scene.receipt(UNKNOWN, receipt_first, to=NUMBER, **(more or {}))
        return _recovering(actors, _call(actors, decision, attempt, **answer))

    return Input(prepare)


def _recover_entry(kind: str) -> Input:
    return Input(lambda actors: _recovering(actors, Entry(kind, JOB, "1-1")))


def _recovering(actors: Actors, action: Action) -> Call:
    scene = actors.scene
    scene.client.hset(scene.keys.lost, "it", json.dumps(action.item()))
    return partial(scene.store.lineage.recover, {"it": False})


def _reopen(actors: Actors) -> Call:
    lineage = actors.scene.store.lineage
    lineage.examine(Evidence("9-9", unknown=True), [])
    return lineage.reopen


LOST = replace(STRANGER, permit="lost")
SEALED = {"SEALING_KEYS": "one:" + "A" * 43 + "="}
PLAIN = {
    *(
        "init_account",
        "offer",
        "upgrade",
        "register",
        "report",
        "pause_or_resume",
        "set_aside",
        "set_aside_unread",
        "read_intake",
        "redrive",
        "drop",
        "reveal",
        "ask",
        "try_lock_reconcile",
        "plan_wakeups",
        "acquire_check_permit",
        "poll",
        "tidy",
    ),
    *("check_in", "examine", "reopen"),
    *(
        "reseal_document",
        "reseal_request",
        "reseal_dead",
        "forget_number",
        "lock_maintenance",
        "complete_order",
    ),
    *("check_streams", "replace_stream"),
}
"""Scripts that know nothing of attempts: the states of a second one tell no more about them."""
OUTCOMES = ("delivered", "failed", "canceled")
UNSENT = ("failed", "canceled")
INPUTS: Mapping[tuple[str, str], Input] = {
    ("register", "the same fax"): _register(JOB, "same"),
    ("register", "another fax of the same id"): _register(JOB, "other"),
    ("register", "an entry that is not valid"): Input(_reject),
    ("register", "a fax above the ceiling"): Input(_register_above, settings={"CEILINGS__JOBS": "1"}),
    ("register", "a fax for a date, kept here"): _register(JOB, "same", **HERE),
    ("register", "a fax for a date, kept by iFax"): _register(JOB, "same", **KEPT),
    ("register", "a fax that has expired"): _register(JOB, "same", expires_at="1"),
    ("cancel", "the job"): Input(_cancel),
    ("cancel", "the job, which iFax keeps for a date"): Input(_cancel, KEPT),
    ("admit", "the best job"): Input(_admit),
    ("admit", "a job that has expired"): Input(_admit_too_late),
    ("admit", "the question how it stands"): Input(_admit_the_question, settings=ASKING),
    ("admit", "the wish that it is canceled"): Input(_admit_the_wish, KEPT),
    ("mark", "the wish that it is canceled"): Input(_mark_the_wish, KEPT),
    ("mark", "by the owner"): _mark(_owner),
    ("mark", "by an older attempt"): _mark(_older),
    ("settle", "accepted"): _settle("accepted", job_id=JOB_ID),
    **{("settle", f"accepted, {o} came before"): _settle_after_the_receipt(o) for o in OUTCOMES},
    ("settle", "accepted, a failure worth another try came before"): _settle_after_the_receipt(
        "failed", **WORTH
    ),
    ("settle", "refuse"): _settle("refuse"),
    ("settle", "released"): _settle("released"),
    ("settle", "accepted, and the caller goes on"): _settle("accepted", permit="permit-y", job_id=JOB_ID),
    ("settle", "released, and the caller goes on"): _settle("released", permit="permit-y"),
    ("settle", "defer"): _settle("defer", cooldown=1000),
    ("settle", "pause"): _settle("pause"),
    ("settle", "unreachable"): _settle("unreachable", ours=True),
    ("settle", "unreachable, a call from before this process stepped back"): _settle(
        "unreachable", ours=True, late=True
    ),
    ("settle", "unreachable, and only this process"): Input(_settle_where_others_are_accepted),
    ("settle", "unknown"): _settle("unknown", meaning="unknown_refusal 7"),
    ("settle", "unknown, the last of so many"): Input(_settle_the_last_refusal),
    ("settle", "unknown, and another was accepted since"): Input(_settle_a_refusal_beside_others),
    ("settle", "unknown, while the account is paused for it"): Input(_settle_a_refusal_of_the_account),
    ("settle", "unknown, by an older attempt"): _settle("unknown", _older, meaning="unknown_refusal 7"),
    ("settle", "in_doubt, again and again"): _settle("in_doubt", meaning="server_error 502"),
    ("settle", "retry"): _settle("retry"),
    ("settle", "retry, the last try"): Input(_settle_the_last_try),
    ("settle", "in_doubt"): _settle("in_doubt", silent=True),
    ("settle", "accepted, by an older attempt"): _settle("accepted", _older, job_id=UNKNOWN),
    ("settle", "refuse, by an older attempt"): _settle("refuse", _older),
    ("settle", "retry, by an older attempt"): _settle("retry", _older),
    ("mark", "the question how it stands"): Input(_mark_the_question, settings=ASKING),
    ("poll", "its time has come"): Input(_poll, settings=POLLING),
    ("admit", "a question by schedule"): Input(_admit_the_poll, settings=POLLING),
    ("settle", "accepted, and it is to be asked for"): replace(
        _settle("accepted", job_id=JOB_ID), settings=POLLING
    ),
    ("settle", "in_doubt, and the answer names a jobId"): _settle("in_doubt", named=UNKNOWN),
    **{("report", f"by schedule: {o}"): _polled("accepted", receipt=receipt(JOB_ID, o)) for o in OUTCOMES},
    ("report", "by schedule: delivered, the receipt came before"): _polled(
        "accepted", receipt=receipt(JOB_ID), receipt_first="delivered"
    ),
    **{
        ("report", f"by schedule: delivered, after it was {o}"): _polled(
            "accepted", receipt=receipt(JOB_ID), receipt_first=o
        )
        for o in UNSENT
    },
    ("report", "by schedule: failed, worth another try"): _polled(
        "accepted", receipt=receipt(JOB_ID, "failed", **WORTH)
    ),
    ("report", "by schedule: failed, and iFax may call again"): _polled(
        "accepted", receipt=receipt(JOB_ID, "failed", redial=0)
    ),
    ("report", "by schedule: of another fax"): _polled("accepted", receipt=receipt(UNKNOWN)),
    ("report", "by schedule: still being sent"): _polled("accepted", sending=True),
    ("report", "by schedule: no such fax"): _polled("refuse"),
    ("report", "by schedule: no answer"): _polled("in_doubt", silent=True),
    ("report", "by schedule: defer"): _polled("defer", cooldown=1000),
    ("report", "by schedule: unreachable"): _polled("unreachable", ours=True),
    ("run_timers", "the question by schedule was lost"): Input(_lose_the_poll, settings=POLLING),
    **{("report", o): _report("accepted", receipt=receipt(JOB_ID, o)) for o in OUTCOMES},
    ("report", "delivered, the receipt came before"): _report(
        "accepted", receipt=receipt(JOB_ID), receipt_first=True
    ),
    ("report", "failed, worth another try"): _report("accepted", receipt=receipt(JOB_ID, "failed", **WORTH)),
    ("report", "the wish: canceled"): _report_the_wish("accepted"),
    ("report", "the wish: canceled, the receipt came before"): _report_the_wish(
        "accepted", receipt_first="canceled"
    ),
    ("report", "the wish: it is delivered meanwhile"): _report_the_wish("refuse", receipt_first="delivered"),
    ("report", "the wish: refused"): _report_the_wish("refuse"),
    ("report", "the wish: retry"): _report_the_wish("retry"),
    ("report", "the wish: no answer"): _report_the_wish("in_doubt", silent=True),
    ("report", "the wish: no answer, the last try"): _report_the_wish("in_doubt", tries=2),
    ("report", "the wish: defer"): _report_the_wish("defer", cooldown=1000),
    ("report", "the wish: pause"): _report_the_wish("pause"),
    ("report", "still being sent"): _report("accepted", sending=True),
    ("report", "nothing known"): _report("refuse"),
    ("report", "no answer"): _report("in_doubt", silent=True),
    ("report", "defer"): _report("defer", cooldown=1000),
    ("report", "pause"): _report("pause"),
    ("report", "unreachable"): _report("unreachable", ours=True),
    ("report", "unreachable, and somebody answered"): _report("unreachable", ours=True, status=403),
    ("report", "a refusal of unknown meaning"): _report("unknown", meaning="unknown_refusal 7"),
    ("report", "the wish: unreachable"): _report_the_wish("unreachable", ours=True),
    ("report", "the wish: a refusal of unknown meaning"): _report_the_wish("unknown"),
    ("report", "the key: unreachable"): _report_the_check("unreachable", ours=True),
    ("acquire_check_permit", "does iFax take the key"): Input(_acquire_check_permit),
    ("report", "the key: refuse"): _report_the_check("refuse"),
    ("report", "the key: pause"): _report_the_check("pause"),
    ("report", "the key: defer"): _report_the_check("defer", cooldown=1000),
    ("report", "the key: no answer"): _report_the_check("in_doubt", silent=True),
    **{("receipt", o): _receipt(JOB_ID, o) for o in OUTCOMES},
    ("receipt", "failed, worth another try"): _receipt(JOB_ID, "failed", **WORTH),
    **{("receipt", f"delivered, after it was {o}"): _receipt_after(o) for o in UNSENT},
    ("receipt", "delivered, of an older attempt"): Input(_receipt_of_an_older_attempt),
    ("receipt", "of another number than the jobId was said to have"): Input(_receipt_of_another_number),
    ("report", "of another number than the jobId was said to have"): Input(
        _report_of_another_number, settings=ASKING
    ),
    ("receipt", "failed, and iFax has an older request, too"): _receipt_while_ifax_has_another("failed"),
    ("receipt", "failed, of the older of two requests"): Input(_receipt_of_the_older_of_two),
    ("receipt", "failed, worth another try, while a newer request is in doubt"): Input(
        _receipt_while_a_newer_request_is_in_doubt
    ),
    ("receipt", "failed, and iFax may call again, under a jobId that an unclear answer named"): Input(
        _receipt_that_an_unclear_answer_named
    ),
    ("receipt", "delivered, of an unknown jobId"): _receipt(UNKNOWN, "delivered"),
    ("receipt", "of a fax that came in"): _come_in(),
    ("receipt", "failed, and iFax may call again"): _receipt(JOB_ID, "failed", redial=0),
    ("match", "failed, and iFax may call again"): _match("failed", redial=0),
    ("run_timers", "iFax did not call again"): _time_after_a_redial(),
    ("run_timers", "iFax did not call again, worth another try"): _time_after_a_redial(**WORTH),
    ("run_timers", "iFax did not call again, and has an older request, too"): Input(
        _time_after_a_redial_while_ifax_has_another, settings=REDIALS
    ),
    ("run_timers", "iFax did not call again, worth another try, while a newer request is in doubt"): Input(
        _time_after_a_redial_while_a_newer_request_is_in_doubt, settings=REDIALS
    ),
    **{("match", o): _match(o) for o in OUTCOMES},
    ("match", "failed, worth another try"): _match("failed", **WORTH),
    ("match", "delivered to somebody else"): _match("delivered", "+19999999999"),
    ("run_timers", "nothing is due"): _time(0),
    ("run_timers", "a retry is due"): _time(RETRY),
    ("run_timers", "the lease ran out"): _time(LEASE),
    ("run_timers", "the lease ran out, as those before it"): Input(_lose_the_last_worker),
    ("run_timers", "its date has come"): Input(_time(DATE).prepare, KEPT),
    ("run_timers", "the wish was lost"): Input(_lose_the_wish, KEPT),
    ("run_timers", "the wait is over: hold"): _time(WAIT, in_doubt="hold"),
    ("run_timers", "the wait is over: resend"): _time(WAIT, in_doubt="resend"),
    ("run_timers", "the wait is over: fail"): _time(WAIT, in_doubt="fail"),
    ("run_timers", "no receipt in time"): _time(DEADLINE),
    ("run_timers", "it expires"): _time(
        EXPIRES, first_only=True, expires_at=str(round((BEGIN + EXPIRES) * 1000))
    ),
    ("run_timers", "no receipt in time, and iFax is asked"): replace(_time(DEADLINE), settings=ASKING),
    ("run_timers", "no receipt in time, and iFax did not answer"): Input(_time_after_asking, settings=ASKING),
    ("resolve", "accepted"): _resolve("accepted", UNKNOWN),
    **{
        ("resolve", f"accepted, {o} came before"): _resolve("accepted", UNKNOWN, after_its_receipt=o)
        for o in OUTCOMES
    },
    ("resolve", "accepted, a failure worth another try came before"): _resolve(
        "accepted", UNKNOWN, after_its_receipt="failed", **WORTH
    ),
    ("resolve", "accepted under another's jobId"): Input(_resolve_with_the_jobid_of_another),
    ("resolve", "resend"): _resolve("resend"),
    ("resolve", "fail"): _resolve("fail"),
    **{("set_aside", origin): _set_aside(origin) for origin in ("intake", "status")},
    ("set_aside_unread", "given out too often"): Input(_set_aside_unread),
    ("read_intake", "an entry waits"): Input(_read_intake),
    **{("redrive", origin): _redrive(origin) for origin in ("intake", "status")},
    ("drop", "an entry that was set aside"): Input(_drop),
    ("reveal", "a number"): Input(_reveal),
    ("ask", "the job"): Input(_ask_about),
    ("admit", "a question that an operator ordered"): Input(_admit_the_ordered),
    **{("report", f"as ordered: {o}"): _asked("accepted", receipt=receipt(JOB_ID, o)) for o in OUTCOMES},
    ("report", "as ordered: failed, worth another try"): _asked(
        "accepted", receipt=receipt(JOB_ID, "failed", **WORTH)
    ),
    ("report", "as ordered: failed, and iFax has an older request, too"): Input(
        _report_while_ifax_has_another
    ),
    ("report", "as ordered: failed, of the older of two requests"): Input(_report_of_the_older_of_two),
    ("report", "as ordered: failed, worth another try, while a newer request is in doubt"): Input(
        _report_while_a_newer_request_is_in_doubt
    ),
    ("report", "as ordered: still being sent"): _asked("accepted", sending=True),
    ("report", "as ordered: no such fax"): _asked("refuse"),
    ("report", "as ordered: no answer"): _asked("in_doubt", silent=True),
    ("report", "as ordered: defer"): _asked("defer", cooldown=1000),
    ("pause_or_resume", "probe"): _order("probe", while_paused=True),
    ("pause_or_resume", "pause"): _order("pause"),
    ("pause_or_resume", "pause, while it is paused"): _order("pause", while_paused=True),
    ("pause_or_resume", "resume"): _order("resume", while_paused=True),
    ("pause_or_resume", "nonsense"): _order("nonsense"),
    ("plan_wakeups", "wake-ups"): Input(lambda actors: actors.scene.store.timers.plan_wakeups),
    ("try_lock_reconcile", "a receipt waits"): Input(_try_lock_reconcile),
    ("create_group", "a dispatcher starts"): Input(_create_group),
    ("store_document", "a document"): Input(_store_document),
    ("init_account", "a dispatcher starts"): Input(lambda actors: actors.scene.store.schema.init_account),
    ("offer", "a process starts"): Input(lambda actors: partial(actors.scene.store.offer, "worker a:1")),
    ("upgrade", "the job"): Input(_upgrade),
    ("tidy", "the grace is over"): Input(_tidy),
    ("reseal_document", "a document"): Input(_reseal_document, settings=SEALED),
    ("reseal_request", "the request"): Input(_reseal_request, settings=SEALED),
    ("reseal_dead", "an entry that was set aside"): Input(_reseal_dead),
    ("forget", "the job"): Input(_forget),
    ("forget_number", "the number"): Input(
        lambda actors: partial(actors.scene.store.maintenance.forget_number, "+19999999999")
    ),
    ("lock_maintenance", "the one who has begun"): _lock_maintenance("dispatcher"),
    ("lock_maintenance", "another one"): _lock_maintenance("another"),
    ("complete_order", "an order"): Input(_complete_order),
    ("check_streams", "intake is out of ids"): Input(_check_streams),
    ("replace_stream", "intake is out of ids"): Input(_replace_stream),
    ("check_in", "to another server"): _check_in(Knowledge.SOMETHING),
    ("check_in", "to a state that went back"): _check_in(Knowledge.BACK),
    ("examine", "what it does not know"): _examine(),
    ("examine", "and more, that is forgotten"): _examine(unknown=True),
    ("examine", "the owner's call"): Input(_examine_the_owners_call),
    ("recover", "a call, accepted"): _recover("accepted", job_id=UNKNOWN),
    ("recover", "a later call, accepted"): _recover("accepted", attempt=9, job_id=UNKNOWN),
    **{
        ("recover", f"a call, accepted, {o} came before"): _recover(
            "accepted", receipt_first=o, job_id=UNKNOWN
        )
        for o in OUTCOMES
    },
    ("recover", "a call, accepted, a failure worth another try came before"): _recover(
        "accepted", receipt_first="failed", more=WORTH, job_id=UNKNOWN
    ),
    ("recover", "a call, in doubt"): _recover("in_doubt"),
    ("recover", "a call that nobody heard of"): _recover(),
    ("recover", "a later call that nobody heard of"): _recover(attempt=9),
    ("recover", "a call, refused"): _recover("refuse"),
    ("recover", "a push"): _recover_entry("push"),
    ("recover", "a cancellation"): _recover_entry("cancel"),
    ("reopen", "all is in order"): Input(_reopen),
}
