"""A deployment that removes an account and restarts its parts at once: its faxes end, it is forgotten."""

from pathlib import Path

import pytest

from faxline import FaxLine, JobState
from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import ACCOUNTS, DRAINING, FOLDERS
from faxline_local.processes import wait_for
from faxline_local.redis_access import Access
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local
from tests.end_to_end.test_accounts_come_and_go import Folders, logged

pytestmark = pytest.mark.slow

SANDBOX = ("--call-seconds", "12", "--page-seconds", "0", "--answer-seconds", "0.01", "0.1")
SETTINGS = {
    "HTTP_TIMEOUT": "5",
    "HTTP_RATE": "20000000",
    "LEASE_GRACE": "1",
    "SECRETS_POLL": "0.2",
    "SWEEP": "1",
    "WAKE_LEASE": "1",
}
WAIT = 90.0


def test_an_account_that_was_removed_while_nothing_ran_is_drained_to_its_end_after_the_start(
    server_binary: ServerBinary, access: Access, tmp_path: Path
) -> None:
    folders = Folders(tmp_path / "accounts")
    for name in ("gone", "stays"):
        folders.write(name)
    with (
        Local(
            tmp_path,
            accounts=(),
            settings=SETTINGS | {"ACCOUNTS_DIR": str(folders.root)},
            sandbox=(*SANDBOX, "--account", "gone", "--account", "stays"),
            binary=server_binary,
            access=access,
        ) as local,
        FaxLine(local.url_of("producer"), account="gone") as gone,
        FaxLine(local.url_of("producer"), account="stays") as stays,
        FaxLine(local.url_of("operator"), account="gone") as operator,
        connect(local.redis_url) as client,
    ):
        sent = gone.send(to="+12025550123", files=["https://example.com/a.pdf"], id="a", subject="a")
        assert any(event.name == "fax.submitted" for event in gone.events(after="0", timeout=WAIT))
        begun = [local.part(name) for role in ("dispatcher", "worker") for name in local.names(role)]
        for part in begun:
            part.stop()
        folders.remove("gone")  # a webhook goes on: it has the secrets
        gone.send(to="+12025550123", files=["https://example.com/a.pdf"], id="late", subject="late")
        for part in begun:
            part.start()
        assert wait_for(lambda: logged(local, "account removed", "gone", "dispatcher", "worker"), WAIT)
        assert any("folder is gone" in check.text for check in operator.checks())
        assert gone.wait(sent, timeout=WAIT).state is JobState.DELIVERED
        assert wait_for(lambda: not client.sismember(ACCOUNTS, "gone"), WAIT)
        everybody = ("dispatcher", "worker", "webhook")
        assert wait_for(lambda: logged(local, "account forgotten", "gone", *everybody), WAIT)
        assert client.hgetall(DRAINING) == {}
        assert set(client.hgetall(FOLDERS)) == {b"stays"}
        assert stays.wait(
            stays.send(to="+12025550124", files=["https://example.com/a.pdf"]), timeout=WAIT
        ).pages
        folders.write("gone")  # what waited goes on
        assert gone.wait("late", timeout=WAIT).state is JobState.DELIVERED
