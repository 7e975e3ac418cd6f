"""How long things take to start: the library's import, and each process until it says that it can work."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from faxline_local.redis_server import RedisServer
from faxline_local.stack import Local
from tests.benchmarks.speed.sheet import Section, Wanted, median
from tests.benchmarks.speed.size import Size
from tests.benchmarks.speed.usage import cpu_of_group

PATIENCE = 60.0
ROLES = ("dispatcher", "worker", "webhook")
SEND = """
import sys
from faxline import FaxLine
with FaxLine(sys.argv[1]) as line:
    line.send(to="+12025550123", files=["https://example.com/letter.pdf"], id="one")
print("\\n".join({name.partition(".")[0] for name in sys.modules}))
"""
DAEMON = {
    *("faxline_worker", "faxline_sandbox", "dramatiq", "httpx", "httpcore", "starlette", "uvicorn"),
    *("prometheus_client", "structlog", "pydantic_settings"),
}
"""What only the daemon needs. (redis-py itself imports opentelemetry where that is installed.)"""


def run_starts(size: Size, logs: Path) -> Section:
    """Imports, a push's modules, and the processes."""
    section = Section("start-up")
    runs: dict[str, list[tuple[float, float]]] = {"pass": [], "import faxline": []}
    with tempfile.TemporaryDirectory() as folder:
        compiled = _compiled(folder)
        _run("import faxline", compiled)
        for _ in range(size.imports):
            for code, timed in runs.items():
                timed.append(_run(code, compiled))
    (bare, bare_cpu), (took, used) = (
        (median([one for one, _ in timed]), median([one for _, one in timed])) for timed in runs.values()
    )
    section.add(
        "import faxline, beyond Python's own start", 1000 * (took - bare), "ms", wanted=Wanted(150, most=True)
    )
    section.add("… in CPU time", 1000 * (used - bare_cpu), "ms")
    section.add("Python's own start", 1000 * bare, "ms")
    with RedisServer() as server:
        foreign = modules_of_a_push(server.url(0)) & DAEMON
    section.add("packages of the daemon that a push imports", len(foreign), wanted=Wanted(0, most=True))
    section.details["packages of the daemon that a push imports"] = sorted(foreign)
    with RedisServer() as server:
        found = ready_after(server, logs, max(1, min(3, size.rounds)))
    for role, (took, used) in found.items():
        section.add(f"{role}, from exec to ready", took, "s", wanted=Wanted(1.5, most=True))
        section.add("… CPU until then", used, "s")
    return section


def modules_of_a_push(url: str) -> set[str]:
    """The top-level modules that a producer has loaded once it has pushed a fax."""
    done = subprocess.run([sys.executable, "-c", SEND, url], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def ready_after(server: RedisServer, logs: Path, times: int) -> dict[str, tuple[float, float]]:
    """Seconds from the start of each process until its /readyz is 200, and its CPU seconds: the medians."""
    found = {}
    for role in ROLES:
        each = [_ready_after(server, logs / str(i), role) for i in range(times)]
        found[role] = (median([took for took, _ in each]), median([used for _, used in each]))
    return found


def _ready_after(server: RedisServer, logs: Path, role: str) -> tuple[float, float]:
    logs.mkdir(parents=True, exist_ok=True)
    with Alone(server, logs) as local:
        began = time.perf_counter()
        local.begin(role)
        while time.perf_counter() - began < PATIENCE:
            if local.ready(local.names(role)[0]):
                leader = local.part(local.names(role)[0]).process.pid
                return time.perf_counter() - began, cpu_of_group(leader)
            time.sleep(0.005)
    raise TimeoutError(f"the {role} was not ready in {PATIENCE:g} s; see its log")


class Alone(Local):
    """Single processes of the daemon on a server that is there already."""

    def __init__(self, server: RedisServer, directory: Path) -> None:
        super().__init__(directory)
        self.server = server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for part in self.parts:
            part.stop()
        self._http.close()

    def begin(self, role: str) -> None:
        """Start one."""
        self._add(f"{role}-1", role)


def _compiled(folder: str) -> dict[str, str]:
    """The environment in which modules are compiled once, as pip does it, whatever Python is told here."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": folder}


def _run(code: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds, and CPU seconds, of an interpreter."""
    before, began = _children(), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return time.perf_counter() - began, _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
