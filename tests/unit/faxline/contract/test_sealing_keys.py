"""Keys in the settings and in the line for tests."""

import json
from pathlib import Path

import pytest

from faxline.contract.sealing.keyring import new_key
from faxline.testing import MemoryLine
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError

ONE, TWO = new_key("one"), new_key("two")
TOKEN = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token"}


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


def test_the_line_for_tests_takes_what_was_sealed() -> None:
    line = MemoryLine(keys=ONE)
    line.send(to="+12025550123", files=[("a.txt", b"a document")], id="a", message="text")
    assert line.job("a").state == "delivered"
    ((kind, content),) = line.entries
    assert (kind, content["fax"]["message"]) == ("send", "text")
    line.resend("a", id="b")
    assert line.job("b").state == "delivered"
