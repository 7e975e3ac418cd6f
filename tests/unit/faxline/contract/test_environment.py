"""A setting that is given twice, in small letters or by an old name is an error in both programs."""

from pathlib import Path

import pytest

from faxline.cli.running import run
from faxline.contract.environment import check_environment
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError

TWICE = [
    (
        {"FAXLINE_REDIS_URL": "redis://127.0.0.1/0", "FAXLINE_REDIS_URL_FILE": "/none"},
        "FAXLINE_REDIS_URL and FAXLINE_REDIS_URL_FILE are both set: unset one of them",
    ),
    (
        {"FAXLINE_SEALING_KEYS": "k:secret-of-the-keyring", "FAXLINE_SEALING_KEYS_FILE": "/none"},
        "FAXLINE_SEALING_KEYS and FAXLINE_SEALING_KEYS_FILE are both set: unset one of them",
    ),
    (
        {"FAXLINE_ACCOUNTS__A__TOKEN": "secret-token", "FAXLINE_ACCOUNTS__a__TOKEN_FILE": "/none"},
        "FAXLINE_ACCOUNTS__A__TOKEN and FAXLINE_ACCOUNTS__a__TOKEN_FILE are both set: unset one of them",
    ),
    (
        {"FAXLINE_ACCOUNTS__A__TOKEN": "secret-token", "faxline_accounts": "a"},
        "faxline_accounts is not in capitals: write FAXLINE_ACCOUNTS, or unset it",
    ),
    ({"FAXLINE_redis_url": "redis://x/0"}, "FAXLINE_redis_url is not in capitals: write FAXLINE_REDIS_URL"),
    ({"FAXLINE_KEYS": "k:secret"}, "FAXLINE_KEYS has been renamed: write FAXLINE_SEALING_KEYS"),
    ({"FAXLINE_LINES__LEASE": "9"}, "FAXLINE_LINES__LEASE has been renamed: write FAXLINE_NUMBERS__LEASE"),
    ({"FAXLINE_KEYS_FILE": "/none"}, "FAXLINE_KEYS_FILE has been renamed: write FAXLINE_SEALING_KEYS_FILE"),
]


@pytest.mark.parametrize(("given", "expected"), TWICE)
def test_both_programs_refuse_names_that_clash_or_are_not_in_capitals_or_were_renamed(
    given: dict[str, str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"FAXLINE_ACCOUNTS": "default"} | given)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert run(["list"]) == 2
    line = capsys.readouterr().err
    assert line == f"faxline: {caught.value}\n"
    assert expected in line
    assert "secret" not in line


def test_an_empty_variable_is_not_set_and_the_name_of_an_account_may_be_in_small_letters(
    tmp_path: Path,
) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-of-acme\n")
    settings = read_settings(
        {
            "FAXLINE_ACCOUNTS__acme__TOKEN": "",
            "FAXLINE_ACCOUNTS__acme__TOKEN_FILE": str(token),
            "faxline_account": "",
        }
    )
    assert settings.accounts["acme"].token is not None
    assert settings.accounts["acme"].token.get_secret_value() == "a-token-of-acme"
    check_environment({"PATH": "/bin", "faxlines": "x"})
