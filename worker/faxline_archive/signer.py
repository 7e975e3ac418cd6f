"""Signs the checkpoints that are due, in the archive's process."""

from collections.abc import Callable

from sqlalchemy import Engine
from structlog.typing import FilteringBoundLogger

from faxline.contract.errors import FaxlineError
from faxline_archive.signing_key import SigningKeyInvalid
from faxline_archive.tree_heads import sign_due, signing_key
from faxline_worker.config.archive import Archive


def signer(engine: Engine, settings: Archive, log: FilteringBoundLogger) -> Callable[[int], None] | None:
    """What signs at a time (ms); None, with a warning in the log, if there is no key.

    Args:
        engine: of `open_database` with `writes`.
        settings: the archive's.
        log: is told when there is no key, and when the database was changed.
    """
    try:
        key = signing_key(settings.url, settings.signing_key.get_secret_value())
    except SigningKeyInvalid as error:
        log.warning("the archive signs no checkpoints", error=str(error))
        return None
    interval = round(settings.checkpoint.total_seconds() * 1000)

    def sign(now_ms: int) -> None:
        try:
            signed = sign_due(engine, key, interval, now_ms)
        except FaxlineError as error:
            log.warning("the archive's entries were changed", error=str(error))
        else:
            if signed:
                log.info("signed checkpoints", accounts=len(signed))

    return sign
