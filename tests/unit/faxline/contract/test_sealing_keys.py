"""Keys in the settings, the command and the line for tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline.cli.running import run
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.keyring import new_key
from faxline.testing import MemoryLine
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError

ONE, TWO = new_key("one"), new_key("two")
TOKEN = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token"}
INTAKE = RedisKeys("default").intake


def test_the_daemons_keys_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    assert read_settings(TOKEN).keyring is None
    assert read_settings(TOKEN | {"FAXLINE_SEALING_KEYS": ""}).keyring is None
    file = tmp_path / "keys"
    file.write_text(f"{ONE}\n{TWO}\n", encoding="utf-8")
    for settings in (
        {"FAXLINE_SEALING_KEYS": json.dumps([ONE, TWO])},
        {"FAXLINE_SEALING_KEYS_FILE": str(file)},
    ):
        ring = read_settings(TOKEN | settings).keyring
        assert ring is not None
        assert ring.ids == ("one", "two")


def test_bad_keys_are_told_with_the_variables_name_and_not_with_the_key() -> None:
    secret = ONE.partition(":")[2]
    with pytest.raises(SettingsError) as caught:
        read_settings(TOKEN | {"FAXLINE_SEALING_KEYS": f"{ONE}\n{ONE}"})
    assert str(caught.value) == "FAXLINE_SEALING_KEYS: the id of key 2 is there twice"
    assert secret not in repr(caught.value.__context__)


def test_the_log_never_shows_a_key() -> None:
    settings = read_settings(TOKEN | {"FAXLINE_SEALING_KEYS": f"{ONE}\n{TWO}"})
    assert {ONE.partition(":")[2], TWO.partition(":")[2]} <= set(settings.secrets)
    assert ONE.partition(":")[2] not in repr(settings)


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


def test_the_line_for_tests_takes_what_was_sealed() -> None:
    line = MemoryLine(keys=ONE)
    line.send(to="+12025550123", files=[("a.txt", b"a document")], id="a", message="text")
    assert line.job("a").state == "delivered"
    ((kind, content),) = line.entries
    assert (kind, content["fax"]["message"]) == ("send", "text")
    line.resend("a", id="b")
    assert line.job("b").state == "delivered"
