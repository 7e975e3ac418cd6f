"""Signs the checkpoints that are due, in the archive's process."""

from collections.abc import Callable

from sqlalchemy import Engine
from structlog.typing import FilteringBoundLogger

from faxline_archive.signing_key import SigningKeyInvalid
from faxline_archive.tree_heads import ArchiveAltered, sign_due, signing_key
from faxline_worker.config.archive import Archive


def signer(engine: Engine, settings: Archive, log: FilteringBoundLogger) -> Callable[[int], bool] | None:
    """What signs at a time (ms); None, with a warning in the log, if there is no key.

    It returns whether no account's entries were changed. It logs each checkpoint, so that its size and root
    are kept elsewhere than in the database.

    Args:
        engine: of `open_database` with `writes`.
        settings: the archive's.
        log: is told when there is no key, what was signed, and when the database was changed.
    """
    try:
        key = signing_key(settings.url, settings.signing_key.get_secret_value())
    except SigningKeyInvalid as error:
        log.warning("the archive signs no checkpoints", error=str(error))
        return None
    interval = round(settings.checkpoint.total_seconds() * 1000)

    def sign(now_ms: int) -> bool:
        good = True
        for account, found in sign_due(engine, key, interval, now_ms):
            if isinstance(found, ArchiveAltered):
                good = False
                log.error("the archive's entries were changed", account=account, error=str(found))
            else:
                head = found.checkpoint
                log.info("signed a checkpoint", account=account, size=head.size, root=head.root.hex())
        return good

    return sign
