"""The log pipeline: what is written, and above all what is not."""

import ast
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import faxline_worker
from faxline.contract.texts import mask_number
from faxline_worker.observability import logs
from faxline_worker.observability.logs import (
    _NUMBER,
    _NUMBER_IN_ID,
    ALLOWED_KEYS,
    ID_KEYS,
    LONGEST_TEXT,
    MEASURE_KEYS,
    Redactor,
    configure_logs,
)

TOKEN = 'tok "en"\\5bé/7f2c'
NUMBER = "+12345678901"

START = f"""
import asyncio, logging, sys, threading, warnings
from faxline_worker.observability.logs import configure_logs, get_logger, task_context
TOKEN = {TOKEN!r}
NUMBER = {NUMBER!r}
def start(**options):
    configure_logs(role="worker", secrets=[TOKEN, ""], **options)
log = get_logger("faxline_worker.wakeups.actors")
"""


def run(program: str, *, code: int = 0) -> list[dict[str, Any]]:
    """The lines, each parsed as JSON, of a process that logs; nothing secret is in its output."""
    done = subprocess.run(
        [sys.executable, "-c", START + program], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == code, done.stderr
    assert_nothing_secret(done.stdout + done.stderr)
    assert not done.stdout
    return [json.loads(line) for line in done.stderr.splitlines()]


def assert_nothing_secret(text: str) -> None:
    for secret in (TOKEN, repr(TOKEN)[1:-1], json.dumps(TOKEN)[1:-1], NUMBER[1:], "a local"):
        assert secret not in text


def test_a_line_is_json_with_time_level_role_logger_and_context() -> None:
    [line] = run("""
start()
with task_context(account="default", job="invoice-77"):
    log.info("submitted", attempt=1, seconds=0.25)
""")
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta(0)
    assert line == {
        "level": "info",
        "event": "submitted",
        "role": "worker",
        "logger": "faxline_worker.wakeups.actors",
        "account": "default",
        "job": "invoice-77",
        "attempt": 1,
        "seconds": 0.25,
    }


def test_every_library_writes_through_the_same_pipeline() -> None:
    lines = run("""
for name in ("dramatiq", "uvicorn"):
    logging.getLogger(name).addHandler(logging.StreamHandler(sys.stdout))
logging.getLogger("uvicorn").propagate = False
start()
with task_context(account="default"):
    logging.getLogger("dramatiq.worker.WorkerThread").warning("Failed to process %s", "submit('default')")
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    logging.getLogger("asyncio").error("Task was destroyed, it held %s", TOKEN)
    logging.getLogger("httpx").warning("slow answer for %s from %r", NUMBER, TOKEN)
    warnings.warn(f"beware of {NUMBER}", stacklevel=1)
""")
    assert [(line["logger"], line["level"]) for line in lines] == [
        ("dramatiq.worker.WorkerThread", "warning"),
        ("uvicorn.error", "info"),
        ("asyncio", "error"),
        ("httpx", "warning"),
        ("py.warnings", "warning"),
    ]
    assert all(line["account"] == "default" and line["role"] == "worker" for line in lines)
    assert lines[0]["event"] == "Failed to process submit('default')"
    assert lines[2]["event"] == "Task was destroyed, it held ***"
    assert lines[3]["event"] == "slow answer for …8901 from '***'"
    assert "beware of …8901" in lines[4]["event"]


def test_httpx_and_httpcore_are_heard_from_warning_on_at_any_level() -> None:
    lines = run("""
start(level="debug")
for name in ("httpx", "httpcore", "httpcore.http11", "uvicorn.access"):
    logging.getLogger(name).info("HTTP Request: POST https://api.ifaxapp.com")
    logging.getLogger(name).debug("send_request_headers")
log.debug("seen")
""")
    assert [line["event"] for line in lines] == ["seen"]


def test_lines_below_the_level_are_not_written() -> None:
    lines = run("""
start(level="warning")
log.info("a"); logging.getLogger("dramatiq").info("b")
log.warning("c"); logging.getLogger("dramatiq").warning("d")
""")
    assert [line["event"] for line in lines] == ["c", "d"]


def test_an_exception_is_logged_with_its_frames_and_without_locals_secrets_and_numbers() -> None:
    ours, theirs = run("""
start()
def submit():
    here, fax = TOKEN + "a local", NUMBER
    try:
        raise KeyError(f"no answer for {NUMBER} with {TOKEN}")
    except KeyError as error:
        error.add_note(f"noted {NUMBER}")
        raise RuntimeError(f"iFax said {NUMBER}: {TOKEN!r}") from error
try:
    submit()
except RuntimeError:
    log.exception("submission failed")
    logging.getLogger("dramatiq").error("Failed to process message", exc_info=True)
""")
    for line in (ours, theirs):
        outer, inner = line["exception"]
        assert outer["exc_type"] == "RuntimeError"
        assert outer["exc_value"] == "iFax said …8901: '***'"
        assert inner["exc_type"] == "KeyError"
        assert inner["exc_notes"] == ["noted …8901"]
        assert [frame["name"] for frame in outer["frames"]] == ["<module>", "submit"]
        assert not any("locals" in frame for frame in outer["frames"] + inner["frames"])


def test_exceptions_that_nobody_caught_are_logged_and_not_printed() -> None:
    lines = run(
        """
start()
def fail(): raise ValueError(f"{NUMBER} {TOKEN}")
class Holder:
    def __del__(self): fail()
holder = Holder(); del holder
thread = threading.Thread(target=fail); thread.start(); thread.join()
async def lost(): asyncio.get_running_loop().call_soon(fail)
asyncio.run(lost())
fail()
""",
        code=1,
    )
    assert [line["event"] for line in lines[:2]] == ["ignored exception", "uncaught exception"]
    assert "Exception in callback fail" in lines[2]["event"]
    assert lines[3]["event"] == "uncaught exception"
    assert all(line["exception"][-1]["exc_value"] == "…8901 ***" for line in lines)


def test_a_line_that_cannot_be_made_is_replaced_by_one_without_its_content() -> None:
    [line] = run("""
start()
logging.getLogger("dramatiq").error("message %d of %s", NUMBER, TOKEN)
""")
    assert line["event"] == "a log line could not be written"
    assert line["logger"] == "dramatiq"
    assert line["error"] == "TypeError"


def test_values_that_hold_themselves_or_cannot_be_told_cost_no_line() -> None:
    lines = run("""
start()
ring = []; ring.append(ring)
class Mute:
    def __str__(self): raise RuntimeError(TOKEN)
log.info("ring", reason=ring)
log.info("mute", reason=Mute())
log.info("surrogate", reason="\\udc80")
""")
    assert [line["event"] for line in lines] == ["ring", "mute", "surrogate"]
    assert lines[1]["reason"] == "(Mute without a text: RuntimeError)"


def test_the_context_of_a_task_does_not_reach_the_next() -> None:
    lines = run("""
start()
try:
    with task_context(job="a", attempt=2):
        log.info("in a")
        raise LookupError
except LookupError:
    log.info("between")
with task_context(account="b"):
    log.info("in b")
""")
    contexts = [{key: line[key] for key in ("job", "attempt", "account") if key in line} for line in lines]
    assert contexts == [{"job": "a", "attempt": 2}, {}, {"account": "b"}]


def test_configuring_again_adds_secrets_also_for_loggers_in_use_and_doubles_no_line() -> None:
    lines = run("""
configure_logs(role="worker")
log.info("first")
start()
log.info(f"second {TOKEN}")
""")
    assert [line["event"] for line in lines] == ["first", "second ***"]


def test_on_a_terminal_lines_are_readable_and_as_clean() -> None:
    master, slave = pty.openpty()
    program = """
start()
def submit():
    here = "a local" + TOKEN
    raise RuntimeError(f"iFax said {NUMBER}: {TOKEN!r}")
try:
    submit()
except RuntimeError:
    log.exception("submission failed", job="invoice-77")
"""
    with subprocess.Popen([sys.executable, "-c", START + program], stderr=slave) as process:
        os.close(slave)
        said = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not chunk:
                break
            said += chunk
        os.close(master)
        assert process.wait() == 0
    text = said.decode()
    assert_nothing_secret(text)
    assert "submission failed" in text
    assert "RuntimeError: iFax said …8901: '***'" in text
    assert not text.lstrip().startswith("{")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="level: 'loud' is none of debug, info"):
        configure_logs(role="worker", level="loud", stream=io.StringIO())


def redact(**event: Any) -> dict[str, Any]:
    return dict(Redactor()(None, "info", event))


def leaves(value: Any) -> list[str]:
    """Every text in a line, keys included."""
    if isinstance(value, dict):
        return [leaf for pair in value.items() for item in pair for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [str(value)]


def test_keys_that_are_not_allowed_are_dropped_by_name() -> None:
    assert redact(event="e", token="t", fileData="JVBERi0", **{NUMBER: 1}) == {
        "event": "e",
        "dropped": ["fileData", "token", "…8901"],
    }


def test_every_key_of_our_own_lines_is_allowed() -> None:
    """A key that is not would be missing in the log, and nobody would notice."""
    calls = [
        (file.name, call)
        for file in Path(faxline_worker.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if call.func.attr in {"bind", "debug", "info", "warning", "error", "exception"}
    ]
    named = [(name, key.arg) for name, call in calls for key in call.keywords if key.arg]
    assert len(named) > 100
    assert [key for key in named if key[1] not in {*ALLOWED_KEYS, "exc_info"}] == []


def test_keys_can_be_allowed_besides() -> None:
    assert Redactor(extra_keys=["speed"])(None, "info", {"speed": 3}) == {"speed": 3}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+12345678901", "…8901"),
        ("12345678901", "…8901"),
        ("call 1234567 now", "call …4567 now"),
        ("tel:+12345678901;", "tel:…8901;"),
        ("x12345678901y", "x…8901y"),
        ("+1 (234) 567-8901", "…8901"),
        ("+44 1224 515014", "…5014"),
        ("(234) 567-8901", "…8901"),
        ("234-567-8901", "…8901"),
        ("٠١٢٣٤٥٦٧٨٩", "…٦٧٨٩"),
        ("123456", "123456"),
        ("code -3010 after 20 s on 10.0.0.17:6379", "code -3010 after 20 s on 10.0.0.17:6379"),
        ("2019-11-14T00:55:31.820Z", "2019-11-14T00:55:31.820Z"),
    ],
)
def test_a_phone_number_in_a_text_is_shown_by_its_last_four_digits(text: str, shown: str) -> None:
    assert redact(event=text, reason=[{"a": (text,)}]) == {"event": shown, "reason": [{"a": [shown]}]}


def test_the_recipient_is_masked_however_short_the_number_is() -> None:
    assert redact(to="+12345678901") == {"to": "…8901"}
    assert redact(to="…8901") == {"to": "…8901"}
    assert redact(to="911-22") == {"to": "…1122"}
    assert mask_number(NUMBER) == "…8901"


def test_a_number_that_is_no_text_is_masked_unless_its_key_says_it_is_a_measure_or_an_id() -> None:
    assert redact(reason=12345678901, code=-3010) == {"reason": "…8901", "code": -3010}
    measures: dict[str, Any] = {
        "at": 1700000000000,
        "size": 20_000_000,
        "seconds": 1234567.5,
        "jobId": 12345678,
    }
    assert redact(**measures) == measures


def test_our_ids_stay_whole_but_for_what_is_written_as_a_phone_number() -> None:
    ids: dict[str, Any] = {
        "job": "12345678901",
        "entry": "1700000000000-0",
        "message_id": "01234567-89ab-cdef-0123-456789012345",
        "stream": "fax:{default}:intake",
    }
    assert redact(**ids) == ids
    assert redact(job="to:+12345678901") == {"job": "to:…8901"}


def test_ids_and_measures_are_allowed_keys() -> None:
    assert ALLOWED_KEYS >= ID_KEYS | MEASURE_KEYS


def test_documents_are_shown_by_their_size() -> None:
    assert redact(reason=b"%PDF-1.4") == {"reason": "(8 bytes)"}
    assert redact(event="sent " + "JVBERi0x" * 100 + "==") == {"event": "sent …(802 characters)"}


def test_a_long_text_keeps_its_two_ends() -> None:
    text = redact(event="begin " + "a b " * LONGEST_TEXT + "end")["event"]
    assert len(text) == LONGEST_TEXT + 3
    assert text.startswith("begin ")
    assert text.endswith(" end")


def test_values_of_other_kinds_become_plain_ones() -> None:
    some = UUID("01234567-89ab-cdef-0123-456789012345")
    assert redact(reason=some, result=datetime(2026, 1, 2, 3, 4, 5), limit=None, state=True) == {  # noqa: DTZ001 - its text is what matters
        "reason": str(some),
        "result": "2026-01-02 03:04:05",
        "limit": None,
        "state": True,
    }
    assert redact(error=ValueError(f"bad {NUMBER}")) == {"error": "bad …8901"}


NUMBERS = st.from_regex(r"\A\+?[0-9]{7,15}\Z")
KEYS = st.sampled_from(sorted(ALLOWED_KEYS - ID_KEYS - MEASURE_KEYS))
WRAPS: st.SearchStrategy[Callable[[str], Any]] = st.sampled_from(
    [
        lambda text: text,
        lambda text: [text],
        lambda text: {"a": (text, {text: 1})},
        lambda text: {text},
        ValueError,
        repr,
        json.dumps,
    ]
)


@given(number=NUMBERS, before=st.text(), after=st.text(), key=KEYS, wrap=WRAPS)
def test_no_text_around_a_number_lets_it_through(
    number: str, before: str, after: str, key: str, wrap: Callable[[str], Any]
) -> None:
    line = redact(**{key: wrap(before + number + after)})
    assert not any(number.lstrip("+") in text for text in leaves(line))


@given(number=NUMBERS, before=st.text(), after=st.text(), key=st.sampled_from(sorted(ID_KEYS)))
def test_no_text_around_a_number_with_a_plus_lets_it_through_as_an_id(
    number: str, before: str, after: str, key: str
) -> None:
    e164 = "+" + number.lstrip("+")
    assert e164 not in redact(**{key: before + e164 + after})[key]


@given(
    secret=st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=8),
    before=st.text(),
    after=st.text(),
    key=KEYS,
    wrap=WRAPS,
)
def test_no_text_around_a_secret_lets_it_through(
    secret: str, before: str, after: str, key: str, wrap: Callable[[str], Any]
) -> None:
    line = Redactor([secret])(None, "info", {key: wrap(before + secret + after)})
    spellings = (secret, repr(secret)[1:-1], repr(secret + "'\"")[1:-4], json.dumps(secret)[1:-1])
    assert not any(spelling in text for text in leaves(line) for spelling in spellings)


PIECES = st.one_of(
    st.text(max_size=6),
    st.text("0123456789 +-.()/", max_size=12),
    st.sampled_from(
        ["accepted", "invoice-77", "1700000000000-0", "234-567-8901", "x" * 199, "x" * 201, "a b " * 1001]
    ),
)
SHORT_SECRETS = st.lists(st.text(min_size=1, max_size=12), max_size=3)


@given(
    data=st.data(),
    secrets=SHORT_SECRETS,
    later=SHORT_SECRETS,
    key=st.sampled_from(sorted(ALLOWED_KEYS - {"to"})),
)
def test_the_quick_way_gives_what_all_rules_together_give(
    data: st.DataObject, secrets: list[str], later: list[str], key: str
) -> None:
    texts = st.lists(st.one_of(PIECES, *map(st.just, secrets + later)), max_size=5).map("".join)
    redactor, seen = Redactor(secrets), data.draw(st.lists(texts, min_size=1, max_size=4))
    number = _NUMBER_IN_ID if key in ID_KEYS else _NUMBER
    for taught in ([], later):
        redactor.learn(taught)
        for text in seen * 2:  # the second time it may be remembered
            everything = redactor._known.redacted(text, number)
            assert redactor(None, "info", {key: text}) == {key: everything}
            assert redactor(None, "info", {key: [text]}) == {key: [everything]}


@given(value=st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none()), key=KEYS)
def test_a_number_is_treated_alike_by_itself_and_within_something(value: Any, key: str) -> None:
    redactor = Redactor()
    assert redactor(None, "info", {key: value})[key] == redactor(None, "info", {key: [value]})[key][0]


def test_a_secret_that_is_learnt_later_is_hidden_in_texts_that_were_harmless_before() -> None:
    redactor = Redactor()
    assert redactor(None, "info", {"reason": "sesame"}) == {"reason": "sesame"}
    redactor.learn(["sesame"])
    assert redactor(None, "info", {"reason": "sesame"}) == {"reason": "***"}


def test_a_line_of_ours_is_a_record_where_somebody_else_listens_too() -> None:
    lines = run("""
start()
heard = []
class Ear(logging.Handler):
    def emit(self, record): heard.append(record.name)
logging.root.addHandler(Ear())
log.info("both")
logging.root.handlers.pop()
log.info("alone", reason=list(heard))
""")
    assert [line["event"] for line in lines] == ["both", "alone"]
    assert lines[1]["reason"] == ["faxline_worker.wakeups.actors"]


def test_a_line_of_ours_that_cannot_be_made_is_replaced_by_one_without_its_content() -> None:
    [line] = run("""
start()
class Odd(dict):
    def items(self): raise LookupError(TOKEN)
log.info("odd", reason=Odd(a=NUMBER))
""")
    assert line["event"] == "a log line could not be written"
    assert line["logger"] == "faxline_worker.wakeups.actors"
    assert line["error"] == "LookupError"


def test_a_line_of_ours_says_the_same_by_itself_and_where_somebody_else_listens_too() -> None:
    lines = run("""
start()
log.info("start")
class Ear(logging.Handler):
    def emit(self, record): pass
for listens in (False, True):
    if listens:
        logging.root.addHandler(Ear())
    with task_context(account="default", attempt=2, level="l", event="e", logger="l", timestamp="t"):
        for write in (log.debug, log.info, log.warning, log.error, log.critical, log.fatal):
            write("said", attempt=1, pages=3, level="mine", logger="mine", timestamp="mine")
        log.log(logging.WARNING, "by its number")
        log.bind(job="a", attempt=3).info("bound", job="b")
        log.info("with %s and %d", "arguments", 7)
        log.info(reason="no event")
        log.info("where", stack_info=True)
        log.info("nowhere", stack_info=False)
        try:
            raise LookupError(TOKEN)
        except LookupError as error:
            log.exception("failed")
            log.error("failed too", exc_info=True)
            log.warning("failed as well", exc_info=error)
            log.info("did not fail", exc_info=False)
log.info("end")
""")
    times = [line.pop("timestamp") for line in lines]
    assert times == sorted(times)
    assert all(datetime.fromisoformat(stamp) for stamp in times)
    alone, beside = lines[1:16], lines[16:-1]
    assert len(alone) == 15
    assert alone == beside
    assert [line["level"] for line in alone[:6]] == [
        *("info", "warning", "error", "critical", "critical"),
        "warning",
    ]
    assert alone[0] == {
        "level": "info",
        "event": "said",
        "role": "worker",
        "logger": "faxline_worker.wakeups.actors",
        "account": "default",
        "attempt": 1,
        "pages": 3,
    }
    assert (alone[6]["job"], alone[6]["attempt"]) == ("b", 3)
    assert alone[7]["event"] == "with arguments and 7"
    assert "<module>" in alone[9]["stack"]
    assert "stack" not in alone[10]
    assert ["exception" in line for line in alone[11:]] == [True, True, True, False]


def test_where_a_line_was_logged_does_not_name_the_log_itself() -> None:
    [line] = run("""
start()
log.info("here", stack_info=True)
""")
    assert "<module>" in line["stack"]
    assert "logs.py" not in line["stack"]


@given(moments=st.lists(st.integers(0, 2**62), min_size=1, max_size=4))
def test_a_line_has_the_time_to_the_microsecond_in_whatever_order_seconds_come(moments: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for moment in moments * 2:
            patch.setattr(logs, "time_ns", lambda moment=moment: moment)
            stamp = logs._stamp(None, "info", {})["timestamp"]
            exact = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment // 1000)
            assert stamp == exact.isoformat(timespec="microseconds").replace("+00:00", "Z")


def test_a_document_is_recognized_from_200_characters_on() -> None:
    assert redact(event="x" * 199) == {"event": "x" * 199}
    assert redact(event="x" * 200) == {"event": "…(200 characters)"}


def test_what_is_harmless_as_an_id_is_hidden_elsewhere() -> None:
    redactor = Redactor()
    assert redactor(None, "info", {"job": "12345678901"}) == {"job": "12345678901"}
    assert redactor(None, "info", {"reason": "12345678901"}) == {"reason": "…8901"}


def test_a_secret_that_looks_like_a_part_of_a_time_is_hidden_in_times_too() -> None:
    line = Redactor(["11-24T11"])(None, "info", {"timestamp": "2026-11-24T11:52:31.123456Z"})
    assert line == {"timestamp": "2026-***:52:31.123456Z"}
