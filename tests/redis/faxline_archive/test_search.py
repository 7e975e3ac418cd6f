"""Finding and counting faxes in an archive."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, select, update

from faxline.contract.sealing.keyring import Keyring, new_key
from faxline.reading.archived import Usage, Wanted
from faxline_archive import intersection
from faxline_archive.migrations.versions import member_sums as member_sums_migration
from faxline_archive.migrations.versions import terms as migration
from faxline_archive.migrations.versions import usage_sums as sums_migration
from faxline_archive.schema import fax_metadata, faxes, member_sums, usage_sums
from faxline_archive.search import find
from faxline_archive.usage import usage
from tests.archives import check_sums
from tests.stage.archives import BEGIN, StagedArchive, StagedFax

FIRST = datetime.fromtimestamp(BEGIN / 1000, UTC)
ALL = Wanted()


def ids(staged: StagedArchive, wanted: Wanted, page: int = 100, account: str = "default") -> list[str]:
    return [fax.id for fax in find(staged.engine, account, wanted, staged.privacy(account), page=page)]


@pytest.fixture(autouse=True)
def check(staged: StagedArchive) -> Iterator[None]:
    """After each test the kept sums are those of the faxes."""
    yield
    check_sums(staged.engine)


@pytest.fixture
def filled(staged: StagedArchive) -> StagedArchive:
    staged.add("a", at=0, group="june", metadata={"case": "1", "department": "billing"})
    staged.add(
        "b", at=10, to="+12025550124", state="failed", reason="busy", metadata={"department": "billing"}
    )
    staged.add("c", at=20, metadata={"case": "1", "department": "ward 3"})
    staged.add("d", at=30, group="june", state="failed", reason="no_answer")
    staged.add("e", at=30, sender="+12025550177")
    staged.add("other", account="acme", at=5)
    return staged


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ALL, "edcba"),
        (Wanted(to="+12025550123"), "edca"),
        (Wanted(to="+12025550188"), ""),
        (Wanted(sender="+12025550177"), "e"),
        (Wanted(state="failed"), "db"),
        (Wanted(state="failed", reason="busy"), "b"),
        (Wanted(group="june"), "da"),
        (Wanted(group="june", state="delivered"), "a"),
        (Wanted(since=FIRST + timedelta(seconds=10)), "edcb"),
        (Wanted(until=FIRST + timedelta(seconds=10)), "a"),
        (Wanted(since=FIRST + timedelta(seconds=5), until=FIRST + timedelta(seconds=30)), "cb"),
        (Wanted(metadata={"department": "billing"}), "ba"),
        (Wanted(metadata={"department": "billing", "case": "1"}), "a"),
        (Wanted(metadata={"department": "ward 3", "case": "2"}), ""),
        (Wanted(to="+12025550123", metadata={"case": "1"}, since=FIRST + timedelta(seconds=1)), "c"),
    ],
)
@pytest.mark.parametrize("page", [1, 2, 100])
def test_faxes_are_found_by_what_must_hold_whatever_the_page(
    filled: StagedArchive, wanted: Wanted, found: str, page: int
) -> None:
    assert "".join(ids(filled, wanted, page)) == found


def test_another_accounts_faxes_are_not_found(filled: StagedArchive) -> None:
    assert ids(filled, ALL, account="acme") == ["other"]


def test_a_fax_is_told_without_its_whole_numbers(filled: StagedArchive) -> None:
    fax = next(find(filled.engine, "default", Wanted(group="june", state="delivered"), filled.privacy()))
    told = fax.to_dict()
    assert (told["to"], told["from"]) == ("…0123", "…0199")
    assert told["metadata"] == {"case": "1", "department": "billing"}
    assert told["queued_at"] == FIRST.isoformat()
    assert "2025550123" not in repr(fax) + repr(told)


def test_a_fax_is_found_by_a_number_that_an_older_key_indexed(staged: StagedArchive) -> None:
    staged.add("old", at=0)
    older = staged.keyring
    both = {key_id: older.key(key_id) for key_id in older.ids} if older else {}
    new = Keyring.read(new_key("2028"))
    staged.keyring = Keyring({"2028": new.key("2028"), **both})
    staged.add("new", at=1)
    assert ids(staged, Wanted(to="+12025550123"), page=1) == ["new", "old"]


def test_without_the_key_a_fax_is_found_by_the_rest_and_its_numbers_stay_unknown(
    staged: StagedArchive,
) -> None:
    staged.add("a")
    if staged.keyring is None:
        pytest.skip("nothing is sealed")
    staged.keyring = None
    fax = next(find(staged.engine, "default", Wanted(state="delivered"), staged.privacy()))
    assert (fax.id, fax.to, fax.sender, dict(fax.metadata)) == ("a", None, None, {})


def count(
    staged: StagedArchive, by: str, wanted: Wanted = ALL, zone: str = "UTC", **more: str
) -> list[Usage]:
    accounts = [more["account"]] if "account" in more else None
    return usage(staged.engine, by, wanted, staged.privacy, accounts=accounts, zone=ZoneInfo(zone))


def test_faxes_are_counted_by_account_and_by_a_member_of_the_metadata(filled: StagedArchive) -> None:
    assert count(filled, "account") == [Usage("acme", 1, 1, 0, 3), Usage("default", 5, 3, 2, 15)]
    assert count(filled, "metadata.department", account="default") == [
        Usage("", 2, 1, 1, 6),
        Usage("billing", 2, 1, 1, 6),
        Usage("ward 3", 1, 1, 0, 3),
    ]


def test_days_and_months_are_those_of_the_zone(staged: StagedArchive) -> None:
    last = int((datetime(2026, 10, 31, 23, 30, tzinfo=UTC) - FIRST).total_seconds())
    staged.add("a", at=last)
    staged.add("b", at=last + 3600)
    assert [row.key for row in count(staged, "month")] == ["2026-10", "2026-11"]
    assert count(staged, "month", zone="Europe/Berlin") == [Usage("2026-11", 2, 2, 0, 6)]
    assert [row.key for row in count(staged, "day", zone="Asia/Kolkata")] == ["2026-11-01"]
    assert [row.key for row in count(staged, "day", zone="America/New_York")] == ["2026-10-31"]
    since = Wanted(since=datetime(2026, 11, 1, tzinfo=UTC))
    assert count(staged, "day", since) == [Usage("2026-11-01", 1, 1, 0, 3)]


def test_the_ends_of_a_span_are_exact_and_need_not_be_those_of_a_quarter_of_an_hour(
    staged: StagedArchive,
) -> None:
    """The first fax is queued at 11:20, so the quarters begin 600 s later and each 900 s after that."""
    times = range(0, 3000, 300)
    staged.add_all(StagedFax(f"fax-{at}", at=at) for at in times)
    ends = [None, *(FIRST + timedelta(seconds=at) for at in (-1, 1, 300, 301, 600, 1499, 1500, 2400, 2401))]
    for since, until in itertools.product(ends, ends):
        inside = [
            at
            for at in times
            if (since is None or FIRST + timedelta(seconds=at) >= since)
            and (until is None or FIRST + timedelta(seconds=at) < until)
        ]
        expected = [Usage("default", len(inside), len(inside), 0, 3 * len(inside))] if inside else []
        assert count(staged, "account", Wanted(since=since, until=until)) == expected, (since, until)


def test_what_is_counted_by_anything_is_that_of_the_accounts_and_of_the_members_of_the_metadata(
    filled: StagedArchive,
) -> None:
    filled.add("f", account="acme", at=40, state="failed", reason="busy", metadata={"department": "billing"})
    filled.add("g", account="third", at=40, metadata={"department": "billing"})

    def counted(by: str, *accounts: str, **metadata: str) -> list[Usage]:
        wanted = Wanted(metadata=metadata)
        return usage(filled.engine, by, wanted, filled.privacy, accounts=accounts, zone=UTC)

    both = ("acme", "default")
    assert counted("day", *both) == [Usage("2026-10-27", 7, 4, 3, 21)]
    assert counted("day", *both, department="billing") == [Usage("2026-10-27", 3, 1, 2, 9)]
    assert counted("month", *both, department="billing", case="1") == [Usage("2026-10", 1, 1, 0, 3)]
    assert counted("account", *both, department="billing") == [
        Usage("acme", 1, 0, 1, 3),
        Usage("default", 2, 1, 1, 6),
    ]
    assert counted("reason", *both) == [Usage("busy", 2, 0, 2, 6), Usage("no_answer", 1, 0, 1, 3)]
    assert counted("reason", *both, department="billing") == [Usage("busy", 2, 0, 2, 6)]
    assert counted("metadata.department", *both) == [
        Usage("", 3, 2, 1, 9),
        Usage("billing", 3, 1, 2, 9),
        Usage("ward 3", 1, 1, 0, 3),
    ]
    assert counted("metadata.case", *both, department="billing") == [
        Usage("", 2, 0, 2, 6),
        Usage("1", 1, 1, 0, 3),
    ]
    assert counted("metadata.case", "third") == [Usage("", 1, 1, 0, 3)]
    assert count(filled, "day") == [Usage("2026-10-27", 8, 5, 3, 24)]
    assert counted("day") == []
    assert counted("account", "nobody") == counted("metadata.case", "nobody") == []


def test_the_migration_sums_up_the_faxes_that_are_there(filled: StagedArchive) -> None:
    filled.add("x", state="rejected", reason="bad_number")
    with filled.engine.begin() as connection:
        connection.execute(delete(usage_sums))
        connection.execute(delete(member_sums))
        connection.execute(update(fax_metadata).values(transferred=None))
        for statement in (sums_migration._SUM, sums_migration._FILL):
            connection.exec_driver_sql(statement)
        member_sums_migration.fill(connection)
    check_sums(filled.engine)


def test_a_rejected_entry_is_no_fax(staged: StagedArchive) -> None:
    staged.add("a", state="rejected", reason="bad_number")
    assert count(staged, "account") == []


def test_an_id_that_was_used_again_counts_for_what_each_fax_with_it_told(staged: StagedArchive) -> None:
    staged.add("a", at=0, metadata={"department": "billing"})
    staged.add("a", at=9, told={"transferred": 1}, metadata={"department": "radiology"})
    assert count(staged, "metadata.department") == [
        Usage("billing", 1, 1, 0, 3),
        Usage("radiology", 1, 1, 0, 1),
    ]


def test_a_key_that_is_stored_cut_is_found_and_counted_whole(staged: StagedArchive) -> None:
    key = "k" * 200
    staged.add("a", metadata={key: "1"})
    assert ids(staged, Wanted(metadata={key: "1"})) == ["a"]
    assert count(staged, f"metadata.{key}") == [Usage("1", 1, 1, 0, 3)]
    assert count(staged, "account", Wanted(metadata={key: "1"}), account="default")[0].faxes == 1


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(state="\udcff"),
        Wanted(group="a\0"),
        Wanted(reason="\udcff"),
        Wanted(metadata={"\udcff": "\udcff"}),
    ],
)
def test_a_text_that_no_database_takes_finds_nothing(filled: StagedArchive, wanted: Wanted) -> None:
    assert ids(filled, wanted) == []


@pytest.mark.slow
def test_a_search_that_is_too_long_for_a_statement_is_refused_in_words(staged: StagedArchive) -> None:
    if staged.engine.dialect.name == "postgresql":
        pytest.skip("PostgreSQL intersects them")
    staged.keyring = Keyring({"a": bytes(32), "b": bytes(range(32))})
    assert ids(staged, Wanted(metadata={f"k{number}": "x" for number in range(5)})) == []
    with pytest.raises(ValueError, match="leave some out"):
        ids(staged, Wanted(metadata={f"k{number}": "x" for number in range(6)}))


@pytest.mark.parametrize("by", ["", "week", "metadata.", "number"])
def test_what_cannot_be_counted_by_is_said(staged: StagedArchive, by: str) -> None:
    with pytest.raises(ValueError, match=r"account, day, month, reason or metadata\.KEY"):
        count(staged, by)


def _things(fax: StagedFax) -> dict[str, str]:
    return {
        "to": fax.to,
        "sender": fax.sender,
        "state": fax.state,
        "reason": fax.reason,
        **({"group": fax.group} if fax.group else {}),
        **{f"metadata {key}": value for key, value in fax.metadata.items()},
    }


@pytest.mark.slow
@pytest.mark.parametrize("most", [0, 5000])
def test_faxes_are_found_by_all_pairs_and_some_triples_of_things_in_the_order_of_their_times(
    staged: StagedArchive, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Also where PostgreSQL has too many of them to sort (`most`), and where the first few fill the page."""
    monkeypatch.setattr(intersection, "MOST", most)
    monkeypatch.setattr(intersection, "FIRST", 4)
    random = Random(20)
    made = [
        StagedFax(
            f"fax-{number}",
            at=number // 2,
            to=random.choice(["+12025550123", "+12025550124"]),
            sender=random.choice(["+12025550198", "+12025550199"]),
            group=random.choice([None, "june", "july"]),
            state=random.choice(["delivered", "failed"]),
            reason=random.choice(["delivered", "busy"]),
            metadata={key: random.choice("12") for key in ("case", "ward") if random.random() < 0.8},
        )
        for number in range(60)
    ]
    staged.add_all(made)
    staged.add_all(replace(fax, account="acme") for fax in made[:9])
    newest = sorted(made, key=lambda fax: (fax.at, fax.job), reverse=True)
    all_things = sorted({thing for fax in made for thing in _things(fax).items()})
    for count, every in ((2, 1), (3, 11)):
        for things in itertools.islice(itertools.combinations(all_things, count), 0, None, every):
            if len(dict(things)) < count:
                continue
            members = {key.removeprefix("metadata "): value for key, value in things if " " in key}
            columns: dict[str, Any] = {key: value for key, value in things if " " not in key}
            found = [fax.job for fax in newest if _things(fax).items() >= dict(things).items()]
            assert ids(staged, Wanted(**columns, metadata=members), page=9) == found, things


def test_the_terms_follow_the_state_of_a_fax_and_the_migration_makes_the_same(staged: StagedArchive) -> None:
    """Each event changes those of the columns that it changes."""
    if staged.engine.dialect.name != "postgresql":
        pytest.skip("only PostgreSQL has terms")
    fax = StagedFax("a", group="june", metadata={"case": "ü 1", "ward": "3"})
    staged.add_all([fax, StagedFax("b", metadata={})])
    with staged.engine.begin() as connection:
        asked = select(faxes.c.job, faxes.c.terms).order_by(faxes.c.job)
        kept = {row.job: sorted(row.terms) for row in connection.execute(asked)}
        connection.execute(update(faxes).values(terms=None))
        for statement in (migration._TERM, migration._FILL):
            connection.exec_driver_sql(statement)
        assert {row.job: sorted(row.terms) for row in connection.execute(asked)} == kept
    assert (len(kept["a"]), len(kept["b"])) == (7, 4)
