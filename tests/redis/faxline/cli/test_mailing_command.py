"""`faxline send --csv`, `faxline group` and what the other commands make of a group, on a real server."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.client

from faxline.cli.recipients import read_recipients
from faxline.cli.running import run
from faxline.contract.redis_keys import RedisKeys
from faxline.reading.processes import ROLES
from tests.stage.heartbeats import beating

NUMBER, OTHER, THIRD = "+13105550147", "+13105550148", "+13105550149"
KEYS = RedisKeys("default")
PLAIN = f"to,to_name\n{NUMBER},Ann\n{OTHER},Bob\n"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Result]


@pytest.fixture
def cli(
    redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Cli:
    """The command, in a folder with letter.txt."""
    for name in [name for name in os.environ if name.startswith("FAXLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    Path("letter.txt").write_text("Hello")

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        with beating(redis_url, ROLES):
            code = run(["--redis", redis_url, *arguments])
        captured = capsys.readouterr()
        for number in (NUMBER, OTHER, THIRD):
            assert number[-10:] not in captured.out + captured.err
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def mail(cli: Cli) -> Cli:
    def send(csv: str | bytes, *arguments: str, file: bool = True) -> Result:
        Path("r.csv").write_bytes(csv if isinstance(csv, bytes) else csv.encode())
        return cli("send", "--csv", "r.csv", *(["--file", "letter.txt"] if file else []), *arguments)

    return send


@pytest.fixture
def daemon(redis_url: str) -> Iterator[Callable[[dict[str, dict[str, Any]]], None]]:
    """`daemon(ends)`: register each entry that is pushed, and end the jobs of these ids so."""
    threads = []

    def start(ends: dict[str, dict[str, Any]]) -> None:
        def work() -> None:
            left, last = set(ends), "0"
            with redis.Redis.from_url(redis_url) as client:
                while left:
                    reply: Any = client.xread({KEYS.intake: last}, block=20_000)
                    assert reply, f"nobody pushed {left}"
                    for entry, fields in reply[0][1]:
                        last = entry
                        fax = json.loads(fields[b"send"])
                        end(client, entry.decode(), fax, ends[fax["id"]])
                        left.discard(fax["id"])

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(30)


def end(client: Any, entry: str, fax: dict[str, Any], said: dict[str, Any]) -> None:
    name, state = fax["id"], said["state"]
    if state == "rejected":
        data = said | {"member": "id", "message": "taken", "entry": entry}
        client.xadd(KEYS.events, {"event": "fax.rejected", "job": name, "at": 1, "data": json.dumps(data)})
        return
    client.hset(KEYS.job(name), mapping={"group": fax["group"], "number": NUMBER, "n": 0, **said})
    client.sadd(KEYS.group(fax["group"]), name)
    client.xadd(KEYS.events, {"event": f"fax.{state}", "job": name, "at": 1, "data": "{}"})


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
        f"{NUMBER},,,,,,,,,,,\n"
    )
    options = ("--priority", "bulk", "--subject", "S", "--metadata", '{"n": 1, "k": 2}', "--group", "june")
    assert mail(csv, *options).code == 0
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
                " to push the others, mend their rows in a file of their own, with another --group or "
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


def test_a_number_on_the_command_line_is_read_as_people_write_it(cli: Cli, redis_client: redis.Redis) -> None:
    done = cli("send", "--to", "(310) 555-0147", "letter.txt", "--region", "US", "--json")
    assert (done.code, done.err) == (0, "faxline: the number is read as +1 …0147\n")
    (job,) = done.lines
    assert (job["to"], pushed(redis_client)[0]["fax"]["faxNumber"]) == ("…0147", NUMBER)
    redis_client.hset(KEYS.job("a"), mapping={"state": "failed", "job_id": 7})
    assert cli("resend", "a", "--to", "+1 310 555 0148").err == "faxline: the number is read as +1 …0148\n"
    done = cli("send", "--to", "(310) 555-0147", "letter.txt", "--region", "Texas")
    assert (done.code, done.err) == (
        *(2, "faxline: --region is a country by its two letters, such as US or DE\n"),
    )


def test_a_number_that_is_given_twice_is_told_and_sent_to_once_where_that_is_asked_for(
    cli: Cli, redis_client: redis.Redis
) -> None:
    twice = ("send", "--to", NUMBER, "--to", OTHER, "--to", NUMBER, "letter.txt")
    assert "a number is given twice" in cli(*twice).err
    assert cli(*twice, "--unique").err == ""
    assert [len(entry["fax"]["faxNumber"]) for entry in pushed(redis_client)] == [3, 2]


def test_a_url_may_be_named_and_its_pages_selected(cli: Cli, redis_client: redis.Redis) -> None:
    url = "https://h.example/9f86?x=1/2"
    named, pages = f"invoice.pdf={url}", f"invoice.pdf={url}=1-2"
    assert cli("send", "--to", NUMBER, named, url, "--pages", pages).code == 0
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


def test_json_is_one_line_a_job_and_a_last_one_that_sums_up(mail: Cli) -> None:
    done = mail(PLAIN, "--group", "june", "--json")
    assert (done.code, done.err) == (0, "")
    *jobs, last = done.lines
    assert [(job["id"], job["state"], job["group"]) for job in jobs] == [
        *(("june.1", "intake", "june"), ("june.2", "intake", "june")),
    ]
    assert last == {"group": "june", "pushed": 2, "skipped": 0}


def test_a_mailing_is_waited_for_to_its_end(mail: Cli, daemon: Callable[..., None]) -> None:
    daemon(
        {
            "june.1": {"state": "delivered", "pages": 3, "transferred": 3},
            "june.2": {"state": "failed", "reason": "busy", "code": 17, "pages": 3, "transferred": 0},
            "june.3": {"state": "failed", "reason": "busy", "code": 17},
            "june.4": {"state": "rejected", "reason": "id_reused"},
        }
    )
    done = mail(PLAIN + f"{THIRD},Cy\n+13105550150,Di\n", "--group", "june", "--wait", "--timeout", "20")
    assert (done.code, done.err) == (1, "")
    rows = [line.split() for line in done.out.splitlines()]
    assert done.out.startswith("group june on account default: 4 faxes pushed, has ended\n")
    for row in (
        *(["delivered", "1"], ["failed", "2"], ["rejected", "1"]),
        *(["pages:", "3", "of", "6", "transferred"], ["busy", "2"], ["rejected:", "id_reused", "1"]),
        *(["june.2", "failed", "…0147", "busy", "17"], ["june.4", "rejected", "id_reused"]),
    ):
        assert row in rows


def test_a_mailing_that_is_delivered_whole_is_exit_code_0(mail: Cli, daemon: Callable[..., None]) -> None:
    said = {"state": "delivered", "pages": 1, "transferred": 1}
    daemon({"june.1": said, "june.2": said})
    done = mail(PLAIN, "--group", "june", "--wait", "--timeout", "20", "--json")
    assert (done.code, done.err) == (0, "")
    *jobs, last = done.lines
    assert [(job["id"], job["state"]) for job in jobs] == [("june.1", "delivered"), ("june.2", "delivered")]
    assert (last["counts"], last["failures"], last["pages"], last["skipped"]) == ({"delivered": 2}, {}, 2, 0)


def test_a_progress_bar_is_shown_on_a_terminal(
    mail: Cli, daemon: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"state": "delivered"}
    daemon({"june.1": said, "june.2": said})
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True, raising=False)
    done = mail(PLAIN, "--group", "june", "--wait", "--timeout", "20")
    assert "pushed" in done.err
    assert "2/2" in done.err
    assert "ended" in done.err


def test_a_redis_that_goes_away_is_told_with_what_to_do(
    mail: Cli, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("away")

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
def test_bad_usage_of_send_is_one_line_and_exit_code_2(cli: Cli, arguments: list[str], says: str) -> None:
    done = cli(*arguments)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert says in done.err


def test_every_parameter_of_fax_send_can_be_given(cli: Cli, redis_client: redis.Redis) -> None:
    options = ("--template-id", "7", "--smart-document-id", "8", "--param", "subject=a=b", "--group", "june")
    done = cli("send", "--to", NUMBER, "--file", "letter.txt", *options, "--param", "faxQuality=HD")
    assert done.code == 0
    (entry,) = pushed(redis_client)
    assert entry["group"] == "june"
    assert entry["fax"].items() >= {
        *(("templateId", "7"), ("smartDocumentId", "8"), ("subject", "a=b"), ("faxQuality", "HD")),
    }


def test_pages_of_a_file_can_be_selected(cli: Cli, redis_client: redis.Redis) -> None:
    url = "https://example.com/a.pdf"
    assert cli("send", "--to", NUMBER, url, "--pages", "1-5,7", "--pages", "9").code == 0
    options = ("--pages", f"{url}=1", "--pages", f"{url}=3-4")
    assert cli("send", "--to", NUMBER, url, "letter.txt", *options).code == 0
    first, second = (entry["fax"]["faxData"] for entry in pushed(redis_client))
    assert [file.get("pages") for file in first] == [["1-5", "7", "9"]]
    assert [file.get("pages") for file in second] == [["1", "3-4"], None]


@pytest.mark.parametrize("command", [("wait", "{}"), ("group", "{}"), ("send", "{}")])
def test_a_delivery_without_all_of_its_pages_is_told_and_is_exit_code_1(
    mail: Cli, cli: Cli, daemon: Callable[..., None], command: tuple[str, str]
) -> None:
    whole, partial = ({"state": "delivered", "pages": 3, "transferred": sent} for sent in (3, 1))
    daemon({"june.1": whole, "june.2": partial})
    done = mail(PLAIN, "--group", "june", "--wait", "--timeout", "20")
    if command[0] != "send":
        done = cli(command[0], "june")
        (payload,) = cli(command[0], "june", "--json").lines
        assert (payload["state"], payload["partly_delivered"]) == ("delivered", 1)
        assert [job["partial"] for job in payload["jobs"]] == [False, True]
    assert done.code == 1
    rows = [" ".join(line.split()) for line in done.out.splitlines()]
    for row in ("delivered 1", "partly delivered 1", "june.2 partly delivered …0147 1 of 3 pages"):
        assert row in rows


@pytest.fixture
def june(redis_client: redis.Redis) -> None:
    """A group of three, of which one is queued."""
    for name, state, more in (
        ("june.1", "delivered", {"pages": 2, "transferred": 2}),
        ("june.2", "failed", {"reason": "busy", "code": 17}),
        ("june.3", "queued", {}),
    ):
        fields: Any = {"state": state, "group": "june", "number": NUMBER, "n": 0, **more}
        redis_client.hset(KEYS.job(name), mapping=fields)
        redis_client.sadd(KEYS.group("june"), name)


@pytest.mark.parametrize("command", ["group", "show"])
@pytest.mark.usefixtures("june")
def test_a_group_is_shown_with_its_counts_and_what_failed(cli: Cli, command: str) -> None:
    done = cli(command, "june")
    assert done.code == (command == "group")  # which tells by it that one failed
    assert done.out.startswith("group june on account default: 3 jobs, 2 of 3 have ended\n")
    rows = [line.split() for line in done.out.splitlines()]
    assert [row for row in rows if row[:1] in (["queued"], ["delivered"], ["failed"])] == [
        *(["queued", "1"], ["delivered", "1"], ["failed", "1"]),
    ]
    assert ["june.2", "failed", "…0147", "busy", "17"] in rows
    (payload,) = cli(command, "june", "--json").lines
    assert (payload["group"], payload["total"], payload["final"]) == ("june", 3, False)
    assert payload["counts"] == {"queued": 1, "delivered": 1, "failed": 1}
    assert [job["id"] for job in payload["jobs"]] == ["june.1", "june.2", "june.3"]


@pytest.mark.usefixtures("june")
def test_a_group_is_waited_for_by_its_name(cli: Cli, redis_client: redis.Redis) -> None:
    done = cli("wait", "june", "--timeout", "0.05")
    assert (done.code, done.out) == (3, "")
    assert "1 of 3 jobs of group 'june' did not end within 0.05 s" in done.err
    redis_client.hset(KEYS.job("june.3"), "state", "delivered")
    done = cli("wait", "june")
    assert (done.code, done.out.splitlines()[0]) == (1, "group june on account default: 3 jobs, has ended")
    assert cli("wait", "june", "--json").lines[0]["counts"] == {"delivered": 2, "failed": 1}
    redis_client.hset(KEYS.job("june.2"), "state", "delivered")
    assert cli("wait", "june").code == 0


@pytest.mark.usefixtures("june")
def test_explaining_a_group_points_to_a_job_that_waits(cli: Cli) -> None:
    done = cli("explain", "june")
    assert (done.code, done.out) == (2, "")
    assert "june is a group of 3 jobs: explain one of them, such as june.3" in done.err


def test_a_group_that_does_not_exist_is_exit_code_4(cli: Cli) -> None:
    done = cli("group", "june")
    assert (done.code, done.out) == (4, "")
    assert "no group 'june' on account 'default'" in done.err


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
