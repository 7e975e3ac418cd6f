"""Prometheus' programs for the tests: promtool, and a server of our own that scrapes a running Faxline."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from faxline_local.processes import free_port, wait_for
from faxline_local.stack import Local

OPS = Path(__file__).parents[2] / "ops" / "prometheus"
JOBS = {role: f"faxline-{role}" for role in ("dispatcher", "worker", "webhook", "archive", "console")}


def program(name: str) -> str:
    """Its path; without it the test is skipped, but in CI, where it is to be there, it fails."""
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is not on this machine (Debian's package prometheus has it)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def promtool(*arguments: str, text: str = "") -> tuple[int, str]:
    """Run promtool: its exit code, and all that it said."""
    done = subprocess.run(
        [program("promtool"), *arguments],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


class Prometheus:
    """A running server's HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(trust_env=False, timeout=30)

    def get(self, page: str, **query: Any) -> Any:
        """What `/api/v1/PAGE` answers.

        Raises:
            ValueError: it is an error; the text is the server's.
        """
        answer = self._http.get(f"{self.url}/api/v1/{page}", params=query).json()
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """An expression's series now; a scalar is one."""
        data = self.get("query", query=expression)
        if data["resultType"] in {"scalar", "string"}:
            return [{"metric": {}, "value": data["result"]}]
        found: list[dict[str, Any]] = data["result"]
        return found

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            return self._http.get(f"{self.url}/-/ready").is_success
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()


def configuration(local: Local, interval: str) -> dict[str, Any]:
    """The sample's configuration, for the processes of `local` and with a shorter interval."""
    content: dict[str, Any] = yaml.safe_load((OPS / "prometheus.yml").read_text())
    content["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
    content["rule_files"] = [str(OPS / name) for name in content["rule_files"]]
    for scrape in content["scrape_configs"]:
        (role,) = (role for role, job in JOBS.items() if job == scrape["job_name"])
        targets = [f"127.0.0.1:{local.metrics[name]}" for name in local.names(role)]
        scrape["static_configs"] = [{"targets": targets}]
    return content


@contextmanager
def scraping(
    local: Local, folder: Path, interval: str = "1s", *, at_once: bool = False
) -> Iterator[Prometheus]:
    """A server that scrapes a running Faxline and evaluates its rules; its data goes with the folder.

    Args:
        local: what is scraped.
        folder: for its files.
        interval: between two scrapes, and two evaluations of the rules.
        at_once: alerts fire without the time for which they must hold, which a short run has not.
    """
    content = configuration(local, interval)
    if at_once:
        (folder / "rules").mkdir()
        for path in (OPS / "rules").glob("*.yaml"):
            text = re.sub(r"\bfor: \w+", "for: 0s", path.read_text())
            (folder / "rules" / path.name).write_text(text)
        content["rule_files"] = [str(folder / "rules/*.yaml")]
    (folder / "prometheus.yml").write_text(json.dumps(content))
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, process_group=0)
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:
        assert wait_for(lambda: process.poll() is not None or server.healthy(), 30)
        assert process.poll() is None, (folder / "prometheus.log").read_text()[-2000:]
        yield server
    finally:
        server.close()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
