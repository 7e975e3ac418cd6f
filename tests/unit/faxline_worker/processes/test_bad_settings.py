"""A process whose settings are bad ends before anything else, with one line that names the variable."""

import os

import pytest

from faxline_worker.processes.common import BAD_SETTINGS, load

ONE = {"ACCOUNTS__DEFAULT__TOKEN": "t-of-tests"}


@pytest.mark.parametrize(
    ("role", "settings", "says"),
    [
        *((role, {}, "FAXLINE_ACCOUNTS__<NAME>__TOKEN") for role in ("dispatcher", "worker", "webhook")),
        ("worker", ONE | {"REDIS_URL": "http://x"}, "FAXLINE_REDIS_URL"),
        ("webhook", ONE | {"ACCOUNT": "nobody"}, "FAXLINE_ACCOUNT"),
        (
            "worker",
            ONE | {"ACCOUNTS__ACME__TOKEN": "t-of-tests"},
            "FAXLINE_ACCOUNTS__ACME__TOKEN and FAXLINE_ACCOUNTS__DEFAULT__TOKEN are the same",
        ),
        (
            "worker",
            {"ACCOUNTS__DEFAULT__TOKEN": "t"},
            "FAXLINE_ACCOUNTS__DEFAULT__TOKEN holds a secret of fewer than 8",
        ),
    ],
)
def test_a_bad_setting_ends_a_process_with_one_line(
    role: str,
    settings: dict[str, str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in os.environ if name.startswith("FAXLINE_")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(f"FAXLINE_{name}", value)
    with pytest.raises(SystemExit) as ended:
        load(role)
    out, error = capsys.readouterr()
    assert (ended.value.code, out, error.count("\n")) == (BAD_SETTINGS, "", 1)
    assert says in error
