"""The URLs of Sentinels; tests/redis/servers/test_failover.py has the failovers themselves."""

import pytest

from faxline.contract.connections.redis_url import SentinelUrl, sentinel_url
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError
from faxline_worker.state.redis_clients import RedisUnreachable, check_reachable, state_client

TOKEN = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "t"}


def test_a_sentinel_that_is_away_is_named_without_the_password() -> None:
    url = "redis+sentinel://:secret@127.0.0.1:1/faxes/0"
    with state_client(url, name="test") as client, pytest.raises(RedisUnreachable) as caught:
        check_reachable(client, 0)
    assert "'faxes'" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_sentinel_url_names_sentinels_service_database_and_login() -> None:
    assert sentinel_url("rediss+sentinel://me:p%40ss@a:1,b/faxes/3") == SentinelUrl(
        (("a", 1), ("b", 26379)), "faxes", 3, "me", "p@ss", tls=True
    )
    assert sentinel_url("redis://localhost") is None


def test_a_sentinel_url_has_options_of_tls_and_the_sentinels_own_login() -> None:
    parsed = sentinel_url(
        "rediss+sentinel://a/faxes?ssl_ca_certs=/etc/ca.crt&ssl_check_hostname=false"
        "&sentinel_username=me&sentinel_password=p%40ss"
    )
    assert parsed is not None
    assert parsed.security == {"ssl": True, "ssl_ca_certs": "/etc/ca.crt", "ssl_check_hostname": False}
    assert (parsed.sentinel_username, parsed.sentinel_password) == ("me", "p@ss")
    settings = read_settings(
        TOKEN
        | {"FAXLINE_REDIS_URL": "rediss+sentinel://a/faxes/0?sentinel_password=for-them&ssl_ca_certs=/ca"}
    )
    assert settings.broker == "rediss+sentinel://a/faxes/1?sentinel_password=for-them&ssl_ca_certs=/ca"
    assert "for-them" in settings.secrets


def test_the_brokers_database_follows_from_a_sentinel_url_and_its_password_is_a_secret() -> None:
    settings = read_settings(TOKEN | {"FAXLINE_REDIS_URL": "redis+sentinel://me:pass@a:1,b/faxes/0"})
    assert settings.broker == "redis+sentinel://me:pass@a:1,b/faxes/1"
    assert "pass" in settings.secrets


@pytest.mark.parametrize(
    "bad",
    [
        *("redis+sentinel://a:x/faxes", "redis+sentinel://a:1", "redis+sentinel:///faxes"),
        *("rediss+sentinel://a/faxes?ssl_ca=/x", "redis+sentinel://a/faxes?ssl_ca_certs=/x"),
    ],
)
def test_a_sentinel_url_that_makes_no_sense_is_told_with_the_variable(bad: str) -> None:
    with pytest.raises(SettingsError, match="FAXLINE_REDIS_URL"):
        read_settings(TOKEN | {"FAXLINE_REDIS_URL": bad})
