"""Checks of the doctor by their names."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from faxline import FaxLine
from faxline.cli.running import run as run_command
from faxline.contract.check import Check
from faxline.contract.redis_keys import RedisKeys

SETTINGS = (
    *("appendonly", "appendfsync", "aof-load-truncated", "maxmemory-policy", "maxmemory"),
    *("min-replicas-to-write", "min-replicas-max-lag"),
    *("proto-max-bulk-len", "maxclients"),
)
Look = Callable[..., dict[str, tuple[str, str]]]


def all_checks(url: str, replicas: int = 0) -> list[Check]:
    with FaxLine(url, replicas=replicas) as line:
        return line.checks()


def checks(url: str, replicas: int = 0) -> dict[str, tuple[str, str]]:
    return {check.name: (str(check.result), check.text) for check in all_checks(url, replicas)}


KEYS = RedisKeys("default")


def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], point: Any, *words: str
) -> list[dict[str, str]]:
    monkeypatch.setattr("faxline.cli.doctor.entry_points", lambda *, group: [point] if group else [])
    run_command(["doctor", "--json", *words])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
