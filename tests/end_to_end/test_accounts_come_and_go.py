"""Accounts are added, changed and removed while faxes flow: every fax is sent once, and none is in doubt."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from faxline import FaxLine, JobState
from faxline_local.processes import wait_for
from faxline_local.stack import Local, token_of, webhook_secret_of
from tests.stage.load import Load, refused_webhooks
from tests.stage.marks import MARK

pytestmark = pytest.mark.slow

NEW_TOKEN = f"new-{MARK}"
LIMITS = ("--window", "60", "--burst", "400", "--requests", "20000", "--time-scale", "0.01")
SANDBOX = (*LIMITS, "--call-seconds", "0.5", "--page-seconds", "0", "--answer-seconds", "0.01", "0.1")
SETTINGS = {
    "LIMITS__WINDOW": "60",
    "LIMITS__BURST": "400",
    "LIMITS__REQUESTS": "20000",
    "NUMBERS__CONCURRENT": "0",
    "HTTP_TIMEOUT": "10",  # an account that is removed is drained for longer than a call
    "HTTP_RATE": "20000000",
    "SECRETS_POLL": "0.2",
    "WAKE_LEASE": "1",
    "SWEEP": "1",
}
WAIT = 90.0
ACCOUNTS = ("acme", "gone", "late")


class Folders:
    """The directory of the accounts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def write(self, account: str, *, token: str = "", settings: str = "{}") -> None:
        """Write a folder beside the directory, and put it in its place in one step."""
        made = self.root.parent / f"new-{account}"
        made.mkdir()
        (made / "token").write_text(token or token_of(account))
        (made / "webhook_secrets").write_text(json.dumps([webhook_secret_of(account)]))
        (made / "settings.json").write_text(settings)
        self.remove(account)
        made.rename(self.root / account)

    def remove(self, account: str) -> None:
        """Remove a folder, if it is there."""
        if (self.root / account).exists():
            Path(self.root / account).rename(
                self.root.parent / f"{account}-{len(list(self.root.parent.iterdir()))}"
            )


def logged(local: Local, text: str, account: str, *roles: str) -> bool:
    """Whether every process of these roles has logged it about the account."""
    return all(
        any(
            f'"{text}' in line and f'"{account}"' in line
            for line in local.part(name).log.read_text().splitlines()
        )
        for role in roles
        for name in local.names(role)
    )


def test_accounts_are_added_changed_and_removed_under_load_and_every_fax_is_sent_once(
    make_local: Callable[..., Local], tmp_path: Path
) -> None:
    folders = Folders(tmp_path / "accounts")  # there is no account at first
    everybody = ("dispatcher", "worker", "webhook")
    with (
        make_local(
            tmp_path,
            workers=2,
            dispatchers=2,
            accounts=(),
            settings=SETTINGS | {"ACCOUNTS_DIR": str(folders.root)},
            sandbox=(*SANDBOX, *(word for name in ACCOUNTS for word in ("--account", name))),
        ) as local,
        ExitStack() as stack,
    ):
        lines = {
            name: stack.enter_context(FaxLine(local.url_of("operator"), account=name)) for name in ACCOUNTS
        }
        load = Load(
            {name: stack.enter_context(FaxLine(local.url_of("producer"), account=name)) for name in ACCOUNTS}
        )
        with load.running():
            folders.write("acme")
            folders.write("gone")
            load.accounts = ["acme", "gone"]
            load.flows("acme")

            folders.write("late")
            load.accounts = ["acme", "gone", "late"]
            load.flows("late")

            # The token: iFax takes both, the folder changes, the old one is revoked.
            local.control("PUT", "accounts/acme/tokens", [token_of("acme"), NEW_TOKEN])
            folders.write("acme", token=NEW_TOKEN, settings='{"limits": {"concurrency": 7}}')
            assert wait_for(lambda: logged(local, "account changed", "acme", *everybody), WAIT)
            local.control("PUT", "accounts/acme/tokens", [NEW_TOKEN])
            load.flows("acme")
            assert wait_for(lambda: lines["acme"].account_state().concurrency.configured == 7, WAIT)

            # A folder that breaks costs nothing: the account goes on as before.
            folders.write("late", settings='{"limits": {"concurency": 7}}')
            told = "an account's folder cannot be read"
            assert wait_for(lambda: logged(local, told, "late", *everybody), WAIT)
            load.flows("late")

            # One is removed: nothing more is submitted, and what is with iFax comes to its end.
            load.flows("gone")
            folders.remove("gone")
            assert wait_for(lambda: logged(local, "account removed", "gone", *everybody), WAIT)
            load.flows("acme", 20)
            assert wait_for(lambda: logged(local, "account forgotten", "gone", *everybody), WAIT)
            states = Counter(load.state("gone", name) for name in load.of("gone"))
            assert set(states) <= {"delivered", "queued", "intake"}
            assert states["queued"] + states["intake"] > 0
            sent = [fax["subject"] for fax in local.ledger() if fax["subject"].startswith("gone-")]
            assert len(sent) == states["delivered"]

            # It comes back, and what waited goes on.
            folders.write("gone")
            load.flows("gone")
        jobs = [lines[account].wait(name, timeout=WAIT) for account, name in load.jobs]
        local.control("POST", "drain?timeout=60", timeout=WAIT)
        assert {job.id: job.state for job in jobs if job.state is not JobState.DELIVERED} == {}
        assert {job.attempt for job in jobs} == {1}
        assert Counter(fax["subject"] for fax in local.ledger()) == Counter(name for _, name in load.jobs)
        assert refused_webhooks(local) == []
