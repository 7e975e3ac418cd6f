"""The command seals what it pushes with the keys that it is given."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline.cli.running import run
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.keyring import new_key
from tests.stage.command_line import Cli

ONE = new_key("one")
INTAKE = RedisKeys("default").intake


@pytest.fixture
def sent(
    redis_url: str, redis_client: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, dict[str, Any]]]:
    """`sent(*options)`: the command sends a fax; its code, its errors, and the entry that it pushed."""
    file = tmp_path / "a.txt"
    file.write_text("a document", encoding="utf-8")

    def send(*options: str) -> tuple[int, str, dict[str, Any]]:
        code = run(["--redis", redis_url, *options, "send", "--to", "+12025550123", str(file), "--id", "a"])
        entries: Any = redis_client.xrange(INTAKE)
        return code, capsys.readouterr().err, json.loads(entries[-1][1][b"send"]) if entries else {}

    return send


@pytest.mark.parametrize("where", ["variable", "file"])
def test_the_command_seals_with_the_keys_of_the_environment(
    sent: Any, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    file = tmp_path / "keys"
    file.write_text(ONE, encoding="utf-8")
    name, value = (
        ("FAXLINE_SEALING_KEYS", ONE) if where == "variable" else ("FAXLINE_SEALING_KEYS_FILE", str(file))
    )
    monkeypatch.setenv(name, value)
    code, _, entry = sent()
    assert (code, entry.keys()) == (0, {"id", "sealed"})
    stored: Any = [redis_client.get(key) for key in redis_client.scan_iter(f"{INTAKE[:-6]}upload:*")]
    assert len(stored) == 1
    assert b"a document" not in stored[0]


def test_the_command_tells_keys_that_are_none_and_a_file_that_is_not_there(sent: Any) -> None:
    code, error, entry = sent("--keys-file", "/nowhere/keys")
    assert (code, "the file of the keys cannot be read" in error, entry) == (2, True, {})
    code, error, entry = sent("--keys", "nonsense")
    assert (code, "id:base64" in error, entry) == (2, True, {})


@pytest.mark.parametrize("words", [("keys",), ("keys", "rotate"), ("forget", "a")], ids=" ".join)
def test_an_order_that_may_take_long_says_soon_who_is_not_at_work(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("faxline.cli.presence._SOON", 0.0)
    done = cli(*words, "--timeout", "1", quiet=False, at_work=())
    assert (done.code, done.err.splitlines()[0]) == (
        3,
        "faxline: No part of the daemon is at work on this Redis; `faxline doctor` says more.",
    )
