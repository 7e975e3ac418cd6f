"""The log pipeline: one line an event, JSON or readable, and nothing in it that must not be there.

Every line goes the same way, whether structlog, dramatiq, httpx, uvicorn, asyncio, `warnings` or an uncaught
exception wrote it: it gets its role and time, an exception becomes frames *without their locals*, and the
`Redactor` has the last word before the line is rendered.

A process calls `configure_logs` once, first thing. Pass `log_config=None` to uvicorn, or it configures
logging itself.
"""

import logging
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from json import JSONEncoder
from types import TracebackType
from typing import Any, ClassVar, TextIO

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import ExceptionRenderer, StackInfoRenderer, TimeStamper, add_log_level
from structlog.stdlib import add_logger_name
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from faxline_worker.observability.redaction import NOT_WRITTEN, Redactor

QUIET = ("httpx", "httpcore", "uvicorn.access")
"""Loggers heard from WARNING on: at INFO they double our own lines, and httpcore's DEBUG shows headers."""


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the lines of one logger. A stream that is gone costs the lines, and never the caller.

    A finalizer or a signal handler may log while its thread writes. structlog's own writers would wait for
    themselves then.
    """

    stream: TextIO
    name: str = "root"
    lock: ClassVar[threading.RLock] = threading.RLock()

    def write(self, line: str) -> None:
        with self.lock, suppress(Exception):
            self.stream.write(line + "\n")
            self.stream.flush()

    debug = info = warning = error = critical = write


class _Libraries(logging.Handler):
    """Sends what libraries log the way of our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        log = get_logger(record.name)
        try:
            event = record.getMessage()
        except Exception as error:  # noqa: BLE001 - logging's own way would print the message and its arguments
            log.error(NOT_WRITTEN, error=type(error).__name__)  # noqa: TRY400 - likewise
            return
        level = min(record.levelno // 10 * 10, logging.CRITICAL)  # structlog has no other levels
        log.log(level, event, exc_info=record.exc_info)


def configure_logs(
    *,
    role: str,
    json: bool | None = None,
    level: str = "info",
    stream: TextIO | None = None,
    secrets: Iterable[str] = (),
) -> Redactor:
    """Send every log line of this process through one redacting pipeline to one stream.

    It replaces the root logger's handlers and those of the libraries, routes `warnings` and uncaught
    exceptions into the log too, and may be called again (with more secrets, say).

    Args:
        role: which process this is, such as `dispatcher`.
        json: JSON lines, or a readable form. By default JSON unless the stream is a terminal.
        level: debug, info, warning, error or critical.
        stream: standard error by default.
        secrets: texts that no line may hold: API keys, webhook secrets, Redis passwords.

    Returns:
        The redactor, which may be taught secrets that come later.

    Raises:
        ValueError: there is no such level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"level: {level!r} is none of debug, info, warning, error, critical")
    stream = sys.stderr if stream is None else stream

    def add_role(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["role"] = role
        return event

    redactor = Redactor(secrets)
    exceptions, renderer = _rendering(as_json=not stream.isatty() if json is None else json)
    structlog.configure(
        processors=[
            add_logger_name,
            add_log_level,
            TimeStamper(fmt="iso", utc=True),
            add_role,
            StackInfoRenderer(),
            exceptions,
            redactor,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=partial(_Writer, stream),
    )
    _take_over(number)
    return redactor


def _rendering(*, as_json: bool) -> tuple[Processor, Processor]:
    """What makes plain values, or a text, of an exception, and a line of an event."""
    if as_json:
        frames = ExceptionDictTransformer(show_locals=False, max_frames=30)
        encode = JSONEncoder(ensure_ascii=False).encode
        return ExceptionRenderer(frames), lambda _logger, _method, event: encode(event)
    # The plain traceback is made before the redactor sees it; structlog's own pretty one would show locals.
    return ExceptionRenderer(), ConsoleRenderer(exception_formatter=plain_traceback)


def _take_over(level: int) -> None:
    logging.captureWarnings(capture=True)
    for name in list(logging.root.manager.loggerDict):  # a library's own handlers would write past us
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    logging.root.handlers[:] = [_Libraries()]
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


def get_logger(name: str) -> FilteringBoundLogger:
    """The logger of a module; write with it as in `log.info("submitted", attempt=1)`."""
    log: FilteringBoundLogger = structlog.get_logger(name)
    return log
