"""`faxline send --csv` and its like: what is pushed, what is said of rows and numbers, on a real server."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.client

from faxline.cli.recipients import read_recipients
from tests.stage.command_line import KEYS, NUMBER, OTHER, PLAIN, THIRD, Cli


def pushed(client: redis.Redis) -> list[dict[str, Any]]:
    entries: Any = client.xrange(KEYS.intake)
    return [json.loads(fields[b"send"]) for _, fields in entries]


def test_each_row_is_a_fax_of_the_group(mail: Cli, redis_client: redis.Redis) -> None:
    done = mail(PLAIN, "--group", "june", "--priority", "bulk", "--subject", "News")
    assert (done.code, done.err) == (0, "")
    assert done.out == "2 faxes are pushed; group june: faxline wait june\n"
    first, second = pushed(redis_client)
    assert (first["id"], first["group"], first["priority"]) == ("june.1", "june", "bulk")
    assert (second["id"], second["fax"]["faxNumber"]) == ("june.2", OTHER)
    assert (first["fax"]["to_name"], first["fax"]["subject"]) == ("Ann", "News")
    assert first["fax"]["faxData"] == second["fax"]["faxData"]


def test_a_row_goes_before_the_options(mail: Cli, redis_client: redis.Redis) -> None:
    Path("other.txt").write_text("Other")
    csv = (
        "faxNumber,id,priority,send_at,expires_at,subject,to_name,from_name,message,file,"
        "metadata.n,metadata.a b\n"
        f"{NUMBER},a-1,urgent,2039-01-01T00:00:00Z,2040-01-01T00:00:00Z,s,t,f,m,other.txt,7,x\n"
        f"{NUMBER},,,,,,,,,letter.txt,,\n"
    )
    options = ("--priority", "bulk", "--subject", "S", "--metadata", '{"n": 1, "k": 2}', "--group", "june")
    assert mail(csv, *options, file=False).code == 0
    first, second = pushed(redis_client)
    fax = first.pop("fax")
    assert first == {
        "id": "a-1",
        "group": "june",
        "group_size": 2,
        "priority": "urgent",
        "expires_at": "2040-01-01T00:00:00Z",
        "metadata": {"n": "7", "k": 2, "a b": "x"},
    }
    assert [file["fileName"] for file in fax.pop("faxData")] == ["other.txt"]
    assert fax == {
        "faxNumber": NUMBER,
        "send_at": "2039-01-01T00:00:00Z",
        "subject": "s",
        "to_name": "t",
        "from_name": "f",
        "message": "m",
    }
    assert (second["id"], second["priority"], second["metadata"]) == ("june.2", "bulk", {"n": 1, "k": 2})
    assert (second["fax"]["subject"], second["fax"]["faxData"][0]["fileName"]) == ("S", "letter.txt")


def test_the_same_file_again_has_the_same_ids(mail: Cli, redis_client: redis.Redis) -> None:
    for _ in range(2):
        assert mail(PLAIN).code == 0
    assert mail(PLAIN + f"{NUMBER},Cy\n").code == 0
    ids = [entry["id"] for entry in pushed(redis_client)]
    assert ids[:2] == ids[2:4]
    assert ids[0].startswith("csv-")
    assert not {*ids[:2]} & {*ids[4:]}


@pytest.mark.parametrize(
    ("csv", "names"),
    [
        (f"to,to_name\n{NUMBER},Ann\n", ["Ann"]),
        (f"\ufeffto;to_name\r\n{NUMBER};Ann, Bob\r\n", ["Ann, Bob"]),
        (f"to\tto_name\n{NUMBER}\tAnn\n", ["Ann"]),
        (f'"to","to_name"\n"{NUMBER}","Ann ""the fax"", MD"\n', ['Ann "the fax", MD']),
        (f'to_name;to\n"two\nlines";{NUMBER}\n\nBob;{NUMBER}\n', ["two\nlines", "Bob"]),
        (f" to , to_name \n {NUMBER} , Ann \n", ["Ann"]),
        (f"to,to_name\n{NUMBER}\n", [None]),
    ],
)
def test_marks_delimiters_and_quotes_are_understood(
    csv: str, names: list[str | None], tmp_path: Path
) -> None:
    (tmp_path / "r.csv").write_bytes(csv.encode())
    rows = read_recipients(tmp_path / "r.csv").rows
    assert [row.fax.get("to_name") for row in rows] == names
    assert {row.fax["to"] for row in rows} == {NUMBER}


@pytest.mark.parametrize(
    ("csv", "says"),
    [
        (f"to,colour\n{NUMBER},red\n", "there is no column 'colour'; known are to, id, priority,"),
        (f"to,metadata.\n{NUMBER},red\n", "there is no column 'metadata.'"),
        (f"to,faxNumber\n{NUMBER},{NUMBER}\n", "the column 'to' is there twice"),
        ("id\na\n", "the column `to` (or faxNumber) is missing"),
        ("to\n", "r.csv has no row below its header line"),
        ("", "the column `to`"),
        (f'to,subject\n{NUMBER},"x\n', "r.csv, line 2: unexpected end of data"),
        ("to,subject\n+1,Gr\xfc\xdfe".encode("latin-1"), "r.csv is not in UTF-8: save it as CSV UTF-8"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_line_and_exit_code_2(
    mail: Cli, redis_client: redis.Redis, csv: str | bytes, says: str
) -> None:
    done = mail(csv)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert says in done.err
    assert redis_client.dbsize() == 0


BAD = f"to,priority,send_at\n{NUMBER},,\n123,,\n{OTHER},high,\n{THIRD},,soon\n"


def test_each_bad_row_is_told_with_its_line_and_nothing_is_pushed(
    mail: Cli, redis_client: redis.Redis
) -> None:
    done = mail(BAD)
    assert (done.code, done.out) == (2, "")
    first, second, third, last = done.err.splitlines()
    assert first.startswith("faxline: line 3: fax.faxNumber: the country code is missing")
    assert second.startswith("faxline: line 4: priority: ")
    assert third.startswith("faxline: line 5: fax.send_at: write an ISO 8601 time")
    assert last.startswith("faxline: 3 of 4 rows break a rule and nothing was pushed")
    assert redis_client.dbsize() == 0


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (",,,", "line 3: 4 values for 3 columns"),
        (",urgent,", "line 3: the number is missing"),
    ],
)
def test_a_row_of_another_shape_is_told_and_can_be_skipped(
    mail: Cli, redis_client: redis.Redis, row: str, says: str
) -> None:
    csv = f"to,priority,send_at\n{NUMBER},,\n{NUMBER if ',,,' in row else ''}{row}\n{OTHER},,\n"
    done = mail(csv)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert redis_client.dbsize() == 0
    assert mail(csv, "--skip-bad", "--group", "june").code == 1
    assert [entry["id"] for entry in pushed(redis_client)] == ["june.1", "june.3"]


def test_bad_rows_can_be_skipped(mail: Cli, redis_client: redis.Redis) -> None:
    done = mail(BAD, "--skip-bad", "--group", "june")
    assert done.code == 1
    assert done.out == "1 fax is pushed, 3 rows left out; group june: faxline wait june\n"
    assert [line.partition(":")[2].split(":")[0] for line in done.err.splitlines()] == [
        *(
            " line 3",
            " line 4",
            " line 5",
            (
                " to push the bad rows, mend them in a file of their own, with another --group or "
                "none; or mend them here, each row in its place, and repeat with --group june"
            ),
        ),
    ]
    assert [entry["id"] for entry in pushed(redis_client)] == ["june.1"]


def test_the_group_that_is_printed_keeps_mended_rows_from_sending_the_others_twice(
    mail: Cli, redis_client: redis.Redis
) -> None:
    done = mail(f"to\n{NUMBER}\n123\n{OTHER}\n", "--skip-bad", "--json")
    (name,) = re.findall(r"repeat with --group (\S+):", done.err)
    mended = f"to\n{NUMBER}\n{THIRD}\n{OTHER}\n"
    assert mail(mended, "--group", name).code == 0
    assert {entry["id"] for entry in pushed(redis_client)} == {f"{name}.{row}" for row in (1, 2, 3)}
    assert mail(mended, "--skip-bad", "--group", name).err == ""


def test_numbers_are_read_as_people_write_them_and_a_line_tells_how(
    mail: Cli, redis_client: redis.Redis
) -> None:
    done = mail("to;subject\n(310) 555-0147;Hi\n0049 30 901820;Hi\n", "--region", "us", "--group", "june")
    assert (done.code, done.err) == (
        *(0, "faxline: numbers that are not written as E.164 are read: 1 as +1, 1 as +49\n"),
    )
    assert [entry["fax"]["faxNumber"] for entry in pushed(redis_client)] == [NUMBER, "+4930901820"]


def test_a_number_that_stands_again_is_told_and_left_out_where_that_is_asked_for(
    mail: Cli, redis_client: redis.Redis
) -> None:
    csv = f"to\n{NUMBER}\n{NUMBER}\n{OTHER}\n"
    done = mail(csv, "--group", "june")
    assert (done.code, len(pushed(redis_client))) == (0, 3)
    assert "a number is repeated (line 3 has that of line 2)" in done.err
    done = mail(csv, "--group", "july", "--unique")
    assert (done.code, [entry["id"] for entry in pushed(redis_client)][3:]) == (0, ["july.1", "july.3"])
    assert "(line 3 has that of line 2): the repeats are left out" in done.err


def test_an_error_shows_its_example_and_no_number(mail: Cli) -> None:
    done = mail(f"to,file\n202,letter.txt\n{OTHER},{NUMBER}.pdf\n", file=False)
    assert "write it as E.164, such as +12345678901:" in done.err
    assert "cannot read …0147.pdf" in done.err
    assert "scientific notation" in mail("to\n+1.20255E+10\n").err


def test_a_number_of_the_command_line_is_read_as_people_write_it(
    noisy: Cli, redis_client: redis.Redis
) -> None:
    done = noisy("send", "--to", "(310) 555-0147", "letter.txt", "--region", "US", "--json")
    assert (done.code, done.err) == (0, "faxline: the number is read as +1 …0147\n")
    (job,) = done.lines
    assert (job["to"], pushed(redis_client)[0]["fax"]["faxNumber"]) == ("…0147", NUMBER)
    redis_client.hset(KEYS.job("a"), mapping={"state": "failed", "job_id": 7})
    assert noisy("resend", "a", "--to", "+1 310 555 0148").err == "faxline: the number is read as +1 …0148\n"
    done = noisy("send", "--to", "(310) 555-0147", "letter.txt", "--region", "Texas")
    assert (done.code, done.err) == (
        *(2, "faxline: --region is a country by its two letters, such as US or DE\n"),
    )


def test_a_number_that_is_given_twice_is_told_and_sent_to_once_where_that_is_asked_for(
    noisy: Cli, redis_client: redis.Redis
) -> None:
    twice = ("send", "--to", NUMBER, "--to", OTHER, "--to", NUMBER, "letter.txt")
    assert "a number is given twice" in noisy(*twice).err
    assert noisy(*twice, "--unique").err == ""
    assert [len(entry["fax"]["faxNumber"]) for entry in pushed(redis_client)] == [3, 2]


def test_a_url_may_be_named_and_its_pages_selected(noisy: Cli, redis_client: redis.Redis) -> None:
    url = "https://h.example/9f86?x=1/2"
    named, pages = f"invoice.pdf={url}", f"invoice.pdf={url}=1-2"
    assert noisy("send", "--to", NUMBER, named, url, "--pages", pages).code == 0
    assert pushed(redis_client)[0]["fax"]["faxData"] == [
        {"fileName": "invoice.pdf", "fileUrl": url, "pages": ["1-2"]},
        {"fileName": "9f86", "fileUrl": url},
    ]


def test_two_rows_of_one_id_are_both_named(mail: Cli) -> None:
    done = mail(f"to,id\n{NUMBER},a\n{OTHER},a\n")
    assert "line 3: id: a is also the id of fax 0 (this is fax 1)" in done.err


def test_a_file_that_is_not_there_is_told_with_its_row(mail: Cli) -> None:
    done = mail(f"to,file\n{NUMBER},letter.txt\n{OTHER},none.pdf\n", file=False)
    assert "line 3: fax.faxData: cannot read none.pdf: No such file or directory" in done.err


def test_a_row_without_its_file_is_bad_and_gets_no_other(mail: Cli, redis_client: redis.Redis) -> None:
    csv = f"to,file\n{NUMBER},letter.txt\n{OTHER},\n{THIRD}\n"
    done = mail(csv, file=False)
    assert (done.code, pushed(redis_client)) == (2, [])
    assert "line 3: the file is missing: where there is a column `file`, each row has one" in done.err
    assert "line 4: the file is missing" in done.err
    assert mail(csv, "--skip-bad", "--group", "june", file=False).code == 1
    assert [entry["id"] for entry in pushed(redis_client)] == ["june.1"]


def test_a_file_for_all_rows_is_refused_where_each_names_its_own(
    mail: Cli, redis_client: redis.Redis
) -> None:
    done = mail(f"to,file\n{NUMBER},letter.txt\n")
    assert (done.code, pushed(redis_client)) == (2, [])
    assert "leave out all others" in done.err


def test_json_is_one_line_a_job_and_a_last_one_that_sums_up(mail: Cli) -> None:
    done = mail(PLAIN, "--group", "june", "--json")
    assert (done.code, done.err) == (0, "")
    *jobs, last = done.lines
    assert [(job["id"], job["state"], job["group"]) for job in jobs] == [
        *(("june.1", "intake", "june"), ("june.2", "intake", "june")),
    ]
    assert last == {"group": "june", "pushed": 2, "skipped": 0}


def test_a_redis_that_goes_away_is_told_with_what_to_do(
    mail: Cli, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = redis.client.Pipeline.execute

    def away(pipe: Any, *args: Any, **options: Any) -> Any:
        if pipe.transaction:
            raise redis.ConnectionError("away")
        return execute(pipe, *args, **options)

    monkeypatch.setattr(redis.client.Pipeline, "execute", away)
    done = mail(PLAIN)
    assert (done.code, done.out, len(done.err.splitlines())) == (3, "", 1)
    assert "0 of 2 faxes were certainly pushed" in done.err
    assert re.search("run the same command again, with --group csv-[0-9a-f]{16} if the file", done.err)
    assert redis_client.dbsize() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["send", "--csv", "none.csv"], "cannot read none.csv: No such file"),
        (["send", "--csv", "r.csv", "--to", NUMBER], "leave out --to and --id"),
        (["send", "--csv", "r.csv", "--id", "a"], "leave out --to and --id"),
        (["send", "letter.txt"], "--to NUMBER, or --csv FILE"),
        (
            ["send", "--to", NUMBER, "letter.txt", "--param", "colour=red"],
            "--param is NAME=VALUE, NAME one of",
        ),
        (["send", "--to", NUMBER, "letter.txt", "--param", "subject"], "--param is NAME=VALUE"),
        (["send", "--to", NUMBER, "a", "b", "--pages", "1"], "--pages 1: name the file, as FILE=1"),
        (["send", "--to", NUMBER, "a", "--pages", "c=1"], "--pages c=1: name the file, as FILE=1"),
        (
            ["send", "--to", NUMBER, "letter.txt", "--pages", "2"],
            "page 2 is selected, but the document has 1",
        ),
        (["send", "--to", NUMBER, "a", "--subject", "x", "--param", "subject=y"], "subject is given twice"),
    ],
)
def test_bad_usage_of_send_is_one_line_and_exit_code_2(noisy: Cli, arguments: list[str], says: str) -> None:
    done = noisy(*arguments)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert says in done.err


def test_every_parameter_of_fax_send_can_be_given(noisy: Cli, redis_client: redis.Redis) -> None:
    options = ("--template-id", "7", "--smart-document-id", "8", "--param", "subject=a=b", "--group", "june")
    done = noisy("send", "--to", NUMBER, "--file", "letter.txt", *options, "--param", "faxQuality=HD")
    assert done.code == 0
    (entry,) = pushed(redis_client)
    assert entry["group"] == "june"
    assert entry["fax"].items() >= {
        *(("templateId", "7"), ("smartDocumentId", "8"), ("subject", "a=b"), ("faxQuality", "HD")),
    }


def test_pages_of_a_file_can_be_selected(noisy: Cli, redis_client: redis.Redis) -> None:
    url = "https://example.com/a.pdf"
    assert noisy("send", "--to", NUMBER, url, "--pages", "1-5,7", "--pages", "9").code == 0
    options = ("--pages", f"{url}=1", "--pages", f"{url}=3-4")
    assert noisy("send", "--to", NUMBER, url, "letter.txt", *options).code == 0
    first, second = (entry["fax"]["faxData"] for entry in pushed(redis_client))
    assert [file.get("pages") for file in first] == [["1-5", "7", "9"]]
    assert [file.get("pages") for file in second] == [["1", "3-4"], None]


@pytest.mark.parametrize(("words", "offered"), [("faxline gr", "group"), ("faxline send --cs", "--csv")])
def test_a_shell_completes_commands_and_options(words: str, offered: str) -> None:
    command = [sys.executable, "-c", "from faxline.cli import main; main()"]
    asked = {"_FAXLINE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == ([offered], "")
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # else it is the shell that runs the tests
    shown = subprocess.run(
        [*command, "--show-completion", "bash"],
        env=os.environ | named,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (shown.returncode, "complete -o default -F _faxline_completion faxline" in shown.stdout) == (
        0,
        True,
    )
