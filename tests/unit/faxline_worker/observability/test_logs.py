"""The log pipeline: what is written, and above all what is not."""

import io
import json
import os
import pty
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest

from faxline_worker.observability.logs import configure_logs

TOKEN = 'tok "en"\\5bé/7f2c'
NUMBER = "+12345678901"

START = f"""
import asyncio, logging, sys, threading, warnings
from faxline_worker.observability.logs import configure_logs, get_logger
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


def test_a_line_is_json_with_time_level_role_logger_and_what_is_bound() -> None:
    [line] = run("""
start()
log.bind(account="default", job="invoice-77").info("submitted", attempt=1, seconds=0.25)
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
    assert all(line["role"] == "worker" for line in lines)
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


def test_a_line_keeps_its_own_level_logger_and_time_whatever_its_values_are_called() -> None:
    lines = run("""
start()
bound = log.bind(account="default", attempt=2, level="l", logger="l", timestamp="t")
for write in (bound.debug, bound.info, bound.warning, bound.error, bound.critical):
    write("said", attempt=1, pages=3, level="mine", logger="mine", timestamp="mine")
log.bind(job="a", attempt=3).info("bound with %s", "arguments", job="b")
""")
    times = [line.pop("timestamp") for line in lines]
    assert times == sorted(times)
    assert all(datetime.fromisoformat(stamp) for stamp in times)
    assert [line["level"] for line in lines] == ["info", "warning", "error", "critical", "info"]
    assert lines[0] == {
        "level": "info",
        "event": "said",
        "role": "worker",
        "logger": "faxline_worker.wakeups.actors",
        "account": "default",
        "attempt": 1,
        "pages": 3,
    }
    bound = lines[-1]
    assert (bound["event"], bound["job"], bound["attempt"]) == ("bound with arguments", "b", 3)


def test_where_a_line_was_logged_does_not_name_the_log_itself() -> None:
    [line] = run("""
start()
log.info("here", stack_info=True)
""")
    assert "<module>" in line["stack"]
    assert "logs.py" not in line["stack"]


def test_a_line_that_is_logged_while_another_is_written_is_written_too() -> None:
    lines = run("""
class Interrupted:
    def isatty(self): return False
    def write(self, text):
        if "outer" in text:
            log.info("inner")  # as a signal handler or a finalizer would
        sys.stderr.write(text)
    def flush(self): sys.stderr.flush()
start(stream=Interrupted())
log.info("outer")
""")
    assert [line["event"] for line in lines] == ["inner", "outer"]


def test_a_stream_that_is_gone_costs_the_lines_and_not_what_is_done_beside_them() -> None:
    assert (
        run("start(); sys.stderr.close(); log.info('lost'); logging.getLogger('dramatiq').info('lost')") == []
    )
