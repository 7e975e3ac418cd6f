"""What the doctor finds with the daemon's settings: each check is made to fail on real servers."""

import base64
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.keyring import KEY_BYTES
from faxline_local.processes import free_port
from faxline_local.redis_server import RedisServer
from faxline_worker.doctor.daemon_checks import examine
from faxline_worker.state.scripts import LAYOUT
from tests.stage.doctoring import named, store_of

CURRENT = "{}.{}".format(*LAYOUT)


def test_what_is_right_is_well_and_what_was_not_asked_for_is_told(environment: dict[str, str]) -> None:
    found = named(examine(environment))
    assert {name: result for name, (result, _) in found.items()} == {
        "settings": "ok",
        "broker": "ok",
        "layout of default": "warn",
        "sealing of default": "skip",
        "ifax": "ok",
        "ifax clock": "ok",
        "key of default": "ok",
        "webhook": "skip",
    }
    facts = {
        "settings": "default",
        "layout of default": CURRENT,
        "sealing of default": "FAXLINE_SEALING_KEYS",
        "webhook": "FAXLINE_WEBHOOK__URL",
    }
    for name, fact in facts.items():
        assert fact in found[name][1]


def test_the_accounts_of_a_directory_are_checked_and_each_broken_folder_is_named(
    environment: dict[str, str], tmp_path: Path
) -> None:
    for name, file, text in (("acme", "token", "guest-of-acme"), ("broken", "settings.json", '{"limit": 1}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(text)
    found = named(examine(environment | {"FAXLINE_ACCOUNTS_DIR": str(tmp_path)}, call=False))
    assert found["settings"] == ("ok", "accounts default, acme")
    assert found["account folders"][0] == "ok"
    assert found["account folder broken"][0] == "fail"
    assert "did you mean limits?" in found["account folder broken"][1]
    assert "key of acme" in found


def test_of_very_many_accounts_only_the_one_that_is_named_is_checked(
    environment: dict[str, str], tmp_path: Path
) -> None:
    for i in range(101):
        (tmp_path / f"a{i}").mkdir()
    given = environment | {"FAXLINE_ACCOUNTS_DIR": str(tmp_path)}
    assert [name for name in named(examine(given, call=False)) if name.startswith("key of")] == []
    found = named(examine(given | {"FAXLINE_ACCOUNT": "default"}, call=False))
    assert [name for name in found if name.startswith("key of")] == ["key of default"]
    assert found["settings"][1].startswith("102 accounts")


def test_without_accounts_in_the_environment_nothing_is_looked_at() -> None:
    (found,) = examine({"FAXLINE_REDIS_URL": "redis://nowhere.invalid:1/0", "HOME": "/"})
    assert (str(found.result), "no FAXLINE_ACCOUNTS__" in found.text) == ("skip", True)


@pytest.mark.parametrize(
    ("variable", "value", "word"),
    [
        ("FAXLINE_HTTP_TIMEOUTS", "1", "FAXLINE_HTTP_TIMEOUTS is not a setting"),
        (
            "FAXLINE_ACCOUNTS__DEFAULT__WEBHOOK_SECRETS_FILE",
            "/no/such/file",
            "SECRETS_FILE names a file that cannot be read",
        ),
        ("FAXLINE_WEBHOOK__URL", "fax.example.com", "FAXLINE_WEBHOOK__URL must be a URL"),
    ],
)
def test_a_bad_setting_is_told_and_nothing_else_is_looked_at(
    environment: dict[str, str], variable: str, value: str, word: str
) -> None:
    (found,) = examine(environment | {variable: value})
    assert str(found.result) == "fail"
    assert word in found.text


def test_a_broker_that_is_away_is_told(environment: dict[str, str]) -> None:
    found = named(examine(environment | {"FAXLINE_BROKER_URL": f"redis://127.0.0.1:{free_port()}/1"}))
    assert found["broker"][0] == "fail"
    assert "FAXLINE_BROKER_URL" in found["broker"][1]


@pytest.mark.parametrize(
    ("stored", "result", "word"),
    [
        (None, "warn", "faxline-worker migrate"),
        ("1.0", "warn", "start its dispatchers"),
        ("1.999", "warn", "complete the roll-out"),
        (f"{LAYOUT[0] + 1}.0", "fail", "start the newer version"),
    ],
)
def test_a_layout_that_is_another_than_this_versions_is_told_with_what_to_do(
    environment: dict[str, str], client: redis.Redis, stored: str | None, result: str, word: str
) -> None:
    if stored is not None:
        client.hset(RedisKeys("default").account_state, "layout", stored)
    found = named(examine(environment, call=False))["layout of default"]
    assert (found[0], word in found[1]) == (result, True)


def test_the_layout_that_a_dispatcher_of_this_version_took_is_well(
    environment: dict[str, str], client: redis.Redis
) -> None:
    store_of(environment, client).schema.init_account()
    result, text = named(examine(environment, call=False))["layout of default"]
    assert result == "ok"
    assert text.startswith(CURRENT)


OLD, NEW = (f"{name}:{base64.b64encode(name.encode().ljust(KEY_BYTES)).decode()}" for name in ("old", "new"))


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (f"{NEW}\n{OLD}", f"{NEW}\n{OLD}", ("ok", "new seals, 2 open")),
        (
            f"{NEW}\n{OLD}",
            f"{OLD}\n{NEW}",
            ("warn", "old seals here, new in the dispatchers: finish the rotation"),
        ),
        (OLD, f"{OLD}\n{NEW}", ("warn", "the dispatcher that started last has no new: ")),
        (f"{OLD}\n{NEW}", OLD, ("fail", "FAXLINE_SEALING_KEYS lacks new, ")),
        (OLD, "", ("fail", "FAXLINE_SEALING_KEYS lacks old, ")),
        ("", "", ("skip", "no FAXLINE_SEALING_KEYS: ")),
    ],
)
def test_keys_that_are_others_than_the_dispatchers_are_told_before_a_fax_meets_them(
    environment: dict[str, str], client: redis.Redis, theirs: str, ours: str, expected: tuple[str, str]
) -> None:
    store_of(environment | {"FAXLINE_SEALING_KEYS": theirs}, client).schema.init_account()
    result, text = named(examine(environment | {"FAXLINE_SEALING_KEYS": ours}, call=False))[
        "sealing of default"
    ]
    assert (result, text[: len(expected[1])]) == expected


def test_a_key_that_is_none_is_told_and_not_repeated(environment: dict[str, str]) -> None:
    (found,) = examine(environment | {"FAXLINE_SEALING_KEYS": "c2VjcmV0LXNlY3JldA=="}, call=False)
    assert str(found.result) == "fail"
    assert "FAXLINE_SEALING_KEYS: key 1 is not of the form id:base64" in found.text
    assert "c2Vj" not in found.text


def test_a_user_who_may_not_read_the_account_is_told_whose_url_may(
    environment: dict[str, str], server: RedisServer, client: Any
) -> None:
    client.execute_command("ACL", "SETUSER", "narrow", "reset", "on", ">secret", "+ping", "+@connection")
    try:
        url = server.url(0).replace("redis://", "redis://narrow:secret@")
        result, text = named(examine(environment | {"FAXLINE_REDIS_URL": url}, call=False))[
            "layout of default"
        ]
    finally:
        client.acl_deluser("narrow")
    assert result == "warn"
    assert "Use the dispatcher's FAXLINE_REDIS_URL" in text
