"""Secrets are rotated while faxes flow: nothing is lost or sent twice, no process starts again."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from faxline import FaxLine, JobState
from faxline_local.processes import wait_for
from faxline_local.stack import TOKEN, WEBHOOK_SECRET, Local
from tests.stage.load import Load, refused_webhooks
from tests.stage.marks import MARK

pytestmark = pytest.mark.slow

NEW_TOKEN, NEWER_TOKEN, NEW_SECRET = f"new-{MARK}", f"newer-{MARK}", f"secret-{MARK}"
READ_AGAIN = '"a secret was read again"'
LIMITS = ("--window", "60", "--burst", "400", "--requests", "20000", "--time-scale", "0.01")
SANDBOX = (*LIMITS, "--call-seconds", "0.2", "--page-seconds", "0", "--answer-seconds", "0.01", "0.1")
SETTINGS = {
    "LIMITS__WINDOW": "60",
    "LIMITS__BURST": "400",
    "LIMITS__REQUESTS": "20000",
    "NUMBERS__CONCURRENT": "0",
    "PROBE__FIRST": "0.5",
    "PROBE__MAX": "1",
    "SECRETS_POLL": "0.2",
    "SWEEP": "2",
}
WAIT = 90.0
ACCOUNT = "default"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    token, secrets = tmp_path / "token", tmp_path / "secrets"
    token.write_text(TOKEN)
    secrets.write_text(json.dumps([WEBHOOK_SECRET]))
    return token, secrets


def read_again(local: Local, role: str, member: str) -> int:
    """How often the process of this role that lags behind has read a secret again."""
    return min(
        sum(READ_AGAIN in line and member in line for line in local.part(name).log.read_text().splitlines())
        for name in local.names(role)
    )


def replace(path: Path, text: str) -> None:
    """Change a file's content in one step."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_no_fax_and_no_webhook_is_lost_and_no_fax_sent_twice_while_secrets_are_rotated_under_load(
    make_local: Callable[..., Local], tmp_path: Path, files: tuple[Path, Path]
) -> None:
    token, secrets = files
    named = {
        "ACCOUNTS__DEFAULT__TOKEN_FILE": str(token),
        "ACCOUNTS__DEFAULT__WEBHOOK_SECRETS_FILE": str(secrets),
    }
    with (
        make_local(tmp_path, workers=2, settings=SETTINGS | named, sandbox=SANDBOX) as local,
        FaxLine(local.url_of("operator")) as line,
        FaxLine(local.url_of("producer")) as pusher,
    ):
        load = Load({ACCOUNT: pusher}, every=0.02)
        load.accounts = [ACCOUNT]
        with load.running():
            load.flows(ACCOUNT, 15)

            # The webhook's secret: both are listed, iFax changes over, the old one goes.
            replace(secrets, json.dumps([WEBHOOK_SECRET, NEW_SECRET]))
            assert wait_for(lambda: read_again(local, "webhook", "WEBHOOK_SECRETS_FILE") == 1, WAIT)
            local.control("PUT", "accounts/default/webhook-secret", NEW_SECRET)
            signed_before = load.of(ACCOUNT)
            load.flows(ACCOUNT, 15)
            for job in signed_before:  # what iFax signed with the old one is on its way until then
                line.wait(job, timeout=WAIT)
            replace(secrets, json.dumps([NEW_SECRET]))
            assert wait_for(lambda: read_again(local, "webhook", "WEBHOOK_SECRETS_FILE") == 2, WAIT)
            load.flows(ACCOUNT, 15)

            # The API key: iFax takes both, the file changes, the old one is revoked.
            local.control("PUT", "accounts/default/tokens", [TOKEN, NEW_TOKEN])
            token.write_text(NEW_TOKEN)
            assert wait_for(lambda: read_again(local, "worker", "TOKEN_FILE") == 1, WAIT)
            load.flows(ACCOUNT, 15)
            local.control("PUT", "accounts/default/tokens", [NEW_TOKEN])
            load.flows(ACCOUNT, 15)

            # The wrong order: the key is revoked before the daemon has the new one. The account waits.
            local.control("PUT", "accounts/default/tokens", [NEWER_TOKEN])
            assert wait_for(lambda: line.account_state().paused not in {"", "operator"}, WAIT)
            token.write_text(NEWER_TOKEN)
            load.flows(ACCOUNT, 15)
        jobs = load.of(ACCOUNT)
        ended = [line.wait(job, timeout=WAIT) for job in jobs]
        local.control("POST", "drain?timeout=60", timeout=WAIT)
        assert {job.id for job in ended if job.state is not JobState.DELIVERED} == set()
        assert [job.attempt for job in ended] == [1] * len(jobs)  # a refused key spends no attempt
        assert Counter(fax["subject"] for fax in local.ledger()) == Counter(jobs)
        webhooks = local.stats()["default"]["webhooks"]
        assert (webhooks["sent"], webhooks["failed"], webhooks["lost"]) == (len(jobs), 0, 0)
        assert refused_webhooks(local) == []
        assert local.stats()["(unknown)"]["refused"]["-3009"] > 0
