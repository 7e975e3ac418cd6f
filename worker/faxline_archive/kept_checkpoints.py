"""The last checkpoint of each account, in Redis: who can only write to the database cannot change it."""

import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_archive.checkpoints import Checkpoint, NoteInvalid
from faxline_archive.tree_heads import ArchiveAltered


class KeptCheckpoints:
    """Keeps and reads checkpoints. Thread-safe.

    Args:
        client: of the state's database.

    Example:
        >>> kept = KeptCheckpoints(client)
        >>> kept.keep("default", checkpoint_note(head.checkpoint, head.signature, key.public))
        >>> kept.read("default").size
        1042
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def keep(self, account: str, note: str) -> None:
        """Keep a signed checkpoint instead of the one before.

        Raises:
            redis.RedisError: Redis is away or refuses.
        """
        self._client.set(RedisKeys(account).archive_checkpoint, note)

    def read(self, account: str) -> Checkpoint | None:
        """The last checkpoint; None if there is none yet, or if Redis lost it.

        Raises:
            ArchiveAltered: what is there is no checkpoint of the account.
            redis.RedisError: Redis is away or refuses.
        """
        note = self.note(account)
        if note is None:
            return None
        try:
            found = Checkpoint.parse(note.partition("\n\n")[0] + "\n")
        except NoteInvalid as error:
            raise ArchiveAltered(f"what Redis keeps for account {account}: {error}") from None
        if found.account != account:
            raise ArchiveAltered(f"Redis keeps the checkpoint of another account for {account}")
        return found

    def note(self, account: str) -> str | None:
        """The same as it was kept, with its signature."""
        found = self._client.get(RedisKeys(account).archive_checkpoint)
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else None

    def drop(self, account: str) -> None:
        """Keep nothing any more, so that the next tree is signed as it is.

        Raises:
            redis.RedisError: Redis is away or refuses.
        """
        self._client.delete(RedisKeys(account).archive_checkpoint)
