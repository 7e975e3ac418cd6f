"""The report and the proof of a fax, from the archive's tables; and what a changed table gives away."""

from collections.abc import Callable
from datetime import UTC

import pypdfium2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, delete, select, update

from faxline.contract.errors import JobNotFound
from faxline.reading.archived import Verdict
from faxline_archive.evidence import proof_of, report_of
from faxline_archive.forgetting import expire
from faxline_archive.leaves import leaf_hash
from faxline_archive.proof import write_proof
from faxline_archive.proof_zip import unpack
from faxline_archive.schema import accounts, checkpoints, entries, faxes, tree_nodes
from faxline_archive.search import moment_of
from faxline_archive.signing_key import SigningKey, SigningKeyInvalid
from faxline_archive.tree_heads import ArchiveAltered, sign_due, sign_head
from faxline_archive.verify import verify
from tests.stage.archives import BEGIN, RECEIPT, StagedArchive, StagedFax

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
NOW = BEGIN + 10_000_000


def prove(staged: StagedArchive, job: str, at: int = NOW) -> Verdict:
    evidence = proof_of(staged.engine, "default", job, staged.privacy(), KEY, zone=UTC, now_ms=at)
    now = moment_of(at)
    assert now is not None
    return verify(unpack(write_proof(evidence, KEY, now)), KEY.public)


def report(staged: StagedArchive, job: str) -> bytes:
    return report_of(staged.engine, "default", job, staged.privacy(), zone=UTC, paper="A4", key=None)


def many(staged: StagedArchive, count: int = 30) -> None:
    staged.add_all(StagedFax(f"fax-{number}", at=number) for number in range(count))


def test_a_proof_from_an_archive_holds_and_says_when_it_was_recorded(staged: StagedArchive) -> None:
    many(staged)
    assert len(list(sign_due(staged.engine, KEY, 0, NOW))) == 1
    staged.add("later", at=9999)
    found = prove(staged, "fax-7", NOW + 60_000)
    assert found.fails == []
    assert (found.job, found.state, found.recipient, found.size) == (
        "fax-7",
        "delivered",
        "+12025550123",
        93,
    )
    assert found.recorded_by == moment_of(NOW)
    assert found.signed_at == moment_of(NOW + 60_000)
    assert "1 of 1 receipts of iFax are here." in found.holds
    assert prove(staged, "later", NOW + 60_000).good


def test_a_checkpoint_is_due_when_an_account_has_changed_and_the_last_one_is_old(
    staged: StagedArchive,
) -> None:
    assert list(sign_due(staged.engine, KEY, 300_000, NOW)) == []
    staged.add("a")
    staged.add("b", account="acme")
    assert [name for name, _ in sign_due(staged.engine, KEY, 300_000, NOW)] == ["acme", "default"]
    assert [name for name, _ in sign_due(staged.engine, KEY, 300_000, NOW + 900_000)] == []
    staged.add("c")
    assert [name for name, _ in sign_due(staged.engine, KEY, 300_000, NOW + 299_999)] == []
    assert [name for name, _ in sign_due(staged.engine, KEY, 300_000, NOW + 300_000)] == ["default"]
    with staged.engine.connect() as connection:
        assert len(connection.execute(select(checkpoints)).all()) == 3


def test_a_new_key_proves_once_the_archive_has_signed_with_it(staged: StagedArchive) -> None:
    staged.add("a")
    former = SigningKey(Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
    sign_head(staged.engine, "default", former, NOW)
    with pytest.raises(SigningKeyInvalid, match="not the one that signs the archive of account default"):
        prove(staged, "a")
    assert [name for name, _ in sign_due(staged.engine, KEY, 300_000, NOW + 1)] == ["default"]
    assert prove(staged, "a").good


def test_a_report_tells_the_deliveries(staged: StagedArchive) -> None:
    staged.add("a", state="failed", reason="no_answer")
    text = pypdfium2.PdfDocument(report(staged, "a"))[0].get_textpage().get_text_bounded()
    assert "The fax was not delivered (no answer)." in text
    assert "+12025550123" in text


def test_of_an_id_that_was_used_again_the_last_fax_is_proved(staged: StagedArchive) -> None:
    staged.add("a", at=0)
    staged.add("a", at=5000, state="failed", reason="busy")
    assert prove(staged, "a").state == "failed"


def test_a_fax_that_is_not_there_or_was_erased_has_no_proof_and_the_others_still_do(
    staged: StagedArchive,
) -> None:
    staged.add("a")
    staged.add("b")
    with staged.engine.begin() as connection:
        gone = update(entries).where(entries.c.job == "a")
        connection.execute(gone.values(body=None, private=None, job=None, kind=None))
    for job in ("a", "missing"):
        with pytest.raises(JobNotFound):
            prove(staged, job)
    assert prove(staged, "b").good


# Somebody changes the database after a checkpoint was signed.


def _body_of(connection: Connection, leaf: int) -> str:
    return str(connection.scalar(select(entries.c.body).where(entries.c.leaf == leaf)))


def _set(connection: Connection, place: int, **values: object) -> None:
    connection.execute(update(entries).where(entries.c.leaf == place).values(**values))


def _change(connection: Connection, leaf: int, old: str, new: str, *, rehash: bool) -> None:
    body = _body_of(connection, leaf)
    assert old in body
    changed = body.replace(old, new)
    _set(connection, leaf, body=changed, **({"leaf_hash": leaf_hash(changed)} if rehash else {}))


def _swap(connection: Connection, one: int, two: int) -> None:
    _set(connection, one, leaf=-1)
    _set(connection, two, leaf=one)
    _set(connection, -1, leaf=two)


def _drop(connection: Connection, leaf: int) -> None:
    """Take an entry out and move the later ones down, so that the numbers stay dense."""
    connection.execute(delete(entries).where(entries.c.leaf == leaf))
    for later in connection.scalars(
        select(entries.c.leaf).where(entries.c.leaf > leaf).order_by(entries.c.leaf)
    ).all():
        _set(connection, later, leaf=later - 1)
    connection.execute(update(accounts).values(size=accounts.c.size - 1))


LEAF = 3 * 20 + 2
"""The last entry of fax-20."""
TIME = f'"at":"{BEGIN + 20_000 + 9000}"'
ALTERED: dict[str, Callable[[Connection], None]] = {
    "changed": lambda c: _change(c, LEAF, "delivered", "failed", rehash=False),
    "changed, with its hash": lambda c: _change(c, LEAF, "delivered", "failed", rehash=True),
    "backdated": lambda c: _change(c, LEAF, TIME, f'"at":"{BEGIN}"', rehash=False),
    "backdated, with its hash": lambda c: _change(c, LEAF, TIME, f'"at":"{BEGIN}"', rehash=True),
    "reordered": lambda c: _swap(c, LEAF, LEAF - 1),
    "dropped": lambda c: _drop(c, LEAF),
    "another entry dropped": lambda c: _drop(c, 7),
}
HIDDEN: dict[str, Callable[[Connection], object]] = {
    "its body gone": lambda c: _set(c, LEAF, body=None),
    "erased": lambda c: _set(c, LEAF, body=None, job=None, kind=None, private=None),
    "given to another fax": lambda c: _set(c, LEAF, job="zz"),
    "one before the last given to another": lambda c: _set(c, LEAF - 1, job="zz"),
    "its private part gone": lambda c: _set(c, LEAF, private=None),
    "another private part": lambda c: _set(c, LEAF, private='{"salt":""}', key_id=None),
    **{
        f"the fax's {name}": lambda c, name=name, value=value: c.execute(  # type: ignore[misc]
            update(faxes).where(faxes.c.job == "fax-20").values({name: value})
        )
        for name, value in {
            "state": "failed",
            "stage": "intake",
            "reason": "busy",
            "code": 7,
            "message": "all is well",
            "attempt": 2,
            "submissions": 2,
            "deliveries": 1,
            "job_id": 7,
            "partial": True,
            "charged": True,
            "pages": 99,
            "transferred": 99,
            "documents": f'["{"0" * 64}"]',
            "receipt": "0" * 64,
            "kind": "resend",
            "resend_of": "x",
            "group_name": "june",
            "priority": "high",
            **dict.fromkeys(("queued_at", "send_at", "submitted_at", "call_started_at"), BEGIN),
            **dict.fromkeys(("call_ended_at", "ended_at", "updated_at"), BEGIN),
            "to_index": "+12025550111",
            "from_index": None,
        }.items()
    },
}
TREE: dict[str, Callable[[Connection], object]] = {
    "a node changed": lambda c: c.execute(update(tree_nodes).values(hash=bytes(32))),
    "a node dropped": lambda c: c.execute(delete(tree_nodes)),
    "set back": lambda c: c.execute(update(accounts).values(frontier=None)),
    "no tree": lambda c: c.execute(update(accounts).values(frontier="5 ab")),
    "fewer entries": lambda c: c.execute(update(accounts).values(size=5)),
    "a checkpoint's root": lambda c: c.execute(update(checkpoints).values(root=bytes(32))),
    "a checkpoint's signature": lambda c: c.execute(update(checkpoints).values(signature=bytes(64))),
}


@pytest.mark.parametrize("kind", sorted(ALTERED))
def test_no_proof_is_written_from_a_database_that_was_changed(staged: StagedArchive, kind: str) -> None:
    many(staged)
    sign_head(staged.engine, "default", KEY, NOW)
    staged.add("later", at=9999)
    with staged.engine.begin() as connection:
        ALTERED[kind](connection)
    with pytest.raises(ArchiveAltered):
        prove(staged, "fax-20", NOW + 60_000)


@pytest.mark.parametrize("kind", sorted(HIDDEN))
def test_no_proof_is_written_of_a_fax_that_was_changed_or_lacks_an_entry(
    staged: StagedArchive, kind: str
) -> None:
    many(staged)
    with staged.engine.begin() as connection:
        HIDDEN[kind](connection)
    with pytest.raises(ArchiveAltered):
        prove(staged, "fax-20", NOW + 60_000)
    with pytest.raises(ArchiveAltered):
        report(staged, "fax-20")


def test_every_column_of_a_fax_that_its_entries_tell_is_changed_by_these_tests() -> None:
    changed = {kind.removeprefix("the fax's ") for kind in HIDDEN}
    others = {"account", "job", "reuse", "private", "key_id", "terms", "last_event"}
    assert {column.name for column in faxes.columns} - others == changed & {c.name for c in faxes.columns}


@pytest.mark.parametrize("kind", sorted(TREE))
def test_no_proof_is_written_from_a_tree_that_was_changed(staged: StagedArchive, kind: str) -> None:
    many(staged, 120)  # enough for nodes that are stored
    sign_head(staged.engine, "default", KEY, NOW)
    staged.add("later", at=9999)
    with staged.engine.begin() as connection:
        TREE[kind](connection)
    with pytest.raises(ArchiveAltered):
        prove(staged, "fax-20", NOW + 60_000)


@pytest.mark.parametrize("kind", sorted(ALTERED))
def test_a_tree_that_was_made_anew_is_not_signed_while_a_checkpoint_is_there(
    staged: StagedArchive, kind: str
) -> None:
    many(staged)
    sign_head(staged.engine, "default", KEY, NOW)
    with staged.engine.begin() as connection:
        ALTERED[kind](connection)
        for leaf, body in connection.execute(select(entries.c.leaf, entries.c.body)).all():
            _set(connection, leaf, leaf_hash=leaf_hash(body))
        connection.execute(delete(tree_nodes))
        connection.execute(update(accounts).values(frontier=None))
    with pytest.raises(ArchiveAltered):
        sign_head(staged.engine, "default", KEY, NOW)


@pytest.mark.parametrize("kind", sorted(ALTERED))
def test_a_database_that_was_changed_whole_does_not_fit_the_checkpoint_that_somebody_kept(
    staged: StagedArchive, kind: str
) -> None:
    """Also the hashes of the tree are made anew, as only the holder of the key could."""
    many(staged)
    kept = sign_head(staged.engine, "default", KEY, NOW)
    assert kept is not None
    with staged.engine.begin() as connection:
        ALTERED[kind](connection)
        for leaf, body in connection.execute(select(entries.c.leaf, entries.c.body)).all():
            _set(connection, leaf, leaf_hash=leaf_hash(body))
        connection.execute(delete(tree_nodes))
        connection.execute(delete(checkpoints))
        connection.execute(update(accounts).values(frontier=None))
    again = sign_head(staged.engine, "default", KEY, NOW)
    assert again is not None
    assert again.checkpoint != kept.checkpoint


def test_the_receipt_in_a_proof_is_ifax_own_word(staged: StagedArchive) -> None:
    staged.add("a")
    evidence = proof_of(staged.engine, "default", "a", staged.privacy(), KEY, zone=UTC, now_ms=NOW)
    assert list(evidence.receipts.values()) == [RECEIPT.encode()]


@pytest.mark.parametrize(
    "private",
    [
        '{"to":"+12025550111"}',
        '{"from":"+12025550111"}',
        '{"metadata":{"case":"1"}}',
        '{"receipts":{"00":"{}"}}',
    ],
)
def test_no_proof_is_written_where_what_is_known_of_people_was_changed(
    staged: StagedArchive, private: str
) -> None:
    staged.add("a")
    sealed = staged.privacy().seal(private, "fax", "a", "0")
    with staged.engine.begin() as connection:
        connection.execute(update(faxes).values(private=sealed))
    with pytest.raises(ArchiveAltered, match=r"to|from|metadata|receipts"):
        prove(staged, "a")


def test_a_fax_whose_first_entries_are_past_their_retention_is_still_proved(staged: StagedArchive) -> None:
    staged.add("a")
    expire(staged.engine, "default", BEGIN + 5000)
    assert prove(staged, "a").state == "delivered"
    with staged.engine.begin() as connection:
        connection.execute(update(faxes).values(call_started_at=BEGIN))
    with pytest.raises(ArchiveAltered, match="call_started_at"):
        prove(staged, "a")
