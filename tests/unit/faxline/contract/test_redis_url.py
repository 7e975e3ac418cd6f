"""A Redis URL with an option that nobody knows is refused before anything is connected."""

import pytest

from faxline import AsyncFaxLine, FaxLine
from faxline.cli.running import run
from faxline.contract.connections.redis_url import connect
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError

SECRET = "hunter2secret"
SAYS = "the URL of Redis has an unknown option"
URLS = [f"{start}?{SECRET}=bar" for start in ("redis://h/0", "rediss://h/0", "unix:///s")]
"""A ? in a password begins the options, so no name of one is repeated."""


@pytest.mark.parametrize("kind", [FaxLine, AsyncFaxLine])
@pytest.mark.parametrize("url", URLS)
def test_an_unknown_option_is_an_error_of_the_line_that_is_made(kind: type, url: str) -> None:
    with pytest.raises(ValueError, match=SAYS) as caught:
        kind(url)
    assert SECRET not in str(caught.value)


def test_an_unknown_option_is_bad_usage_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--redis", URLS[0], "list"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"faxline: {SAYS}")
    assert (told.count("\n"), SECRET in told) == (1, False)


@pytest.mark.parametrize("name", ["FAXLINE_REDIS_URL", "FAXLINE_BROKER_URL"])
@pytest.mark.parametrize("url", URLS)
def test_the_daemons_settings_name_the_variable(name: str, url: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: {SAYS}") as caught:
        read_settings({"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "a-token-of-eight", name: url})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("option", ["socket_timeout=3", "ssl_ca_certs=/none.crt", "max_connections=7"])
def test_options_of_redis_py_are_taken(option: str) -> None:
    with connect(f"rediss://h/0?{option}") as client:
        assert client.connection_pool.connection_kwargs["host"] == "h"
