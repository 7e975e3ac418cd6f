"""The URLs of clusters."""

import pytest

from faxline.contract.connections.cluster_url import ClusterUrl, cluster_url
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError

TOKEN = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "t"}
BROKER = {"FAXLINE_BROKER_URL": "redis://broker/0"}


def test_a_cluster_url_names_nodes_and_login() -> None:
    assert cluster_url("rediss+cluster://me:p%40ss@a:1, b,[::1]:2") == ClusterUrl(
        (("a", 1), ("b", 6379), ("::1", 2)), "me", "p@ss", tls=True
    )
    assert cluster_url("redis://localhost") is None


def test_a_cluster_url_has_options_of_tls() -> None:
    found = cluster_url("rediss+cluster://a?ssl_ca_certs=/etc/ca.crt&ssl_check_hostname=false")
    assert found is not None
    assert found.options == {
        "username": None,
        "password": None,
        "ssl": True,
        "ssl_ca_certs": "/etc/ca.crt",
        "ssl_check_hostname": False,
    }


def test_the_password_of_a_cluster_url_is_a_secret() -> None:
    settings = read_settings(TOKEN | BROKER | {"FAXLINE_REDIS_URL": "redis+cluster://me:p%40ssword@a,b"})
    assert "p@ssword" in settings.secrets


def test_a_cluster_needs_a_broker_of_its_own_because_it_has_one_database() -> None:
    with pytest.raises(SettingsError, match=r"FAXLINE_BROKER_URL must be set.*cluster"):
        read_settings(TOKEN | {"FAXLINE_REDIS_URL": "redis+cluster://a,b"})


def test_the_broker_is_one_server() -> None:
    url = "redis+cluster://a,b"
    with pytest.raises(SettingsError, match="FAXLINE_BROKER_URL must name one server"):
        read_settings(TOKEN | {"FAXLINE_REDIS_URL": url, "FAXLINE_BROKER_URL": url})


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("redis+cluster://a:x", "port"),
        ("redis+cluster://", "host"),
        ("redis+cluster://a,,b", "host"),
        ("redis+cluster://a/1", "only database 0"),
        ("redis+cluster://me:p/ss@a,b", "write a / in the password as %2F"),
        ("rediss+cluster://a?ssl_ca=/x", "known are ssl_ca_certs"),
        ("redis+cluster://a?ssl_ca_certs=/x", "rediss"),
    ],
)
def test_a_cluster_url_that_makes_no_sense_is_told_with_the_variable(bad: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"FAXLINE_REDIS_URL.*{why}"):
        read_settings(TOKEN | BROKER | {"FAXLINE_REDIS_URL": bad})
