"""Signs the checkpoints that are due, in the archive's process."""

from collections.abc import Callable, Sequence

from sqlalchemy import Engine
from structlog.typing import FilteringBoundLogger

from faxline_archive.checkpoints import checkpoint_note
from faxline_archive.kept_checkpoints import KeptCheckpoints
from faxline_archive.metrics import ArchiveMetrics
from faxline_archive.signing_key import SigningKeyInvalid, signing_key
from faxline_archive.tree_heads import ArchiveAltered, sign_due
from faxline_worker.config.archive import Archive


def signer(
    engine: Engine,
    settings: Archive,
    kept: KeptCheckpoints,
    names: Callable[[], Sequence[str]],
    *,
    metrics: ArchiveMetrics,
    log: FilteringBoundLogger,
) -> Callable[[int], bool] | None:
    """What signs at a time (ms); None, with a warning in the log, if there is no key.

    It returns whether no account's entries were changed. It logs each checkpoint and keeps it in Redis, so
    that its size and root are kept elsewhere than in the database, and signs no tree that did not grow from
    what Redis keeps.

    Args:
        engine: of `open_database` with `writes`.
        settings: the archive's.
        kept: the checkpoints in Redis.
        names: the accounts that are served now.
        metrics: tell which account was changed.
        log: is told when there is no key, what was signed, and when the database was changed.
    """
    try:
        key = signing_key(settings.url, settings.signing_key.get_secret_value())
    except SigningKeyInvalid as error:
        log.warning("the archive signs no checkpoints", error=str(error))
        return None
    interval = round(settings.checkpoint.total_seconds() * 1000)

    def sign(now_ms: int) -> bool:
        served, altered = list(names()), set[str]()
        for account, found in sign_due(engine, key, interval, now_ms, served=served, kept=kept.read):
            if isinstance(found, ArchiveAltered):
                altered.add(account)
                log.error("the archive's entries were changed", account=account, error=str(found))
            else:
                head = found.checkpoint
                kept.keep(account, checkpoint_note(head, found.signature, key.public))
                log.info("signed a checkpoint", account=account, size=head.size, root=head.root.hex())
        for account in {*served, *altered}:
            metrics.labels.serve(account)
            metrics.altered(account).set(account in altered)
        return not altered

    return sign
