"""The log pipeline: one line an event, JSON or readable, and nothing in it that must not be there.

Every line goes the same way, whether structlog, dramatiq, httpx, uvicorn, asyncio, `warnings` or an uncaught
exception wrote it: context and time are added, an exception becomes frames *without their locals*, and the
`Redactor` has the last word before the line is rendered (ARCHITECTURE.md, rule 7).

A line of ours is written at once, without becoming a record of the standard library on the way; the
libraries' come through a handler. Both are rendered by the same steps.

A process calls `configure_logs` once, first thing. uvicorn configures logging itself unless it is told not
to: `log_config=None`.
"""

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime
from json import JSONEncoder, dumps
from time import time_ns
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import quote
from uuid import UUID

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import ExceptionRenderer, StackInfoRenderer
from structlog.stdlib import BoundLogger, LoggerFactory, ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor

from faxline.contract.texts import mask_number

ALLOWED_KEYS = frozenset(
    {
        # the line itself
        "event",  # what happened, a fixed phrase
        "timestamp",  # when it was logged, UTC, ISO 8601
        "level",  # debug, info, warning, error, critical
        "logger",  # who wrote it, such as faxline_worker.dispatcher.dispatcher or httpx
        "role",  # dispatcher, worker, webhook, sandbox, demo
        "exception",  # the frames, without locals
        "stack",  # where it was logged, if asked for
        "dropped",  # the names of the keys that are not in this list
        # which fax
        "account",  # the iFax account's name
        "job",  # the job's id, the producer's
        "group",  # the id that the jobs of one list of numbers share
        "of",  # the job that a resend repeats
        "jobId",  # iFax's own number of the job
        "attempt",  # the attempt's number, from 1
        "priority",  # urgent, normal, bulk
        "state",  # the job's state after the event
        "to",  # the recipient, masked: …1234
        "pages",  # how many pages
        "transferred",  # how many of them arrived
        # what was decided, and why
        "decision",  # the answer of admission or of a script
        "result",  # how a submission or a webhook ended
        "outcome",  # how a job ended
        "reason",  # the fixed name of a reason
        "kind",  # which control call: status, cancel
        "order",  # what an operator ordered
        "how",  # and how: accepted, resend, fail
        "by",  # and who it was
        "retried",  # the delivery failed and is tried again
        "code",  # iFax's number of an error
        "status",  # the HTTP status
        "stage",  # intake, submission, delivery
        "limit",  # concurrency, window, burst, paused
        "member",  # the member of a job or a setting that is wrong
        "settings",  # those that differ, with their values
        "digest",  # a document's SHA-256
        "error",  # one line about a failure
        # when and how much
        "seconds",  # how long it took
        "retry_in",  # seconds until the next try
        "at",  # a time in milliseconds since 1970
        "count",  # how many
        "size",  # bytes
        # where
        "entry",  # a stream entry's id
        "stream",  # a stream's key
        "users",  # the Redis users that could have done it
        "queue",  # a Dramatiq queue
        "actor",  # a Dramatiq actor
        "message_id",  # a Dramatiq message's id
        "method",  # the HTTP method
        "path",  # the path of an HTTP request to us, without its query
        "host",  # a host we listen on or talk to
        "port",  # its port
        "proxy",  # the host and port of a proxy before iFax
        "pid",  # a process id
        "version",  # of Faxline, a server, a library
        "signal",  # the signal that ends a process
    }
)
"""The keys a line may have; others are dropped and named under `dropped`."""

ID_KEYS = frozenset({"job", "group", "of", "jobId", "entry", "message_id", "stream", "digest"})
"""Keys whose values are ids: here only a run of digits *with a leading +* is taken for a phone number.

A job id is the producer's choice. One that is a bare phone number is logged as it is; intake allows no `+` in
an id, so producers are asked not to use numbers as ids.
"""

MEASURE_KEYS = frozenset({"timestamp", "at", "seconds", "retry_in", "count", "size", "port", "pid"})
"""Keys whose values, when they are numbers, are measures and never phone numbers."""

LONGEST_TEXT = 4000
"""Characters of one text that are logged; the middle of a longer one is cut out."""

QUIET = ("httpx", "httpcore", "uvicorn.access")
"""Loggers heard from WARNING on: at INFO they double our own lines, and httpcore's DEBUG shows headers."""

_SECRET = "***"  # noqa: S105 - what stands in a secret's place
_WITH_PLUS = r"\+\d(?:[ ().\-/]{0,3}\d){6,}"  # also as people write it: +1 (234) 567-8901
_NUMBER_IN_ID = re.compile(_WITH_PLUS)
_NUMBER = re.compile(rf"{_WITH_PLUS}|\d{{7,}}|\(?\b\d{{3}}\)?[ .-]\d{{3}}[ .-]\d{{4}}\b")
_DOCUMENT = re.compile(r"[A-Za-z0-9+/_-]{200,}={0,2}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)  # no part of it is a _NUMBER
_TIME_LENGTH = 27
_TIME_CHARACTERS = frozenset("0123456789-T:.Z")
_SHORTEST_NUMBER = 7
_SHORTEST_DOCUMENT = 200
_BEYOND_SMALL = 10 ** (_SHORTEST_NUMBER - 1)
_REMEMBERED = 1024
_REMEMBERED_LENGTH = 64
_HEAD = 8
_DEEPEST = 30
_FIRST = {key: place for place, key in enumerate(("timestamp", "level", "event", "role", "logger"))}
_LAST = len(_FIRST)
_MEASURED = MEASURE_KEYS | ID_KEYS
_METHODS = {
    "debug": (logging.DEBUG, "debug"),
    "info": (logging.INFO, "info"),
    "warning": (logging.WARNING, "warning"),
    "error": (logging.ERROR, "error"),
    "exception": (logging.ERROR, "error"),
    "critical": (logging.CRITICAL, "critical"),
}
"""The levels by the methods of a logger."""
_ONCE = ID_KEYS | {"timestamp"}
"""Keys whose texts hardly come again, so that nothing is gained by remembering them."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is done with the keys of a line.

    Attributes:
        kept: key, what a phone number looks like there, whether its texts come again, whether its numbers
            stay.
        dropped: the others.
    """

    kept: tuple[tuple[str, re.Pattern[str], bool, bool], ...]
    dropped: tuple[str, ...]


class _Known:
    """Secrets, and what is found clean of them.

    Nearly every text is clean, and most of them come again and again. So a text is first looked at in ways
    that cost little and never take something for clean that is not.
    """

    def __init__(self, spellings: Iterable[str]) -> None:
        longest_first = sorted(spellings, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._shortest = min(map(len, longest_first), default=sys.maxsize)
        self._head = min(self._shortest, _HEAD)
        self._in_times = any(_TIME_CHARACTERS.issuperset(spelling) for spelling in longest_first)
        self._heads = frozenset(spelling[: self._head] for spelling in longest_first)
        self.clean: set[str] = set()
        """Short texts that have nothing to hide; never one that has."""

    def text(self, text: str, number: re.Pattern[str], *, remember: bool = False) -> str:
        """The text, redacted; see `Redactor.text`.

        Args:
            text: any.
            number: what a phone number looks like in it.
            remember: that it is clean, if it is, for such texts as come again. Only ever with one `number`,
                for what is clean by another may not be.
        """
        if self._suspicious(text, number):
            return self.redacted(text, number)
        if remember and len(text) <= _REMEMBERED_LENGTH:
            if len(self.clean) >= _REMEMBERED:
                self.clean.clear()
            self.clean.add(text)
        return text

    def _suspicious(self, text: str, number: re.Pattern[str]) -> bool:
        """Whether there may be something to redact; False is certain."""
        length, head = len(text), self._head
        if length == _TIME_LENGTH and not self._in_times and _TIME.fullmatch(text):
            return False
        if length >= self._shortest and not self._heads.isdisjoint(
            [text[at : at + head] for at in range(length - self._shortest + 1)]
        ):
            return True
        if length < _SHORTEST_NUMBER:
            return False
        return length >= _SHORTEST_DOCUMENT or number.search(text) is not None

    def redacted(self, text: str, number: re.Pattern[str]) -> str:
        """The text by every rule, without the quick look before."""
        if self._secrets is not None:
            text = self._secrets.sub(_SECRET, text)
        text = _DOCUMENT.sub(lambda run: f"…({len(run[0])} characters)", text)
        text = number.sub(lambda run: mask_number(run[0]), text)
        half = LONGEST_TEXT // 2
        return text if len(text) <= LONGEST_TEXT else f"{text[:half]} … {text[-half:]}"


class Redactor:
    """The last processor before rendering: what it lets through may be read by anyone who reads logs.

    It keeps the allowed keys, and in every text, at any depth, exception and event included, replaces

    - the given secrets, also as they look inside a repr, JSON or a URL, by `***`,
    - a run of 7 or more digits, a spelt-out `+1 (234) 567-8901` or `234-567-8901`, by `…` and its last four,
    - 200 or more characters of what may be base64 (a document) by their count, and bytes by theirs,
    - what is longer than LONGEST_TEXT by its two ends.

    A whole number of 7 or more digits is treated like a text, but for MEASURE_KEYS and ID_KEYS.

    Args:
        secrets: API keys, webhook secrets, passwords. Empty ones are ignored.
        extra_keys: allowed besides ALLOWED_KEYS.
    """

    def __init__(self, secrets: Iterable[str] = (), extra_keys: Iterable[str] = ()) -> None:
        self._allowed = ALLOWED_KEYS | frozenset(extra_keys)
        self._spellings: set[str] = set()
        self._known = _Known(())
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Know these secrets too, from the next line on; the others stay secret. For one thread at a time."""
        self._spellings |= {spelling for secret in secrets if secret for spelling in _spellings(secret)}
        self._known = _Known(self._spellings)  # with it goes what was found clean before

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        """Return a redacted copy with the main keys in front."""
        names = tuple(event)
        shape = self._shapes.get(names) or self._shape(names)
        known = self._known
        clean = known.clean
        line: EventDict = {}
        for key, number, often, measure in shape.kept:
            value = event[key]
            kind = type(value)
            if kind is str:
                line[key] = value if often and value in clean else known.text(value, number, remember=often)
            elif (
                value is None
                or kind is bool
                or (kind is int and (measure or -_BEYOND_SMALL < value < _BEYOND_SMALL))  # too few digits
                or (kind is float and measure)
            ):
                line[key] = value
            else:
                line[key] = self._value(value, key)
        if isinstance(event.get("to"), str):
            line["to"] = mask_number(event["to"])
        if shape.dropped:
            line["dropped"] = sorted(self.text(name) for name in shape.dropped)
        return line

    def text(self, text: str, number: re.Pattern[str] = _NUMBER) -> str:
        """One text without secrets, documents and phone numbers, and not too long."""
        return self._known.text(text, number)

    def _shape(self, names: tuple[str, ...]) -> "_Shape":
        """Which of a line's keys are kept, in which order; lines of one kind have the same keys."""
        kept = sorted((key for key in names if key in self._allowed), key=lambda key: _FIRST.get(key, _LAST))
        shape = _Shape(
            tuple(
                (key, _NUMBER_IN_ID if key in ID_KEYS else _NUMBER, key not in _ONCE, key in _MEASURED)
                for key in kept
            ),
            tuple(str(key) for key in names if key not in self._allowed),
        )
        if len(self._shapes) >= _REMEMBERED:
            self._shapes = {}
        self._shapes[names] = shape
        return shape

    def _value(self, value: Any, key: str, depth: int = 0) -> Any:
        if depth > _DEEPEST:  # or a value that holds itself
            return "…"
        if isinstance(value, Mapping):
            return {self.text(str(name)): self._value(item, key, depth + 1) for name, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(item, key, depth + 1) for item in value]
        return self._scalar(value, key)

    def _scalar(self, value: Any, key: str) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, date | UUID):  # a datetime is a date
            return str(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return f"({len(value)} bytes)"
        if isinstance(value, int | float) and key in _MEASURED:
            return value
        said = _said(value)
        if isinstance(value, int | float) and _NUMBER.search(said) is None:
            return value
        return self.text(said, _NUMBER_IN_ID if key in ID_KEYS else _NUMBER)


def _spellings(secret: str) -> set[str]:
    """The secret as it stands, and as repr (within either quotes), JSON and a URL write it."""
    within_both = repr(secret + "'\"")[1:-4]  # a text with both quotes has its single ones escaped
    return {
        secret,
        repr(secret)[1:-1],
        within_both,
        dumps(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
    }


def _said(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a value that cannot say what it is must not cost the line
        return f"({type(value).__name__} without a text: {type(error).__name__})"


class _Handler(logging.StreamHandler[TextIO]):
    """A stream handler that never falls back on printing the record as it came.

    Args:
        stream: where the lines go.
        render: makes a line of an event that has its context.
    """

    def __init__(self, stream: TextIO, render: Callable[[EventDict], str]) -> None:
        super().__init__(stream)
        self._render = render

    def tell(self, name: str, event: EventDict) -> None:
        """Write an event of ours, of the logger of this name."""
        try:
            line = self._encodable(self._render(event)) + self.terminator
            with self.lock or nullcontext():
                self.stream.write(line)
                self.stream.flush()
        except Exception:  # noqa: BLE001 - as logging does: a line that fails must not cost what it tells of
            self._fail(name)

    def format(self, record: logging.LogRecord) -> str:
        return self._encodable(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say that a line could not be written; logging's own way would print its message and arguments."""
        self._fail(record.name)

    def _encodable(self, line: str) -> str:
        if line.isascii():
            return line
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        return line.encode(encoding, "backslashreplace").decode(encoding)

    def _fail(self, name: str) -> None:
        kind = getattr(sys.exc_info()[0], "__name__", "unknown")
        line = {"event": "a log line could not be written", "level": "error", "logger": name}
        try:
            self.stream.write(dumps({**line, "error": kind}) + self.terminator)
            self.flush()
        except Exception:  # noqa: BLE001, S110 - the stream itself is gone: there is nobody left to tell
            pass


class _Logger(BoundLogger):
    """Writes a line of ours in one step, not by structlog's chain, where nobody but our handler listens.

    What is rare, such as a text with arguments, takes the chain also then.
    """

    def _proxy_to_logger(
        self, method_name: str, event: str | None = None, *event_args: Any, **event_kw: Any
    ) -> Any:
        handlers = logging.root.handlers
        handler = handlers[0] if len(handlers) == 1 else None
        if type(handler) is not _Handler or event_args or event is None or "stack_info" in event_kw:
            return super()._proxy_to_logger(method_name, event, *event_args, **event_kw)
        logger: logging.Logger = self._logger
        number, level = _METHODS[method_name]
        if logger.isEnabledFor(number):
            line = {**self._context, **event_kw, "event": event, "logger": logger.name, "level": level}
            handler.tell(
                logger.name, _stamp(logger, method_name, merge_contextvars(logger, method_name, line))
            )
        return None


def configure_logs(
    *,
    role: str,
    json: bool | None = None,
    level: str = "info",
    stream: TextIO | None = None,
    secrets: Iterable[str] = (),
    extra_keys: Iterable[str] = (),
) -> Redactor:
    """Send every log line of this process through one redacting pipeline to one stream.

    It replaces the root logger's handlers and those of the libraries, routes `warnings` and uncaught
    exceptions into the log too, and may be called again (with more secrets, say).

    Args:
        role: which process this is, such as `dispatcher`.
        json: JSON lines, or a readable form; by default JSON unless the stream is a terminal.
        level: debug, info, warning, error or critical.
        stream: standard error by default.
        secrets: texts that no line may hold: API keys, webhook secrets, Redis passwords.
        extra_keys: allowed in a line besides ALLOWED_KEYS.

    Returns:
        The redactor, which may be taught secrets that come later.

    Raises:
        ValueError: there is no such level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"level: {level!r} is none of debug, info, warning, error, critical")
    stream = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        _stamp,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            StackInfoRenderer(additional_ignores=[__name__]),
            ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=_Logger,
        logger_factory=LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    redactor = Redactor(secrets, extra_keys)
    as_json = not stream.isatty() if json is None else json
    exceptions, renderer = _rendering(as_json=as_json)

    def render(event: EventDict) -> str:
        event["role"] = role
        if "exc_info" in event:
            event = exceptions(None, "", event)
        return renderer(redactor(None, "", event))

    handler = _Handler(stream, render)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                ProcessorFormatter.remove_processors_meta,
                lambda _logger, _method, event: render(event),
            ],
        )
    )
    _take_over(handler, number)
    return redactor


_encode = JSONEncoder(ensure_ascii=False, check_circular=False).encode
"""What the redactor lets through is plain, and of a bounded depth."""

_second = (-1, "")
"""The last second that was stamped on a line, since 1970, and how it is written."""


def _stamp(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """What structlog's TimeStamper does, and writes out a second only once."""
    global _second  # noqa: PLW0603 - a pair is read and replaced as one, so threads do no harm
    second, microsecond = divmod(time_ns() // 1000, 1_000_000)
    known, text = _second
    if known != second:
        text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _second = second, text
    event["timestamp"] = f"{text}.{microsecond:06d}Z"
    return event


def _rendering(*, as_json: bool) -> tuple[ExceptionRenderer, Callable[[EventDict], str]]:
    """What makes a text, or plain values, of an exception, and a line of an event."""
    if as_json:
        return ExceptionRenderer(ExceptionDictTransformer(show_locals=False, max_frames=30)), _encode
    # The plain traceback is made before the redactor sees it; structlog's own pretty one would show locals.
    console = ConsoleRenderer(exception_formatter=plain_traceback)
    return ExceptionRenderer(), lambda event: console(None, "", event)


def _take_over(handler: logging.Handler, level: int) -> None:
    logging.captureWarnings(capture=True)
    for name in list(logging.root.manager.loggerDict):  # a library's own handlers would write past us
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))

    log = get_logger(__name__)

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            log.warning("interrupted")
        else:
            log.critical("uncaught exception", exc_info=(kind, error, trace))

    def uncaught_in_thread(hook: threading.ExceptHookArgs) -> None:
        if hook.exc_value is not None and not isinstance(hook.exc_value, SystemExit):
            uncaught(hook.exc_type, hook.exc_value, hook.exc_traceback)

    def unraisable(hook: "sys.UnraisableHookArgs") -> None:
        if hook.exc_value is not None:
            log.error("ignored exception", exc_info=(hook.exc_type, hook.exc_value, hook.exc_traceback))

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, uncaught_in_thread, unraisable


def get_logger(name: str) -> BoundLogger:
    """The logger of a module; write with it as in `log.info("submitted", attempt=1)`."""
    return structlog.stdlib.get_logger(name)


@contextmanager
def task_context(**values: Any) -> Iterator[None]:
    """Give every line of one task, the libraries' too, these keys; leaves no context behind.

    A task starts from nothing: what was bound before is cleared, so contexts do not nest.
    """
    clear_contextvars()
    bind_contextvars(**values)
    try:
        yield
    finally:
        clear_contextvars()
