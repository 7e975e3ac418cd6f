"""The settings come from the mapping that is passed; a bad one ends in a line that names the variable."""

from datetime import timedelta

import pytest

from faxline_worker.config.settings import Settings, read_settings
from faxline_worker.config.source import SettingsError, setting_variables

ONE = {"FAXLINE_ACCOUNTS": "default"}


def refusal(**more: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings(ONE | {f"FAXLINE_{name}": value for name, value in more.items()})
    return str(caught.value)


def test_only_the_mapping_is_read_and_not_the_environment_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAXLINE_HTTP_TIMEOUT", "7")
    assert read_settings(ONE | {"PATH": "/bin"}).http_timeout == timedelta(seconds=30)


def test_a_duration_is_given_in_seconds() -> None:
    settings = read_settings(
        ONE
        | {
            "FAXLINE_HTTP_TIMEOUT": "0.5",
            "FAXLINE_STATUS_CALL": "true",
            "FAXLINE_STATUS_CALL__TIMEOUT": "60",
            "FAXLINE_ACCOUNTS__DEFAULT__LIMITS__WINDOW": "90",
            "FAXLINE_POLL__SCHEDULE": "[30, 60.5]",
        }
    )
    assert settings.http_timeout == timedelta(milliseconds=500)
    assert (settings.status_call, settings.status_call_timeout) == (True, timedelta(minutes=1))
    assert settings.limits_of("default").window == timedelta(seconds=90)
    assert settings.poll.schedule == (timedelta(seconds=30), timedelta(seconds=60.5))


@pytest.mark.parametrize("text", ["", "soon", "PT5S", "00:30", "nan", "inf", "1e99"])
def test_a_duration_that_is_no_number_of_seconds_is_refused(text: str) -> None:
    assert refusal(HTTP_TIMEOUT=text) == "FAXLINE_HTTP_TIMEOUT: must be a number of seconds"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HTTP_TIMEOUT", "0"),
        ("RETRIES__SUBMISSION__BASE", "-1"),
        ("REDIS_PATIENCE", "-1"),
        ("REDIS_REPLICAS_TIMEOUT", "4"),
        ("STATUS_CALL__TIMEOUT", "0"),
        ("ACCOUNTS__DEFAULT__LIMITS__REQUESTS", "-1"),
        ("METRICS__WORKER_PORT", "70000"),
        ("IN_DOUBT__THEN", "guess"),
        ("POLL__SCHEDULE", "[60, 30]"),
        ("POLL__SCHEDULE", '["soon"]'),
    ],
)
def test_a_value_out_of_its_bounds_is_refused_with_its_variable_in_one_line(name: str, text: str) -> None:
    message = refusal(**{name: text})
    assert message.startswith(f"FAXLINE_{name}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("HTTP_TIMEOT", "did you mean FAXLINE_HTTP_TIMEOUT?"),
        ("LIMITS__REQUEST", "did you mean FAXLINE_LIMITS__REQUESTS?"),
        ("LIMITS__REQUESTS__EACH", "docs/settings.md"),
        ("ACCOUNTS__ACME__TOKENS", "did you mean FAXLINE_ACCOUNTS__ACME__TOKEN?"),
        ("ACCOUNTS__ACME__COLOR_OF_THE_LOGO", "docs/settings.md"),
        ("LIMITS", "docs/settings.md"),
        ("REDIS_URL__HOST", "docs/settings.md"),
        ("COLOR", "docs/settings.md"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused_with_what_it_may_be(name: str, fix: str) -> None:
    message = refusal(**{name: "1"})
    assert message.startswith(f"FAXLINE_{name} is not a setting of Faxline: ")
    assert fix in message


def test_the_setting_of_every_variable_is_found_by_its_name() -> None:
    variables = setting_variables(Settings)
    assert {
        "FAXLINE_ACCOUNTS",
        "FAXLINE_ACCOUNTS__<NAME>__TOKEN",
        "FAXLINE_ACCOUNTS__<NAME>__LIMITS__BURST",
        "FAXLINE_RETRIES__DELIVERY__BUSY",
        "FAXLINE_STATUS_CALL__TIMEOUT",
    } <= set(variables)


def test_no_secret_shows_in_the_settings_nor_in_a_refusal() -> None:
    secret = "a-secret-of-acme"
    given = {
        "FAXLINE_ACCOUNTS__ACME__TOKEN": secret,
        "FAXLINE_ACCOUNTS__ACME__WEBHOOK_SECRETS": f'["{secret}"]',
    }
    assert secret not in repr(read_settings(given))
    with pytest.raises(SettingsError) as caught:
        read_settings(given | {"FAXLINE_ACCOUNTS__ACME__LIMITS__BURST": secret, "FAXLINE_SWEEP": secret})
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://host/db", "file.db"]
)
def test_an_archive_is_a_file_or_a_database_of_postgresql(url: str) -> None:
    with pytest.raises(SettingsError, match=r"FAXLINE_ARCHIVE__URL must be sqlite:///PATH"):
        read_settings({"FAXLINE_ACCOUNTS": "default", "FAXLINE_ARCHIVE__URL": url})


def test_the_password_of_the_archives_database_is_a_secret() -> None:
    url = "postgresql+psycopg://faxline:s3cret%2Fword@host/archive"
    settings = read_settings({"FAXLINE_ACCOUNTS": "default", "FAXLINE_ARCHIVE__URL": url})
    assert {"s3cret%2Fword", "s3cret/word"} <= set(settings.secrets)
