"""The log pipeline: one line an event, JSON or readable, and nothing in it that must not be there.

Every line goes the same way, whether structlog, dramatiq, httpx, uvicorn, asyncio, `warnings` or an uncaught
exception wrote it: it gets context and time, an exception becomes frames *without their locals*, and the
`Redactor` has the last word before the line is rendered.

A process calls `configure_logs` once, first thing. Pass `log_config=None` to uvicorn, or it configures
logging itself.
"""

import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from json import dumps
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import ExceptionRenderer, JSONRenderer, StackInfoRenderer, TimeStamper
from structlog.stdlib import BoundLogger, LoggerFactory, ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor

from faxline_worker.observability.redaction import Redactor

QUIET = ("httpx", "httpcore", "uvicorn.access")
"""Loggers heard from WARNING on: at INFO they double our own lines, and httpcore's DEBUG shows headers."""


class _Handler(logging.StreamHandler[TextIO]):
    """A stream handler that never falls back on printing the record as it came."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        return line.encode(encoding, "backslashreplace").decode(encoding)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say that a line could not be written. logging's own way would print its message and arguments."""
        kind = getattr(sys.exc_info()[0], "__name__", "unknown")
        line = {"event": "a log line could not be written", "level": "error", "logger": record.name}
        try:
            self.stream.write(dumps({**line, "error": kind}) + self.terminator)
            self.flush()
        except Exception:  # noqa: BLE001, S110 - the stream itself is gone: nobody is left to tell
            pass


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
        json: JSON lines, or a readable form. By default JSON unless the stream is a terminal.
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
        TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            StackInfoRenderer(),
            ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=BoundLogger,
        logger_factory=LoggerFactory(),
        cache_logger_on_first_use=True,
    )

    def add_role(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["role"] = role
        return event

    redactor = Redactor(secrets, extra_keys)
    exceptions, renderer = _rendering(as_json=not stream.isatty() if json is None else json)
    handler = _Handler(stream)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[ProcessorFormatter.remove_processors_meta, add_role, exceptions, redactor, renderer],
        )
    )
    _take_over(handler, number)
    return redactor


def _rendering(*, as_json: bool) -> tuple[Processor, Processor]:
    """What makes plain values, or a text, of an exception, and a line of an event."""
    if as_json:
        frames = ExceptionDictTransformer(show_locals=False, max_frames=30)
        return ExceptionRenderer(frames), JSONRenderer(ensure_ascii=False)
    # The plain traceback is made before the redactor sees it; structlog's own pretty one would show locals.
    return ExceptionRenderer(), ConsoleRenderer(exception_formatter=plain_traceback)


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
