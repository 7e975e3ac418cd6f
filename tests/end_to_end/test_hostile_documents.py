"""Hostile documents against the real processes: a dispatcher under its memory limit, and the command."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis

from faxline import FaxLine
from faxline.contract.connections.redis_url import connect
from faxline.contract.page_count import digest
from faxline_local.processes import free_port
from faxline_local.stack import Local
from tests.hostile_files import object_stream, page_tree, plain_pdf, xref_stream

pytestmark = pytest.mark.slow

GIBIBYTE = 1024 * 1024
"""In the KiB of `ulimit -v`: what the manifest gives a dispatcher."""
HANGS = page_tree(60)


def push_raw(client: redis.Redis, line: FaxLine, job: str, data: bytes) -> None:
    """Push past the library's checks, as any client in another language may."""
    upload = uuid4().hex
    client.set(line.keys.upload(upload), data, ex=600)
    file = f'{{"fileName":"a.pdf","document":"{digest(data)}","upload":"{upload}"}}'
    entry = f'{{"id":"{job}","fax":{{"faxNumber":"+12025550123","faxData":[{file}]}}}}'
    client.xadd(line.keys.intake, {"send": entry})


def test_a_dispatcher_with_a_gibibyte_survives_every_bomb_while_good_faxes_flow_and_ends_at_once(
    make_local: Callable[..., Local], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    bombs = {"hangs": HANGS, "xref": xref_stream(1000), "objects": object_stream(900)}
    with (
        make_local(tmp_path, dispatchers=0, workers=0, webhooks=0) as local,
        FaxLine(local.url_of("producer")) as line,
        connect(local.url_of("producer")) as client,
    ):
        port = local.metrics["dispatcher-1"] = free_port()
        own = local.environment("dispatcher") | {"FAXLINE_METRICS__DISPATCHER_PORT": str(port)}
        program = f"ulimit -v {GIBIBYTE}; exec {sys.executable} -m faxline_worker dispatcher"
        part = local.add("dispatcher-1", ["/bin/sh", "-c", program], own)
        for name, data in bombs.items():
            push_raw(client, line, name, data)
        line.send(to="+12025550123", files=[("a.pdf", plain_pdf(3))], id="good")
        ends: dict[str, tuple[str, Any]] = {}
        for event in line.events(after="0", timeout=60):
            ends[event.job] = (event.name, event.data.get("reason"))
            if len(ends) == len(bombs) + 1:
                break
        assert ends.pop("good") == ("fax.queued", None)
        assert ends == dict.fromkeys(bombs, ("fax.rejected", "bad_document"))
        assert part.process.poll() is None
        assert local.ready("dispatcher-1")
        push_raw(client, line, "again", page_tree(61))
        wait_until(lambda: gauge(port, 'fax_slow_documents{account="default"}') == 1)
        part.ask_to_stop()
        assert part.process.wait(30) == 0  # without a time a hostile PDF would have held it for ever
    assert "Traceback" not in part.log.read_text()


def gauge(port: int, name: str) -> float:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(name)))


def command(folder: Path, url: str, data: bytes) -> list[str]:
    file = folder / "bomb.pdf"
    file.write_bytes(data)
    program = "import sys; from faxline.cli import main; sys.exit(main())"
    return [sys.executable, "-c", program, "--redis", url, "send", "--to", "+12025550123", str(file)]


def test_the_command_refuses_a_hostile_pdf_with_exit_code_2(tmp_path: Path, redis_url: str) -> None:
    call = command(tmp_path, redis_url, xref_stream(300))
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "faxline: rejected (bad_document): fax.faxData[0].document: the PDF needs too much memory to open\n"
    )


def test_ctrl_c_ends_the_command_and_its_child_while_a_hostile_pdf_is_open(
    tmp_path: Path, redis_url: str, wait_until: Callable[..., Any]
) -> None:
    process = subprocess.Popen(
        command(tmp_path, redis_url, HANGS), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

    def busy() -> int | None:
        """The child that has used processor time on the PDF."""
        for pid in map(int, children.read_text().split()):
            ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]
            if int(ticks) / os.sysconf("SC_CLK_TCK") > 0.5:
                return pid
        return None

    child = wait_until(busy)
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=4)
    told = rb"faxline: interrupted: if you repeat it, add --id [0-9a-f-]{36}, so that nothing goes twice\n"
    assert process.returncode == 130
    assert re.fullmatch(told, shown), shown
    wait_until(lambda: not Path(f"/proc/{child}").exists())
