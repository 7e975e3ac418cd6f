"""What each part demands of the settings, and the accounts that are named only."""

import pytest

from faxline_worker.settings import SettingsError, demand, read_settings

TOKEN = "FAXLINE_ACCOUNTS__DEFAULT__TOKEN"
LONG = "a-token-that-is-long"


@pytest.mark.parametrize("role", ["dispatcher", "webhook"])
def test_a_part_that_calls_nobody_needs_the_names_of_the_accounts_only(role: str) -> None:
    settings = read_settings({"FAXLINE_ACCOUNTS": "Default, acme"})
    demand(settings, role)
    assert list(settings.accounts) == ["default", "acme"]
    assert settings.secrets == []


def test_a_worker_needs_the_token_of_each_account() -> None:
    settings = read_settings({"FAXLINE_ACCOUNTS": "default,acme", TOKEN: LONG})
    with pytest.raises(SettingsError, match="FAXLINE_ACCOUNTS__ACME__TOKEN is missing"):
        demand(settings, "worker")
    demand(read_settings({TOKEN: LONG}), "worker")


def test_a_name_adds_to_what_is_told_of_accounts_and_takes_nothing_away() -> None:
    settings = read_settings({"FAXLINE_ACCOUNTS": '["default"]', "FAXLINE_ACCOUNTS__DEFAULT__CALLER_ID": "1"})
    assert settings.accounts["default"].caller_id == "1"


def test_without_any_account_both_ways_to_name_one_are_told() -> None:
    with pytest.raises(SettingsError, match=r"FAXLINE_ACCOUNTS__DEFAULT__TOKEN.*FAXLINE_ACCOUNTS=default"):
        read_settings({})


@pytest.mark.parametrize(
    ("variable", "more"),
    [
        (TOKEN, {TOKEN: "short"}),
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
    with pytest.raises(SettingsError, match=f"^{variable} holds a secret of less than 8") as caught:
        demand(read_settings(given), "worker")
    assert "short" not in str(caught.value)
