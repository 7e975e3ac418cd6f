"""The method of `FaxLine` that asks the archive, where faxes stay for years."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime

from faxline.client.base import Blocking
from faxline.contract.sealing.keyring import Keyring
from faxline.reading.archive import open_archive
from faxline.reading.archived import STATES, ArchivedFax, Wanted

ARCHIVE_URL = "FAXLINE_ARCHIVE__URL"


class Archived(Blocking):
    """Find what happened long ago. It needs the extra `archive`, and no Redis."""

    def find(
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
    ) -> Iterator[ArchivedFax]:
        """Find faxes of this account in the archive, the last one queued first.

        They are read by pages while you iterate.

        Example:
            >>> for fax in line.find(to="+12025550123", since=datetime(2026, 11, 24, tzinfo=UTC)):
            ...     print(fax.id, fax.state, fax.ended_at)

        Args:
            to: the recipient's number in E.164.
            sender: the sender's number in E.164.
            since: the earliest time at which it was queued, with a zone.
            until: the time before which it was queued, with a zone.
            state: queued, submitted, in_doubt, delivered, failed, canceled, unconfirmed or rejected.
            reason: a name of docs/causes.md.
            group: the name of a group.
            metadata: members of the metadata and their values, as text. All must be there.
            archive: the archive's URL. Default: FAXLINE_ARCHIVE__URL, or faxline-archive.db in this folder.

        Raises:
            ValueError: a time has no zone, `until` is not after `since`, or there is no such state or reason.
            ArchiveUnavailable: there is no archive, or its database is away.
        """
        wanted = Wanted(to, sender, since, until, state, reason, group, dict(metadata or {}))
        return find_in_archive(self.account, self.keyring, wanted, archive)


def find_in_archive(
    account: str, keyring: Keyring | None, wanted: Wanted, url: str | None
) -> Iterator[ArchivedFax]:
    """Open the archive, find, and close it at the end.

    Raises:
        ValueError: a time has no zone, `until` is not after `since`, or there is no such state or reason.
        ArchiveUnavailable: there is no archive, or its database is away.
    """
    if any(at is not None and at.tzinfo is None for at in (wanted.since, wanted.until)):
        raise ValueError("since and until need a zone: datetime(2026, 11, 24, tzinfo=UTC)")
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        raise ValueError("until must be after since")
    if wanted.state is not None and wanted.state not in STATES:
        raise ValueError(f"there is no state {wanted.state}: it is one of {', '.join(STATES)}")
    environment = {**os.environ, **({ARCHIVE_URL: url, f"{ARCHIVE_URL}_FILE": ""} if url else {})}
    with closing(open_archive(environment, keyring)) as opened:
        yield from opened.find(account, wanted)
