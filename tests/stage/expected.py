"""What every input does in every state: the state after it and the events it writes.

A state that an input's entry does not name is left as it is, without an event. A name counts for a second
attempt too, where there is no entry with ` again`.
"""

from collections.abc import Iterable, Mapping

from tests.stage.inputs import OUTCOMES, UNSENT
from tests.stage.states import NOTHING, STATES

Outcome = tuple[str, ...]
Row = dict[str, Outcome]

WAITING = ("queued", "delayed")
HELD = ("submitting", "marked")
OPEN = (*HELD, "in_doubt")
"""The owner's answer is still the word on them."""
FINAL = ("delivered", "failed", "canceled", "unconfirmed")
ANNOUNCED = ("submitted", "unconfirmed")
"""iFax has them, and a delivery of any of their attempts is one of theirs."""


def unmoved(states: Iterable[str], event: str) -> Row:
    """An event, and the state is the same."""
    return {state: (state, event) for state in states}


def become(states: Iterable[str], *outcome: str) -> Row:
    """The states come to one outcome."""
    return dict.fromkeys(states, outcome)


def again(states: Iterable[str], row: Mapping[str, Outcome]) -> Row:
    """Only where an older attempt is in doubt."""
    return {f"{state} again": row[state] for state in states}


EVERY = (NOTHING, *STATES)
REGISTERED = become([NOTHING], "queued", "fax.queued")
DUPLICATE = unmoved(STATES, "fax.duplicate")
WOKEN = become(["delayed"], "queued")
RAN_OUT: Row = WOKEN | become(["submitting"], "queued") | become(["marked"], "in_doubt", "fax.in_doubt")
CANCELED = unmoved(EVERY, "fax.cancel_refused") | become(WAITING, "canceled", "fax.canceled")
PUT_OFF = become(OPEN, "delayed")
UNHEARD: Row = PUT_OFF | become(["submitting"], "queued")
"""Where nobody answered the job goes back to its place at once; where somebody did, others go first."""
RETRIED = ("delayed", "fax.retrying")
EXPIRED = become(WAITING, "failed", "fax.failed")


def accepted(*then: str) -> Row:
    """The owner's acceptance: a job that waits is not sent again; of one that ended it is a duplicate."""
    return become(OPEN, *then) | become(["queued"], *then) | unmoved(["canceled"], "fax.duplicate")


def by_older(outcome: str) -> Row:
    """A receipt that only a doubt explains, where the doubt is an older attempt's."""
    duplicate = unmoved((*HELD, "submitted", *FINAL), "fax.duplicate")
    if outcome == "delivered":  # so it is, if it has not ended otherwise
        open_still = ("submitted", "unconfirmed")
        duplicate |= become(open_still, "delivered", "fax.duplicate", "fax.delivered")
        return again(duplicate, duplicate) | again(WAITING, become(WAITING, "delivered", "fax.delivered"))
    return again(duplicate, duplicate) | again(
        ("in_doubt", *WAITING), unmoved(("in_doubt", *WAITING), "fax.duplicate")
    )


LOST = (NOTHING, *WAITING, "submitting", "in_doubt")
"""Where a call that Redis lost is the last one."""
DOUBTED = become(LOST, "in_doubt", "fax.in_doubt")


def recovered(*then: str) -> Row:
    """Where a call that Redis lost was accepted."""
    return unmoved(("marked", "submitted", *FINAL), "fax.duplicate") | become(LOST, *then)


LAST_FAILED: Row = become(["submitted"], "submitted", "fax.duplicate", "fax.submitted") | become(
    ["unconfirmed"], "failed", "fax.failed"
)
"""iFax has an older request, too."""
OLDER_FAILED: Row = unmoved(ANNOUNCED, "fax.duplicate") | become(
    (*WAITING, "in_doubt"), "failed", "fax.failed"
)
NEWER_IN_DOUBT: Row = become(WAITING, *RETRIED) | become(OPEN, "in_doubt", "fax.duplicate", "fax.in_doubt")
"""An older request failed, and is worth another delivery."""


EXPECTED: Mapping[tuple[str, str], Row] = {
    ("register", "the same fax"): REGISTERED,
    ("register", "another fax of the same id"): REGISTERED | unmoved(STATES, "fax.rejected"),
    ("register", "a fax above the ceiling"): unmoved([NOTHING], "fax.rejected"),
    ("register", "an entry that is not valid"): unmoved(EVERY, "fax.rejected"),
    ("register", "a fax for a date, kept here"): become([NOTHING], "delayed", "fax.queued"),
    ("register", "a fax for a date, kept by iFax"): REGISTERED,
    ("register", "a fax that has expired"): REGISTERED,
    ("cancel", "the job, which iFax keeps for a date"): {
        state: outcome for state, outcome in CANCELED.items() if state != "submitted"
    },
    ("cancel", "the job"): CANCELED,
    ("admit", "the best job"): become(["queued"], "submitting"),
    ("admit", "the question how it stands"): become(("queued", "delayed", "submitting"), "submitting"),
    ("admit", "a question by schedule"): become(["queued"], "submitting"),
    ("admit", "a question that an operator ordered"): become(["queued"], "submitting"),
    **{("report", f"as ordered: {o}"): become(("submitted", "unconfirmed"), o, f"fax.{o}") for o in OUTCOMES},
    ("report", "as ordered: failed, worth another try"): become(["submitted"], *RETRIED)
    | become(["unconfirmed"], "failed", "fax.failed"),
    ("settle", "accepted, and it is to be asked for"): accepted("submitted", "fax.submitted"),
    ("settle", "in_doubt, and the answer names a jobId"): become(HELD, "in_doubt", "fax.in_doubt"),
    **{
        ("report", f"by schedule: {o}"): become(["submitted"], o, f"fax.{o}")
        | become(HELD, o, "fax.submitted", f"fax.{o}")
        for o in OUTCOMES
    },
    ("report", "by schedule: delivered, the receipt came before"): become(HELD, "delivered"),
    ("report", "by schedule: failed, worth another try"): become(["submitted"], *RETRIED)
    | become(HELD, "delayed", "fax.submitted", "fax.retrying"),
    ("report", "by schedule: failed, and iFax may call again"): become(HELD, "submitted", "fax.submitted"),
    ("report", "by schedule: still being sent"): become(HELD, "submitted", "fax.submitted"),
    ("run_timers", "the question by schedule was lost"): RAN_OUT,
    ("mark", "by the owner"): become(["submitting"], "marked"),
    ("settle", "accepted"): accepted("submitted", "fax.submitted"),
    **{("settle", f"accepted, {o} came before"): accepted(o, "fax.submitted", f"fax.{o}") for o in OUTCOMES},
    ("settle", "accepted, a failure worth another try came before"): accepted(
        "delayed", "fax.submitted", "fax.retrying"
    ),
    ("settle", "refuse"): become(OPEN, "failed", "fax.failed"),
    ("settle", "released"): become(OPEN, "queued"),
    ("settle", "accepted, and the caller goes on"): accepted("submitted", "fax.submitted"),
    ("settle", "released, and the caller goes on"): become(OPEN, "queued") | become(HELD, "submitting"),
    ("settle", "defer"): become(OPEN, "queued"),
    ("settle", "pause"): become(OPEN, "queued"),
    ("settle", "unreachable"): UNHEARD,
    ("settle", "unreachable, a call from before this process stepped back"): UNHEARD,
    ("settle", "unreachable, and only this process"): UNHEARD,
    ("settle", "unknown"): PUT_OFF,
    ("settle", "unknown, the last of so many"): become(OPEN, "failed", "fax.failed"),
    ("settle", "unknown, and another was accepted since"): become(OPEN, "failed", "fax.failed"),
    ("settle", "unknown, while the account is paused for it"): PUT_OFF,
    ("settle", "in_doubt, again and again"): become(HELD, "in_doubt", "fax.in_doubt"),
    ("settle", "retry"): become(OPEN, "delayed", "fax.retrying"),
    ("settle", "retry, the last try"): become(OPEN, "failed", "fax.failed"),
    ("settle", "in_doubt"): become(HELD, "in_doubt", "fax.in_doubt"),
    ("settle", "accepted, by an older attempt"): DUPLICATE
    | become((*WAITING, "in_doubt"), "submitted", "fax.submitted"),
    **{("receipt", o): become(("submitted", "unconfirmed"), o, f"fax.{o}") for o in OUTCOMES},
    ("receipt", "failed, worth another try"): become(["submitted"], *RETRIED)
    | become(["unconfirmed"], "failed", "fax.failed"),
    **{
        ("receipt", f"delivered, after it was {o}"): become(("submitted", "unconfirmed"), o, "fax.duplicate")
        for o in UNSENT
    },
    ("receipt", "delivered, of an older attempt"): unmoved(("delivered", *UNSENT), "fax.duplicate")
    | become((*WAITING, "in_doubt", "submitted", "unconfirmed"), "delivered", "fax.delivered"),
    ("receipt", "failed, and iFax has an older request, too"): LAST_FAILED,
    ("report", "as ordered: failed, and iFax has an older request, too"): LAST_FAILED,
    ("run_timers", "iFax did not call again, and has an older request, too"): LAST_FAILED,
    ("receipt", "failed, of the older of two requests"): OLDER_FAILED,
    ("report", "as ordered: failed, of the older of two requests"): OLDER_FAILED,
    ("receipt", "failed, worth another try, while a newer request is in doubt"): NEWER_IN_DOUBT
    | unmoved(ANNOUNCED, "fax.duplicate"),
    ("report", "as ordered: failed, worth another try, while a newer request is in doubt"): NEWER_IN_DOUBT
    | unmoved(ANNOUNCED, "fax.duplicate"),
    (
        "run_timers",
        "iFax did not call again, worth another try, while a newer request is in doubt",
    ): NEWER_IN_DOUBT,
    ("receipt", "failed, and iFax may call again, under a jobId that an unclear answer named"): become(
        HELD, "submitted", "fax.submitted"
    ),
    ("receipt", "of another number than the jobId was said to have"): become(
        ["in_doubt"], "in_doubt", "fax.in_doubt"
    ),
    ("report", "of another number than the jobId was said to have"): become(
        ["in_doubt"], "in_doubt", "fax.in_doubt"
    ),
    **{
        ("report", f"by schedule: delivered, after it was {o}"): become(["submitted"], o, "fax.duplicate")
        | become(HELD, o, "fax.duplicate")
        for o in UNSENT
    },
    ("match", "failed, and iFax may call again"): become(["in_doubt"], "submitted", "fax.submitted")
    | by_older("failed"),
    ("run_timers", "iFax did not call again"): become(["submitted", "unconfirmed"], "failed", "fax.failed"),
    ("run_timers", "iFax did not call again, worth another try"): become(["submitted"], *RETRIED)
    | become(["unconfirmed"], "failed", "fax.failed"),
    ("report", "failed, worth another try"): become(["submitted"], *RETRIED),
    ("report", "the wish: canceled"): become(["submitted"], "canceled", "fax.canceled"),
    ("report", "the wish: refused"): unmoved(["submitted"], "fax.cancel_refused"),
    ("report", "the wish: no answer, the last try"): unmoved(["submitted"], "fax.cancel_refused"),
    **{("report", o): become(["submitted"], o, f"fax.{o}") for o in OUTCOMES},
    ("report", "nothing known"): become(["submitted"], "unconfirmed", "fax.unconfirmed"),
    ("report", "a refusal of unknown meaning"): become(["submitted"], "unconfirmed", "fax.unconfirmed"),
    ("report", "no answer"): become(["submitted"], "unconfirmed", "fax.unconfirmed"),
    **{("match", o): become(["in_doubt"], o, f"fax.{o}") | by_older(o) for o in OUTCOMES},
    ("match", "failed, worth another try"): become(["in_doubt"], *RETRIED) | by_older("failed"),
    ("run_timers", "its date has come"): RAN_OUT,
    ("run_timers", "the wish was lost"): become(["submitting"], "queued")
    | become(["marked"], "in_doubt", "fax.in_doubt"),
    ("run_timers", "a retry is due"): WOKEN,
    ("run_timers", "the lease ran out"): RAN_OUT,
    ("run_timers", "the lease ran out, as those before it"): RAN_OUT
    | become(["submitting"], "failed", "fax.failed"),
    ("run_timers", "the wait is over: hold"): RAN_OUT,
    ("run_timers", "the wait is over: resend"): RAN_OUT | become(["in_doubt"], "queued", "fax.retrying"),
    ("run_timers", "the wait is over: fail"): RAN_OUT | become(["in_doubt"], "failed", "fax.failed"),
    ("run_timers", "no receipt in time"): RAN_OUT | become(["submitted"], "unconfirmed", "fax.unconfirmed"),
    ("run_timers", "no receipt in time, and iFax is asked"): RAN_OUT,
    ("run_timers", "no receipt in time, and iFax did not answer"): become(
        ["submitted"], "unconfirmed", "fax.unconfirmed"
    ),
    ("run_timers", "it expires"): EXPIRED,
    ("resolve", "accepted"): become(["in_doubt"], "submitted", "fax.submitted"),
    **{
        ("resolve", f"accepted, {o} came before"): become(["in_doubt"], o, "fax.submitted", f"fax.{o}")
        for o in OUTCOMES
    },
    ("resolve", "accepted, a failure worth another try came before"): become(
        ["in_doubt"], "delayed", "fax.submitted", "fax.retrying"
    ),
    ("resolve", "resend"): become(["in_doubt"], "queued", "fax.retrying"),
    ("forget", "the job"): become(FINAL, NOTHING),
    ("examine", "the owner's call"): become(["submitting"], "marked"),
    ("recover", "a call, accepted"): recovered("submitted", "fax.submitted"),
    ("recover", "a later call, accepted"): recovered("submitted", "fax.submitted")
    | become(["submitted"], "submitted", "fax.submitted"),
    **{
        ("recover", f"a call, accepted, {o} came before"): recovered(o, "fax.submitted", f"fax.{o}")
        | (become(ANNOUNCED, o, "fax.duplicate", f"fax.{o}") if o == "delivered" else {})
        for o in OUTCOMES
    },
    ("recover", "a call, accepted, a failure worth another try came before"): recovered(
        "delayed", "fax.submitted", "fax.retrying"
    )
    | become([NOTHING], "failed", "fax.submitted", "fax.failed"),
    **{("recover", f"a call{name}"): DOUBTED for name in (", in doubt", " that nobody heard of")},
    ("recover", "a later call that nobody heard of"): DOUBTED
    | become(["submitted"], "in_doubt", "fax.in_doubt"),
    ("recover", "a cancellation"): become(LOST, "canceled", "fax.canceled")
    | become(["marked"], "canceled", "fax.in_doubt", "fax.canceled"),
    ("resolve", "fail"): become(["in_doubt"], "failed", "fax.failed"),
}


def expected(script: str, name: str, state: str, before: str) -> Outcome:
    """What an input should do in a state; `before` is the state that its preparation made of it."""
    row = EXPECTED.get((script, name), {})
    return row.get(state) or row.get(state.removesuffix(" again")) or (before,)
