"""PDFs are opened by a child process with limits: whatever a file does, it does it there."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from faxline.contract.errors import EntryRejected, PdfReaderUnavailable
from faxline.contract.page_count import page_count
from faxline.contract.pdf import process as pdf_process
from faxline.contract.pdf import reader as pdf_reader
from faxline.contract.pdf.process import Limit
from faxline.contract.pdf.reader import PdfReader
from tests.hostile_files import object_stream, page_tree, plain_pdf, xref_stream

HANGS = page_tree(60)
linux = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


@pytest.fixture
def reader() -> Iterator[PdfReader]:
    made = PdfReader(timeout=0.3)
    yield made
    made.close()


def children_of(reader: PdfReader) -> list[int]:
    return [child._process.pid for child in (*reader._idle, *reader._taken)]


def alive(pid: int) -> bool:
    """Whether there is such a process that is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def script(code: str, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **more,
    )


def test_a_pdf_that_takes_for_ever_is_given_up_and_the_next_one_is_counted(reader: PdfReader) -> None:
    assert reader.count(HANGS) == (0, "the PDF takes too long to open", Limit.TIME)
    assert reader.count(plain_pdf(3)).pages == 3


@pytest.mark.parametrize("bomb", [xref_stream, object_stream])
def test_a_pdf_that_takes_gigabytes_is_given_up_and_the_next_one_is_counted(
    reader: PdfReader, bomb: Callable[[int], bytes]
) -> None:
    assert reader.count(bomb(300), 5) == (0, "the PDF needs too much memory to open", Limit.MEMORY)
    assert reader.count(plain_pdf(3)).pages == 3


def test_a_hostile_pdf_is_a_bad_document_for_whoever_counts_pages(
    reader: PdfReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_reader, "SHARED", reader)
    with pytest.raises(EntryRejected) as caught:
        page_count(HANGS, "fax.faxData[0].document", "a.pdf")
    assert (caught.value.reason, caught.value.member) == ("bad_document", "fax.faxData[0].document")
    assert caught.value.message == "the PDF takes too long to open"


def test_one_child_opens_one_pdf_after_the_other(reader: PdfReader) -> None:
    reader.count(plain_pdf())
    first = children_of(reader)
    assert [reader.count(plain_pdf(n)).pages for n in range(1, 20)] == list(range(1, 20))
    assert children_of(reader) == first
    assert len(first) == 1


def test_a_child_that_was_killed_while_it_waited_is_replaced(reader: PdfReader) -> None:
    reader.count(plain_pdf())
    (pid,) = children_of(reader)
    os.kill(pid, signal.SIGKILL)
    assert reader.count(plain_pdf(2)) == (2, "", None)


def test_a_child_that_is_killed_at_its_work_says_nothing_about_the_document(
    reader: PdfReader, wait_until: Callable[..., Any]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        counted = pool.submit(reader.count, HANGS, 20)
        (first,) = wait_until(lambda: [child._process.pid for child in reader._taken])
        os.kill(first, signal.SIGKILL)
        (second,) = wait_until(lambda: [p for c in reader._taken if (p := c._process.pid) != first])
        os.kill(second, signal.SIGPROF)  # as if its time were over
        assert counted.result() == (0, "the PDF takes too long to open", Limit.TIME)


def test_others_are_counted_while_a_hostile_pdf_is_open(
    reader: PdfReader, wait_until: Callable[..., Any]
) -> None:
    with ThreadPoolExecutor(9) as pool:
        hostile = pool.submit(reader.count, HANGS, 20)
        (busy,) = wait_until(lambda: [child._process.pid for child in reader._taken])
        assert list(pool.map(lambda n: reader.count(plain_pdf(n)).pages, range(1, 50))) == list(range(1, 50))
        assert not hostile.done()
        os.kill(busy, signal.SIGPROF)
        assert hostile.result().limit is Limit.TIME


def test_there_are_never_more_children_than_the_reader_may_have(reader: PdfReader) -> None:
    seen = set[int]()

    def count(_: int) -> int:
        pages = reader.count(plain_pdf()).pages
        seen.update(children_of(reader))
        return pages

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(count, range(200))) == 200
    assert len(seen) <= 2


def test_a_reader_that_is_closed_ends_the_count_that_is_under_way(
    reader: PdfReader, wait_until: Callable[..., Any]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        counted = pool.submit(reader.count, HANGS, 20)
        wait_until(lambda: reader._taken)
        reader.close()
        with pytest.raises(PdfReaderUnavailable):
            counted.result()
    with pytest.raises(PdfReaderUnavailable):
        reader.count(plain_pdf())


def test_a_reader_that_is_closed_while_a_child_starts_opens_nothing_with_it(
    reader: PdfReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = pdf_process._start
    started: list[subprocess.Popen[bytes]] = []

    def closing(*args: Any) -> Any:
        connection, process = begin(*args)
        started.append(process)
        reader.close()
        return connection, process

    monkeypatch.setattr(pdf_process, "_start", closing)
    with pytest.raises(PdfReaderUnavailable):
        reader.count(HANGS, 20)
    assert [process.returncode is None for process in started] == [False]


def test_a_child_that_cannot_be_started_is_not_the_documents_fault(
    reader: PdfReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for program in (tmp_path / "missing", "/bin/false"):
        monkeypatch.setattr(pdf_process, "_interpreter", lambda program=program: str(program))
        with pytest.raises(PdfReaderUnavailable):
            reader.count(plain_pdf())
    monkeypatch.undo()
    assert reader.count(plain_pdf()).pages == 1


TAMPERED = {
    "another token": "os.write(0, REPLY.pack(b'x' * 8, 0, 1))",
    "an unknown verdict": "os.write(0, REPLY.pack(token, 9, 1))",
}


@pytest.mark.parametrize("answer", TAMPERED.values(), ids=TAMPERED)
def test_an_answer_that_is_none_is_not_believed(
    reader: PdfReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str
) -> None:
    tampered(monkeypatch, tmp_path, answer)
    assert reader.count(plain_pdf()).limit is Limit.CRASH
    assert children_of(reader) == []


def test_what_a_child_says_without_being_asked_is_no_answer_to_the_next_document(
    reader: PdfReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tampered(
        monkeypatch,
        tmp_path,
        "os.write(0, REPLY.pack(token, 0, 7)); os.write(0, REPLY.pack(token, 0, 7) * 99)",
    )
    assert reader.count(plain_pdf()).pages == 7
    monkeypatch.undo()
    assert reader.count(plain_pdf(2)).pages == 2


def test_a_child_that_sleeps_is_given_up_as_well(
    reader: PdfReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tampered(monkeypatch, tmp_path, "signal.pause()")
    assert reader.count(plain_pdf(), 0.05).limit is Limit.TIME


def tampered(monkeypatch: pytest.MonkeyPatch, folder: Path, answer: str) -> None:
    """Have children started whose PDFium was taken over."""
    source = Path(pdf_process.__file__).with_name("child.py").read_text()
    right = "os.write(0, REPLY.pack(token, verdict, max(0, pages)))"
    assert right in source
    (folder / "child.py").write_text(source.replace(right, answer))
    monkeypatch.setattr(pdf_process, "__file__", str(folder / "pdf_process.py"))


@linux
def test_a_child_has_no_secret_and_no_file_of_its_parent_and_can_open_none(
    reader: PdfReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAXLINE_ACCOUNTS__DEFAULT__TOKEN", "a-token-that-is-secret")
    monkeypatch.setenv("HOME", "/nowhere")
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - its signature
        reader.count(plain_pdf())
        (pid,) = children_of(reader)
        own = Path(f"/proc/{pid}")
        assert {entry.name for entry in (own / "fd").iterdir()} == {"0", "1", "2"}
    assert own.joinpath("environ").read_bytes() == b""
    limits = {
        line[:26].strip(): line[26:].split()[:2] for line in own.joinpath("limits").read_text().splitlines()
    }
    assert limits["Max open files"] == ["1", "1"]
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max processes"] == ["0", "0"]
    assert limits["Max address space"] == [str(pdf_reader.MEMORY)] * 2
    assert own.joinpath("oom_score_adj").read_text().strip() == "1000"


@linux
@pytest.mark.parametrize("busy", [False, True])
def test_a_child_ends_with_its_parent_that_was_killed(busy: bool, wait_until: Callable[..., Any]) -> None:
    code = """
        import sys, threading
        from faxline.contract.pdf.reader import PdfReader
        from tests.hostile_files import page_tree, plain_pdf
        reader = PdfReader(timeout=1)
        reader.count(plain_pdf())
        (child,) = reader._idle
        if sys.argv[1] == "True":
            threading.Thread(target=reader.count, args=(page_tree(60),), daemon=True).start()
        print(child._process.pid, flush=True)
        sys.stdin.read()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(busy)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    wait_until(lambda: not alive(pid))


def test_no_child_is_left_and_nothing_is_said_where_the_interpreter_ends() -> None:
    done = script("""
        import os
        from faxline.contract.pdf.reader import SHARED, PdfReader
        from tests.hostile_files import page_tree, plain_pdf
        own = PdfReader(timeout=0.1)
        own.count(page_tree(60))
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            print("no zombie")
        own.count(plain_pdf())
        SHARED.count(plain_pdf())
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "no zombie\n", "")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_that_multiprocessing_made_has_children_of_its_own(method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
            import multiprocessing, sys
            from faxline.contract.page_count import page_count
            from faxline.contract.pdf.reader import SHARED
            from tests.hostile_files import plain_pdf

            def count(pages):
                return page_count(plain_pdf(pages), "m"), SHARED._idle[0]._process.pid

            if __name__ == "__main__":
                own = count(1)[1]
                with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
                    found = pool.map(count, range(1, 20))
                assert [pages for pages, _ in found] == list(range(1, 20))
                assert own not in {pid for _, pid in found}
                assert count(7) == (7, own)
        """)
    )
    path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program), method],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fork_in_the_middle_of_a_count_disturbs_neither_side() -> None:
    done = script("""
        import os, threading, warnings
        from faxline.contract.pdf.reader import PdfReader
        from tests.hostile_files import page_tree, plain_pdf
        warnings.simplefilter("ignore", DeprecationWarning)  # that a process with threads forks
        reader = PdfReader(timeout=0.5)
        found = []
        thread = threading.Thread(target=lambda: found.append(reader.count(page_tree(60)).limit))
        thread.start()
        while not reader._taken:
            pass
        pid = os.fork()
        if not pid:
            os._exit(reader.count(plain_pdf(5)).pages)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        thread.join()
        print(*found)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "5\ntime\n", "")


def test_a_signal_that_the_program_ignores_or_blocks_still_ends_its_children() -> None:
    done = script("""
        import signal
        from faxline.contract.pdf.reader import PdfReader
        from tests.hostile_files import page_tree
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF])
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        reader = PdfReader(timeout=0.1)
        print(reader.count(page_tree(60)).fault)
    """)
    assert (done.returncode, done.stdout) == (0, "the PDF takes too long to open\n")


def test_who_pushes_no_pdf_loads_no_reader() -> None:
    done = script("""
        import sys
        from faxline.contract.page_count import page_count
        page_count(b"text", "m", "a.txt")
        print({"faxline.contract.pdf.reader", "pypdfium2", "subprocess", "ctypes"} & set(sys.modules))
    """)
    assert (done.returncode, done.stdout) == (0, "set()\n")


def test_pdfium_is_never_loaded_into_the_process_that_asks() -> None:
    done = script("""
        import sys
        from faxline.contract.page_count import page_count
        from tests.hostile_files import plain_pdf
        print(page_count(plain_pdf(4), "m"), "pypdfium2" in sys.modules)
    """)
    assert (done.returncode, done.stdout) == (0, "4 False\n")


def test_an_event_loop_goes_on_while_a_hostile_pdf_is_open(
    reader: PdfReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_reader, "SHARED", reader)

    async def turns() -> int:
        pushed = asyncio.ensure_future(asyncio.to_thread(reader.count, HANGS))
        count = 0
        while not pushed.done():
            await asyncio.sleep(0)
            count += 1
        return count

    assert asyncio.run(turns()) > 100


def test_a_count_that_is_interrupted_ends_its_child(
    reader: PdfReader, wait_until: Callable[..., Any]
) -> None:
    def interrupt() -> None:
        wait_until(lambda: reader._taken)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        reader.count(HANGS, 20)
    thread.join()
    assert children_of(reader) == []
    assert reader.count(plain_pdf()).pages == 1
