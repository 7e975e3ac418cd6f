"""What each part demands of the settings, and the accounts that are named only."""

from datetime import timedelta
from pathlib import Path

import pytest

from faxline_worker.config.requirements import check_requirements
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError
from faxline_worker.processes.redis_at_start import require_redis

TOKEN = "FAXLINE_ACCOUNTS__DEFAULT__TOKEN"
LONG = "a-token-that-is-long"


@pytest.mark.parametrize("role", ["dispatcher", "webhook"])
def test_a_part_that_calls_nobody_needs_the_names_of_the_accounts_only(role: str) -> None:
    settings = read_settings({"FAXLINE_ACCOUNTS": "Default, acme"})
    check_requirements(settings, role)
    assert list(settings.accounts) == ["default", "acme"]
    assert settings.secrets == []


def test_a_worker_needs_the_token_of_each_account() -> None:
    settings = read_settings({"FAXLINE_ACCOUNTS": "default,acme", TOKEN: LONG})
    with pytest.raises(SettingsError, match="FAXLINE_ACCOUNTS__ACME__TOKEN is missing"):
        check_requirements(settings, "worker")
    check_requirements(read_settings({TOKEN: LONG}), "worker")


def test_a_name_adds_to_what_is_told_of_accounts_and_takes_nothing_away() -> None:
    settings = read_settings({"FAXLINE_ACCOUNTS": '["default"]', "FAXLINE_ACCOUNTS__DEFAULT__CALLER_ID": "1"})
    assert settings.accounts["default"].caller_id == "1"


def test_a_caller_id_that_is_blank_is_none() -> None:
    settings = read_settings({TOKEN: LONG, "FAXLINE_ACCOUNTS__DEFAULT__CALLER_ID": " "})
    assert settings.accounts["default"].caller_id is None


def test_without_any_account_both_ways_to_name_one_are_told() -> None:
    with pytest.raises(SettingsError, match=r"FAXLINE_ACCOUNTS__DEFAULT__TOKEN.*FAXLINE_ACCOUNTS=default"):
        read_settings({})


A, B = "FAXLINE_ACCOUNTS__A__", "FAXLINE_ACCOUNTS__B__"


@pytest.mark.parametrize(
    ("given", "member"),
    [
        ({f"{A}TOKEN": LONG, f"{B}TOKEN": LONG}, "TOKEN"),
        ({f"{A}WEBHOOK_SECRETS": f'["{LONG}"]', f"{B}WEBHOOK_SECRETS": f'["{LONG}"]'}, "WEBHOOK_SECRETS"),
        ({f"{A}WEBHOOK_BASIC": f'["a:{LONG}"]', f"{B}WEBHOOK_BASIC": f'["a:{LONG}"]'}, "WEBHOOK_BASIC"),
        (
            {f"{A}WEBHOOK_PATH_SECRETS": f'["{LONG}"]', f"{B}WEBHOOK_PATH_SECRETS": f'["{LONG}"]'},
            "WEBHOOK_PATH_SECRETS",
        ),
        (  # also while one of them is rotated
            {f"{A}WEBHOOK_SECRETS": f'["old-secret", "{LONG}"]', f"{B}WEBHOOK_SECRETS": f'["{LONG}", "new"]'},
            "WEBHOOK_SECRETS",
        ),
    ],
)
def test_two_accounts_with_one_token_or_one_webhook_secret_are_refused_by_both_names(
    given: dict[str, str], member: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{A}{member} and {B}{member} are the same: ") as caught:
        read_settings(given)
    assert LONG not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_one_account_has_twice_or_stands_in_the_place_of_a_key_is_no_clash() -> None:
    none, twice = "not-for-the-webhook", f'["{LONG}", "{LONG}"]'
    read_settings(
        {
            f"{A}TOKEN": none,
            f"{B}TOKEN": none,
            f"{A}WEBHOOK_SECRETS": twice,
            f"{B}WEBHOOK_SECRETS": f'["{none}"]',
        }
    )


@pytest.mark.parametrize(
    ("member", "text", "expected"),
    [
        ("WEBHOOK_BASIC", '["ifax"]', "a user and a password"),
        ("WEBHOOK_BASIC", '["ifax:"]', "a user and a password"),
        ("WEBHOOK_BASIC", "ifax:a-password", "must be a JSON list"),
        ("WEBHOOK_PATH_SECRETS", '["a/secret-with-a-slash"]', "may hold A-Z"),
        ("WEBHOOK_PATH_SECRETS", "a-secret", "must be a JSON list"),
    ],
)
def test_what_lets_no_webhook_in_is_refused_with_its_variable_and_not_quoted(
    member: str, text: str, expected: str
) -> None:
    with pytest.raises(SettingsError, match=f"{A}{member}.*{expected}") as caught:
        read_settings({f"{A}{member}": text})
    assert text.strip('[]"') not in str(caught.value).partition("such as")[0]


def test_the_logs_know_a_password_alone_and_as_the_header_has_it() -> None:
    settings = read_settings(
        {f"{A}WEBHOOK_BASIC": '["ifax:päss:word"]', f"{A}WEBHOOK_PATH_SECRETS": f'["{LONG}"]'}
    )
    assert {"päss:word", "ifax:päss:word", "aWZheDpww6Rzczp3b3Jk", LONG} <= set(settings.secrets)


@pytest.mark.parametrize(
    ("variable", "more"),
    [
        (TOKEN, {TOKEN: "short"}),
        (f"{A}WEBHOOK_BASIC", {f"{A}WEBHOOK_BASIC": '["a-long-user:short"]'}),
        (f"{A}WEBHOOK_PATH_SECRETS", {f"{A}WEBHOOK_PATH_SECRETS": '["short"]'}),
        ("FAXLINE_ACCOUNTS__DEFAULT__WEBHOOK_SECRETS", {}),
        ("FAXLINE_REDIS_URL", {"FAXLINE_REDIS_URL": "redis://:short@127.0.0.1/0"}),
        ("FAXLINE_REDIS_URL", {"FAXLINE_REDIS_URL": "redis+sentinel://a/faxes?sentinel_password=short"}),
        ("FAXLINE_BROKER_URL", {"FAXLINE_BROKER_URL": "redis://:short@127.0.0.1/1"}),
    ],
)
def test_a_secret_that_stands_in_any_word_is_refused_with_the_variable(
    variable: str, more: dict[str, str]
) -> None:
    given = {TOKEN: LONG, "FAXLINE_ACCOUNTS__DEFAULT__WEBHOOK_SECRETS": '["a-longer-secret"]'} | more
    if not more:
        given[variable] = '["a-longer-secret", "short"]'
    with pytest.raises(SettingsError, match=f"^{variable} holds a secret of fewer than 8") as caught:
        check_requirements(read_settings(given), "webhook")
    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("http://redis:6379/0", "^FAXLINE_REDIS_URL_FILE must be a URL"),
        ("redis://127.0.0.1/x", "^FAXLINE_REDIS_URL_FILE must end in"),
    ],
)
def test_a_bad_setting_from_a_file_is_told_with_the_variable_of_the_file(
    tmp_path: Path, content: str, expected: str
) -> None:
    file = tmp_path / "url"
    file.write_text(content)
    with pytest.raises(SettingsError, match=expected):
        read_settings({TOKEN: LONG, "FAXLINE_REDIS_URL_FILE": str(file)})


@pytest.mark.parametrize("name", ["FAXLINE_REDIS_URL", "FAXLINE_REDIS_URL_FILE"])
def test_a_redis_that_lets_nobody_in_is_told_with_the_variable_that_was_given(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    free_port: int,
    name: str,
) -> None:
    url = f"redis://127.0.0.1:{free_port}/0"
    (tmp_path / "url").write_text(url)
    monkeypatch.setenv(name, str(tmp_path / "url") if name.endswith("_FILE") else url)
    settings = read_settings({TOKEN: LONG, "FAXLINE_REDIS_URL": url, "FAXLINE_REDIS_PATIENCE": "0"})
    with pytest.raises(SystemExit):
        require_redis(settings, "worker")
    assert capsys.readouterr().err.startswith(f"faxline-worker: {name}: 127.0.0.1:{free_port} ")


@pytest.mark.parametrize(
    ("text", "waits"), [("90", (90,)), ("[60]", (60,)), (" [60, 300.5]", (60, 300.5)), ("0.5", (0.5,))]
)
def test_the_waits_of_a_delivery_are_one_number_or_a_list(text: str, waits: tuple[float, ...]) -> None:
    settings = read_settings({TOKEN: LONG, "FAXLINE_RETRIES__DELIVERY__NO_ANSWER": text})
    assert settings.retries.delivery.no_answer == tuple(timedelta(seconds=wait) for wait in waits)


@pytest.mark.parametrize(
    "text", ["", "soon", "[]", "[60,", "[60, -1]", '["soon"]', "0", "-5", "[[60]]", "{}"]
)
def test_waits_that_are_none_are_refused_with_the_variable(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^FAXLINE_RETRIES__DELIVERY__BUSY: "):
        read_settings({TOKEN: LONG, "FAXLINE_RETRIES__DELIVERY__BUSY": text})
