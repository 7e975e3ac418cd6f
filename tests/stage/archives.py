"""Archives with rows as the writer makes them, for tests of what reads them."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from faxline.contract.sealing.keyring import Keyring
from faxline_archive.faxes import metadata_rows
from faxline_archive.leaves import canonical_json, leaf_body, leaf_hash, private_part, text_hash
from faxline_archive.privacy import NUMBER, Privacy
from faxline_archive.schema import accounts, entries, fax_metadata, faxes

BEGIN = 1_793_100_000_000
"""Milliseconds since 1970: 2026-10-27T11:20:00Z."""
RECEIPT = '{"data":{"code":0,"faxStatus":"delivered","jobId":12345}}'


class StagedArchive:
    """Adds faxes to an archive's tables.

    Args:
        engine: of an archive with its schema, which may write.
        keyring: seals what names a person; None without keys.
    """

    def __init__(self, engine: Engine, keyring: Keyring | None = None) -> None:
        self.engine = engine
        self.keyring = keyring

    def privacy(self, account: str = "default") -> Privacy:
        return Privacy(self.keyring, account)

    def add(
        self,
        job: str,
        *,
        account: str = "default",
        at: int = 0,
        to: str = "+12025550123",
        metadata: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> None:
        """Add a delivered fax, queued `at` seconds after BEGIN, with its three entries."""
        privacy, queued_at = self.privacy(account), BEGIN + at * 1000
        told = {"to": to, "from": "+12025550199", "metadata": dict(metadata or {})}
        place = {"account": account, "job": job, "reuse": columns.pop("reuse", 0)}
        row = {
            **place,
            "state": "delivered",
            "reason": "delivered",
            "attempt": 1,
            "submissions": 1,
            "deliveries": 0,
            "pages": 3,
            "transferred": 3,
            "queued_at": queued_at,
            "updated_at": queued_at + 9000,
            "job_id": 12345,
            "receipt": text_hash(RECEIPT),
            "last_event": f"{queued_at + 9000}-0",
            "documents": json.dumps([text_hash(job)]),
            "to_index": privacy.index(NUMBER, to),
            "from_index": privacy.index(NUMBER, "+12025550199"),
            "private": privacy.seal(
                canonical_json({**told, "receipts": {text_hash(RECEIPT): RECEIPT}}),
                "fax",
                job,
                str(place["reuse"]),
            ),
            "key_id": privacy.key_id,
            **columns,
        }
        state = row["state"]
        with self.engine.begin() as connection:
            connection.execute(insert(faxes).values(**row))
            for member in metadata_rows({**row, "queued_at": queued_at}, metadata or {}, privacy):
                connection.execute(insert(fax_metadata).values(**member))
            for event, after, private, data in (
                ("fax.queued", 0, told, {"state": "queued", "attempt": 0}),
                ("fax.submitted", 5000, {}, {"state": "submitted", "jobId": 12345}),
                (f"fax.{state}", 9000, {"receipt": RECEIPT}, {
                    "state": state, "jobId": 12345, "reason": row["reason"], "stage": "delivery", "pages": 3,
                    "transferred": 3, "receipt": text_hash(RECEIPT),
                }),
            ):  # fmt: skip
                self._tell(
                    connection, account, job, event=event, at=queued_at + after, told=private, data=data
                )
            mine = (entries.c.account == account) & (entries.c.job == job)
            asked = select(entries.c.entry_id).where(mine).order_by(entries.c.leaf.desc()).limit(1)
            last = connection.scalar(asked)
            same = [faxes.c[name] == value for name, value in place.items()]
            connection.execute(update(faxes).where(*same).values(last_event=last))

    def _tell(
        self,
        connection: Connection,
        account: str,
        job: str,
        *,
        event: str,
        at: int,
        told: Mapping[str, Any],
        data: Mapping[str, Any],
    ) -> None:
        """Add an entry of the stream `events`."""
        privacy = self.privacy(account)
        size = connection.scalar(select(accounts.c.size).where(accounts.c.account == account))
        if size is None:
            connection.execute(insert(accounts).values(account=account, size=0, expired=0))
        leaf = size or 0
        entry = f"{at}-{leaf}"
        private = private_part(told)
        fields = {"event": event, "job": job, "at": str(at), "data": canonical_json(data)}
        body = leaf_body(account, "events", entry, fields, private)
        row = {
            "account": account,
            "leaf": leaf,
            "stream": "events",
            "entry_id": entry,
            "at": at,
            "kind": event,
            "job": job,
            "leaf_hash": leaf_hash(body),
            "body": body,
            "key_id": privacy.key_id,
            "private": privacy.seal(private, "entry", "events", entry),
        }
        connection.execute(insert(entries).values(**row))
        connection.execute(update(accounts).where(accounts.c.account == account).values(size=leaf + 1))
