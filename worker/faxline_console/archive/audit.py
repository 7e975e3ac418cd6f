"""What the archive has of the audit about one id."""

import json

from sqlalchemy import and_, select, text

from faxline.operating.audit import AuditEntry
from faxline_archive.schema import AUDIT, entries
from faxline_console.archive.ended import Ended, order_of, told


def audit_of(ended: Ended, account: str, job: str) -> list[AuditEntry]:
    """The calls and orders about every fax that had an id, and the orders to resend it, the oldest first.

    Raises:
        ArchiveUnavailable: the database is away or refuses.
    """
    own = (entries.c.stream == AUDIT) & (entries.c.job == job) & entries.c.body.is_not(None)
    # A resend stands under the id of the new fax. The words are the index's own, for SQLite to see it.
    about = entries.c.body.contains(f'"about":"{job}"', autoescape=True)
    copies = and_(text("entries.kind = 'resend'"), about)
    found: dict[int, AuditEntry] = {}
    with told(), ended.engine.connect() as connection:
        for those in (own, copies):
            query = select(entries).where(entries.c.account == account, those)
            for row in connection.execute(query).mappings():
                found[row["leaf"]] = order_of(row, json.loads(row["body"])["fields"])
    return [found[leaf] for leaf in sorted(found) if job in {found[leaf].job, found[leaf].about}]
