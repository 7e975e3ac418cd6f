"""The commands that ask the archive: find, usage, report, proof, verify."""

import asyncio
import csv
import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from sqlalchemy.exc import DBAPIError

from faxline import AsyncFaxLine, FaxLine
from faxline.cli.running import run
from faxline.contract.errors import ArchiveUnavailable
from faxline.contract.sealing.keyring import Keyring, new_key
from faxline.contract.spreadsheets import plain_cell
from faxline.reading import archive as reaching
from faxline_archive import proof_zip
from faxline_archive.database import in_words, open_database
from faxline_archive.reasons import REASONS
from faxline_archive.signing_key import SigningKey
from faxline_worker.state import scripts
from tests.archives import new_archive
from tests.stage.archives import BEGIN, StagedArchive

NOWHERE = "redis://127.0.0.1:1/0"
"""No Redis is needed."""


@pytest.fixture
def staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StagedArchive]:
    keys = new_key("2027")
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    monkeypatch.setenv("FAXLINE_ARCHIVE__URL", url)
    monkeypatch.setenv("FAXLINE_SEALING_KEYS", keys)
    monkeypatch.setenv("FAXLINE_REDIS_URL", NOWHERE)
    monkeypatch.chdir(tmp_path)
    engine = new_archive(url)
    made = StagedArchive(engine, Keyring.read(keys))
    made.add("a", at=0, metadata={"department": "billing"}, group="june")
    made.add("b", at=3600, to="+12025550124", state="failed", reason="busy", metadata={"department": "=1+1"})
    yield made
    engine.dispose()


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make Europe/Berlin this machine's zone."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], ["b", "a"]),
        (["--to", "+1 202 555 0123"], ["a"]),
        (["--from", "+12025550199", "--state", "failed"], ["b"]),
        (["--reason", "busy"], ["b"]),
        (["--group", "june"], ["a"]),
        (["--meta", "department=billing"], ["a"]),
        (["--since", "2026-10-27T12:00:00Z"], ["b"]),
        (["--until", "2026-10-27", "--zone", "UTC"], []),
        (["--since", "2026-10-27", "--until", "2026-10-28", "--zone", "Asia/Tokyo"], ["b", "a"]),
        (["--limit", "1"], ["b"]),
    ],
)
def test_find_finds_by_each_option(
    staged: StagedArchive, capsys: pytest.CaptureFixture[str], options: list[str], found: list[str]
) -> None:
    assert staged
    assert run(["find", "--json", *options]) == 0
    assert [row["id"] for row in lines(capsys)] == found


def test_find_shows_times_with_their_zone_and_no_whole_number(
    staged: StagedArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    assert staged
    assert run(["find", "--zone", "Europe/Berlin", "--to", "+12025550123"]) == 0
    shown = capsys.readouterr().out
    assert "2026-10-27 12:20:00 +0100" in shown
    assert "…0123" in shown
    assert "2025550123" not in shown


@pytest.mark.usefixtures("berlin")
def test_the_hour_that_autumn_repeats_is_told_apart_in_this_machines_zone(
    staged: StagedArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    first = int((datetime(2026, 10, 25, 0, 30, tzinfo=UTC)).timestamp()) - BEGIN // 1000
    staged.add("summer", at=first, group="autumn")
    staged.add("winter", at=first + 3600, group="autumn")
    assert run(["find", "--group", "autumn", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["queued"] for row in rows] == ["2026-10-25 02:30:00 +0100", "2026-10-25 02:30:00 +0200"]


def test_half_a_character_is_in_no_fax(staged: StagedArchive, capsys: pytest.CaptureFixture[str]) -> None:
    assert staged
    half = "\udcff"
    for words in (
        ["find", "--meta", f"{half}={half}"],
        ["find", "--account", half],
        ["usage", "--by", f"metadata.{half}"],
        ["usage", "--account", half],
    ):
        assert (run(words), capsys.readouterr().err) == (0, "")
    for command in ("report", "proof"):
        for more in ([half], ["a", "--account", half]):
            assert run([command, *more, "-o", "x"]) == 4


def test_find_refuses_a_reason_that_no_fax_can_have_and_names_those_that_are_like_it(
    staged: StagedArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    staged.add("old", state="failed", reason="of_an_older_version")
    assert run(["find", "--reason", "bussy"]) == 2
    assert "There is no reason bussy. Did you mean busy? docs/causes.md" in capsys.readouterr().err
    assert run(["find", "--reason", "\udcff"]) == 2
    for found, *words in (
        ("old", "of_an_older_version"),
        ("no such fax", "of_an_older_version", "--group", "june"),
        ("no such fax", "busy", "--group", "june"),
        *(("no such fax", reason) for reason in ("expired", "no_receipt", "backlog_full", "key_missing")),
    ):
        assert run(["find", "--reason", *words]) == 0
        assert found in capsys.readouterr().out


def test_every_reason_that_a_script_gives_a_fax_is_one_that_find_knows() -> None:
    lua = Path(scripts.__file__).with_name("lua")
    texts = [re.sub(r"answer_cancel\(.*", "", path.read_text()) for path in lua.rglob("*.lua")]
    found = {reason for text in texts for reason in re.findall(r"reason = '([a-z_]+)'", text)}
    assert {"expired", "no_receipt", "unknown_job"} <= found <= REASONS


def test_find_says_when_there_is_more_and_when_there_is_nothing(
    staged: StagedArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    assert staged
    run(["find", "--limit", "1"])
    assert "there are more" in capsys.readouterr().err
    run(["find", "--group", "july"])
    assert capsys.readouterr().out == "the archive of account default has no such fax\n"


def test_csv_has_no_cell_that_a_spreadsheet_computes(
    staged: StagedArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    staged.add("c", at=7200, group="=HYPERLINK(1)")
    run(["find", "--csv", "--zone", "UTC"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[0]["group"] == "'=HYPERLINK(1)"
    run(["usage", "--by", "metadata.department", "--csv"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["metadata.department"] for row in rows] == ["(none)", "'=1+1", "billing"]
    assert plain_cell("Byrne;=HYPERLINK(1)") == "Byrne;'=HYPERLINK(1)"
    assert plain_cell("\uff1d1") == "'\uff1d1"
    assert [plain_cell(text) for text in ("+1", "-1", "@x", "\tx", " =1", "a-b", "")] == [
        "'+1", "'-1", "'@x", "'\tx", "' =1", "a-b", "",
    ]  # fmt: skip


def test_usage_counts_and_adds_up(staged: StagedArchive, capsys: pytest.CaptureFixture[str]) -> None:
    staged.add("z", account="acme")
    run(["usage", "--by", "month", "--json", "--zone", "UTC"])
    assert lines(capsys) == [{"key": "2026-10", "faxes": 3, "delivered": 2, "failed": 1, "pages": 9}]
    run(["--account", "acme", "usage", "--by", "account", "--json"])
    assert lines(capsys) == [{"key": "acme", "faxes": 1, "delivered": 1, "failed": 0, "pages": 3}]
    run(["usage", "--by", "account"])
    assert capsys.readouterr().out.splitlines()[-1].split() == ["total", "3", "2", "1", "9"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["find", "--since", "2026-10-27T12:00:00"], "without its offset from UTC"),
        (["find", "--since", "2026-11-31"], "--since 2026-11-31: there is no such day; a day is YYYY-MM-DD"),
        (["find", "--since", "0001-01-01"], "there is no such day"),
        (["find", "--since", "yesterday"], "give a day (2026-11-24), a time with its offset"),
        (["find", "--since", "2026-11-02", "--until", "2026-11-01"], "--until 2026-11-01 is not after"),
        (["usage", "--since", "2026-11-01", "--until", "2026-11-01"], "nothing lies between them"),
        (["find", "--state", "lost"], "--state is queued, submitted, in_doubt, delivered, failed, canceled"),
        (["find", "--zone", "Mars/Phobos"], "no time zone Mars/Phobos"),
        (["find", "--meta", "department"], "KEY=VALUE"),
        (["find", "--to", "12"], "--to"),
        (["usage", "--by", "week"], "account, day, month"),
        (["report", "a", "-o", "/nowhere/at/all.pdf"], "cannot be written"),
        (["verify", "missing.zip", "--key", "archive.pem.pub"], "cannot be read"),
    ],
)
def test_what_was_typed_wrongly_is_said_in_one_line(
    staged: StagedArchive,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
    berlin: None,  # noqa: ARG001 - in this zone the year 1 begins before all years
) -> None:
    assert staged
    assert run(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_report_is_written_for_its_owner_alone(staged: StagedArchive, tmp_path: Path) -> None:
    assert staged
    assert run(["report", "b", "-o", "b.pdf", "--paper", "Letter", "--zone", "Europe/Berlin"]) == 0
    page = pypdfium2.PdfDocument(tmp_path / "b.pdf")[0]
    text = page.get_textpage().get_text_bounded()
    assert "+12025550124" in text
    assert "2026-10-27 13:20:00 CET (UTC+01:00)" in text
    assert (tmp_path / "b.pdf").stat().st_mode & 0o077 == 0


def test_a_fax_that_the_archive_does_not_know_has_no_report(
    staged: StagedArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    assert staged
    assert run(["report", "nobody", "-o", "x.pdf"]) == 4
    assert "has no fax nobody" in capsys.readouterr().err


def test_a_proof_is_verified_with_the_public_key_alone(
    staged: StagedArchive, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert staged
    assert run(["proof", "b", "-o", "b.zip"]) == 0
    for name in ("FAXLINE_ARCHIVE__URL", "FAXLINE_SEALING_KEYS"):
        monkeypatch.delenv(name)
    (tmp_path / "archive.db").unlink()
    capsys.readouterr()
    assert run(["verify", "b.zip", "--key", "archive.pem.pub"]) == 0
    shown = capsys.readouterr().out
    assert "The proof holds: fax b of account default" in shown
    assert "failed (busy), 3 of 3 pages" in shown
    assert run(["verify", "b.zip", "--key", "archive.pem.pub", "--json"]) == 0
    assert lines(capsys)[0]["good"] is True
    with zipfile.ZipFile("b.zip") as whole, zipfile.ZipFile("changed.zip", "w") as changed:
        for name in whole.namelist():
            changed.writestr(name, whole.read(name).replace(b"failed", b"passed"))
    assert run(["verify", "changed.zip", "--key", "archive.pem.pub"]) == 1
    assert "does NOT hold" in capsys.readouterr().out


def test_without_the_extra_each_command_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "GROUP", "faxline.nothing")
    for words in (["find"], ["usage"], ["report", "a", "-o", "a.pdf"], ["proof", "a", "-o", "a.zip"],
                  ["verify", "a.zip", "--key", "a.pub"]):  # fmt: skip
        assert run(words) == 2
        assert "pip install '.[archive]'" in capsys.readouterr().err


def test_the_library_pages_through_and_its_asyncio_twin_as_well(staged: StagedArchive) -> None:
    for number in range(250):
        staged.add(f"many-{number}", at=number, group="many")
    with FaxLine(NOWHERE, keys=staged.keyring) as line:
        faxes = list(line.find(group="many"))
        assert [fax.id for fax in faxes] == [f"many-{number}" for number in reversed(range(250))]
        assert faxes[0].to == "…0123"

    async def gather() -> list[str]:
        async with AsyncFaxLine(NOWHERE, keys=staged.keyring) as line:
            return [fax.id async for fax in line.find(group="many", since=datetime(2026, 1, 1, tzinfo=UTC))]

    assert asyncio.run(gather()) == [fax.id for fax in faxes]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"since": datetime(2026, 1, 1)}, "need a zone"),  # noqa: DTZ001 - that is the point
        (dict.fromkeys(("since", "until"), datetime(2026, 1, 1, tzinfo=UTC)), "until must be after since"),
        ({"state": "lost"}, "no state lost: it is one of queued, submitted, in_doubt"),
    ],
)
def test_what_no_fax_can_match_is_an_error_of_the_library(
    staged: StagedArchive, wanted: dict[str, Any], said: str
) -> None:
    assert staged
    with FaxLine(NOWHERE) as line, pytest.raises(ValueError, match=said):
        next(line.find(**wanted))


def test_an_archive_that_is_not_there_is_said(tmp_path: Path) -> None:
    with FaxLine(NOWHERE) as line, pytest.raises(ArchiveUnavailable, match="there is no archive"):
        next(line.find(archive=f"sqlite:///{tmp_path / 'none.db'}"))
    url = "postgresql+psycopg://nobody:secret-word@127.0.0.1:1/nothing"
    with FaxLine(NOWHERE) as line, pytest.raises(ArchiveUnavailable) as refused:
        next(line.find(archive=url))
    said = "the archive's database nothing at 127.0.0.1:1 is away or refuses: Connection refused"
    assert str(refused.value) == said


def test_what_a_statement_says_of_stored_values_is_not_told(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'archive.db'}")
    told = in_words(DBAPIError("SELECT", None, ValueError("invalid: +12025550123")), engine)
    assert told == f"the archive's database {tmp_path}/archive.db is away or refuses: ValueError"


def test_a_proof_with_another_key_than_the_archives_is_refused(
    staged: StagedArchive, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert staged
    assert run(["proof", "a", "-o", "a.zip"]) == 0
    SigningKey.load_or_make(tmp_path / "other.pem")
    monkeypatch.setenv("FAXLINE_ARCHIVE__SIGNING_KEY_FILE", str(tmp_path / "other.pem"))
    capsys.readouterr()
    assert run(["proof", "a", "-o", "b.zip"]) == 1
    assert "is not the one that signs the archive of account default" in capsys.readouterr().err
    assert not (tmp_path / "b.zip").exists()


def test_a_proof_that_would_be_too_large_is_refused_in_one_line(
    staged: StagedArchive, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert staged
    monkeypatch.setattr(proof_zip, "LARGEST_FILE", 1000)
    assert run(["proof", "a", "-o", "a.zip"]) == 1
    assert capsys.readouterr().err.startswith("faxline: the proof would be larger than")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://u:secret@h:abc/d",
        "mysql://u:secret@h/d",
        "postgresql://u:secret@h/d",
        "sqlite+pysqlcipher:///secret",
        "secret",
    ],
)
def test_a_url_of_another_database_is_said_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.setenv("FAXLINE_ARCHIVE__URL", url)
    assert run(["find"]) == 2
    told = capsys.readouterr().err
    assert "FAXLINE_ARCHIVE__URL must be" in told
    assert (len(told.splitlines()), "secret" in told) == (1, False)


def test_a_report_of_an_archive_in_postgresql_needs_no_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAXLINE_ARCHIVE__URL", "postgresql+psycopg://nobody@127.0.0.1:1")
    assert run(["report", "a", "-o", "a.pdf"]) == 2
    assert "is away or refuses" in capsys.readouterr().err
