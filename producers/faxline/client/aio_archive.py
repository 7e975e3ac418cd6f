"""The method of `AsyncFaxLine` that asks the archive."""

from asyncio import to_thread
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from itertools import islice

from faxline.client.aio_base import Asynchronous, twin_of
from faxline.client.sync_archive import Archived, find_in_archive
from faxline.reading.archived import ArchivedFax, Wanted

_PAGE = 100


@twin_of(Archived)
class AsyncArchived(Asynchronous):
    """Find what happened long ago. The database is asked in a thread."""

    async def find(
        self,
        *,
        to: str | None = None,
        sender: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        state: str | None = None,
        reason: str | None = None,
        group: str | None = None,
        metadata: Mapping[str, str] | None = None,
        archive: str | None = None,
    ) -> AsyncIterator[ArchivedFax]:
        wanted = Wanted(to, sender, since, until, state, reason, group, dict(metadata or {}))
        found = find_in_archive(self.account, self.keyring, wanted, archive)
        while page := await to_thread(lambda: list(islice(found, _PAGE))):
            for fax in page:
                yield fax
