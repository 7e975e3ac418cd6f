"""Seals what an older key sealed with the current one, and makes it findable by the current HMAC."""

from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, delete, insert, or_, select, update

from faxline_archive.faxes import index_again, keep, kept, metadata_rows
from faxline_archive.privacy import Privacy
from faxline_archive.schema import accounts, entries, fax_metadata, faxes
from faxline_archive.sums import SumChanges
from faxline_archive.terms import lasting_terms, with_terms

PIECE = 500
"""The most rows of a table that are sealed again in one transaction."""


_BEGIN = (-1, ("", -1))
"""The leaf, and the id and reuse of the fax, behind which a rotation begins."""


class Rotation:
    """The rotation of one account, in pieces. It begins again if the process ends in between.

    Args:
        engine: of `open_database` with `writes`.
        account: the account.
        privacy: opens with the old keys and seals with the current one.

    Example:
        >>> rotation = Rotation(engine, "default", privacy)
        >>> while rotation.step():
        ...     pass
    """

    def __init__(self, engine: Engine, account: str, privacy: Privacy) -> None:
        self._engine = engine
        self._account = account
        self._privacy = privacy
        self._leaf, self._job = _BEGIN

    def needed(self) -> bool:
        """Whether another key than the current one may seal something of the account.

        Raises:
            sqlalchemy.exc.DBAPIError: the database is away or refuses.
        """
        with self._engine.connect() as connection:
            asked = select(accounts.c.sealed_by).where(accounts.c.account == self._account)
            found = connection.execute(asked).one_or_none()
        return (
            found is not None and self._privacy.key_id is not None and found.sealed_by != self._privacy.key_id
        )

    def step(self) -> bool:
        """Seal a piece again. Returns whether there is more.

        Raises:
            KeyMissing: a value is sealed with a key that is not on the keyring.
            SealBroken: a value was changed.
            sqlalchemy.exc.DBAPIError: the database is away or refuses.
        """
        with self._engine.begin() as connection:
            mine = accounts.c.account == self._account
            connection.execute(select(accounts.c.size).where(mine).with_for_update())
            if self._entries(connection) or self._faxes(connection):
                return True
            if self._is_left(connection):  # an archive with another key wrote meanwhile
                self._leaf, self._job = _BEGIN
                return True
            connection.execute(update(accounts).where(mine).values(sealed_by=self._privacy.key_id))
            return False

    def _is_left(self, connection: Connection) -> bool:
        """Whether another key seals anything. Nobody writes meanwhile: the account's row is locked."""
        current = self._privacy.key_id
        for table in (entries, faxes):
            other = table.c.private.is_not(None) & table.c.key_id.is_distinct_from(current)
            asked = select(table.c.account).where(table.c.account == self._account, other).limit(1)
            if connection.execute(asked).first() is not None:
                return True
        return False

    def _entries(self, connection: Connection) -> bool:
        rows = connection.execute(
            select(entries.c.leaf, entries.c.stream, entries.c.entry_id, entries.c.private, entries.c.key_id)
            .where(entries.c.account == self._account, entries.c.leaf > self._leaf)
            .order_by(entries.c.leaf)
            .limit(PIECE)
        ).all()
        current = self._privacy.key_id
        changed: list[dict[str, Any]] = []
        for row in rows:
            if row.private is not None and row.key_id != current:
                place = ("entry", row.stream, row.entry_id)
                text = self._privacy.open(row.private, row.key_id, *place)
                changed.append({"number": row.leaf, "sealed": self._privacy.seal(text, *place)})
        if changed:
            where = and_(entries.c.account == self._account, entries.c.leaf == bindparam("number"))
            connection.execute(
                update(entries).where(where).values(private=bindparam("sealed"), key_id=current), changed
            )
        self._leaf = rows[-1].leaf if rows else self._leaf
        return bool(rows)

    def _faxes(self, connection: Connection) -> bool:
        job, reuse = self._job
        rows = (
            connection.execute(
                select(faxes)
                .where(
                    faxes.c.account == self._account,
                    or_(faxes.c.job > job, and_(faxes.c.job == job, faxes.c.reuse > reuse)),
                )
                .order_by(faxes.c.job, faxes.c.reuse)
                .limit(PIECE)
            )
            .mappings()
            .all()
        )
        sums = SumChanges()
        for found in rows:
            if found["private"] is not None and found["key_id"] != self._privacy.key_id:
                self._reseal(connection, dict(found), sums)
        sums.store(connection, rotating=True)
        if rows:
            self._job = rows[-1]["job"], rows[-1]["reuse"]
        return bool(rows)

    def _reseal(self, connection: Connection, row: dict[str, Any], sums: SumChanges) -> None:
        keep(row, kept(row, self._privacy), self._privacy)
        metadata = index_again(row, self._privacy)

        def mine(table: Any) -> Any:
            return and_(*(table.c[name] == row[name] for name in ("account", "job", "reuse")))

        again = metadata_rows(row, metadata, self._privacy)
        changed = {**row, "terms": lasting_terms(row, again)}
        changed = with_terms(changed, has_terms=connection.dialect.name == "postgresql")
        columns = {name: changed[name] for name in ("private", "key_id", "to_index", "from_index", "terms")}
        connection.execute(update(faxes).where(mine(faxes)).values(**columns))
        old = connection.execute(delete(fax_metadata).where(mine(fax_metadata)).returning(fax_metadata))
        sums.remove(row, [dict(found) for found in old.mappings()])
        sums.add(row, again)
        if again:
            connection.execute(insert(fax_metadata), again)
