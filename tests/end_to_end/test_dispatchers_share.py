"""Three dispatchers share the accounts. One is killed, the others take over, and every fax is sent once."""

import re
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from faxline import FaxLine, JobState
from faxline_local.processes import wait_for
from faxline_local.stack import Local

pytestmark = pytest.mark.slow

ACCOUNTS = [f"a{i:02}" for i in range(24)]
SANDBOX = ("--call-seconds", "0.1", "--page-seconds", "0", "--answer-seconds", "0.01", "0.1")
WAIT = 60.0


def served(local: Local) -> dict[str, int]:
    """How many accounts each dispatcher that is ready serves, by its own metric."""
    found = {}
    for name in local.names("dispatcher"):
        if local.ready(name):
            page = httpx.get(f"http://127.0.0.1:{local.metrics[name]}/metrics", trust_env=False).text
            value = re.search(r"^fax_accounts_served (\S+)", page, re.MULTILINE)
            assert value is not None
            found[name] = int(float(value[1]))
    return found


def test_accounts_are_shared_and_those_of_a_dispatcher_that_is_killed_go_on(
    make_local: Callable[..., Local], tmp_path: Path
) -> None:
    with (
        make_local(
            tmp_path,
            dispatchers=3,
            workers=2,
            accounts=ACCOUNTS,
            settings={"SWEEP": "2", "WAKE_LEASE": "1", "TAKEOVER": "2"},
            sandbox=SANDBOX,
        ) as local,
        ExitStack() as stack,
    ):
        lines = {
            name: stack.enter_context(FaxLine(local.url_of("producer"), account=name)) for name in ACCOUNTS
        }

        def push(word: str) -> list[tuple[str, str]]:
            pushed = []
            for account, line in lines.items():
                name = f"{word}-{account}"
                line.send(to="+12025550123", files=["https://example.com/a.pdf"], id=name, subject=name)
                pushed.append((account, name))
            return pushed

        jobs = push("first")
        assert wait_for(lambda: sum(served(local).values()) == 2 * len(ACCOUNTS), WAIT)
        assert all(0 < n < len(ACCOUNTS) for n in served(local).values())
        jobs += push("shared")
        killed = local.part(local.names("dispatcher")[0])
        killed.kill()
        jobs += push("killed")
        ended = [lines[account].wait(name, timeout=WAIT) for account, name in jobs]
        assert {job.id: job.state for job in ended if job.state is not JobState.DELIVERED} == {}
        assert wait_for(lambda: set(served(local).values()) == {len(ACCOUNTS)}, WAIT)
        assert len(served(local)) == 2
        killed.start()
        assert wait_for(lambda: sum(served(local).values()) == 2 * len(ACCOUNTS), WAIT)
        jobs += push("again")
        ended = [lines[account].wait(name, timeout=WAIT) for account, name in jobs]
        assert {job.id: job.state for job in ended if job.state is not JobState.DELIVERED} == {}
        assert Counter(fax["subject"] for fax in local.ledger()) == Counter(name for _, name in jobs)
