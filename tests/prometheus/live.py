"""`python -m tests.prometheus.live FILE`: a live run, and what Prometheus answers to the overview's queries.

For `make picture`. A day in twelve minutes: two accounts send at all priorities, some callees are busy, a
mailing comes, somebody else uses a key, a third account has no balance. The limits are iFax's own.
"""

import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import redis

from faxline import FaxLine
from faxline_boards.overview import overview
from faxline_local.stack import WEBHOOK_SECRET, Local
from faxline_worker.receipts.signature import HEADER, sign
from tests.prometheus.programs import Prometheus, scraping

SECONDS = 720
STEP = 4
BEFORE = 660
"""Seconds that the picture shows; the first minute belongs to the start."""
ACCOUNTS = ("default", "acme", "legacy")
SETTINGS = {
    "HTTP_TIMEOUT": "5",
    "LEASE_GRACE": "2",
    "IN_DOUBT__WAIT": "90",
    "RETRIES__DELIVERY__ATTEMPTS": "3",
    "RETRIES__DELIVERY__BUSY": "40",
    "RETRIES__DELIVERY__NO_ANSWER": "60",
    "RETRIES__DELIVERY__OTHER": "20",
    "PROBE__FIRST": "3600",
    "COOLDOWN__MIN": "5",
}
SANDBOX = (
    *("--answer-seconds", "0.15", "0.9", "--call-seconds", "14", "--page-seconds", "2.5"),
    *("--time-scale", "0.1"),
)
ORDINARY = "0150"
TROUBLE = {
    "0917": 5,
    "0017": 2,
    "0919": 3,
    "0019": 1,
    "0941": 3,
    "0206": 2,
    "0001": 2,
    "0021": 1,
    "3001": 1,
    "3006": 1,
    "0501": 2,
    "0445": 1,
    "0602": 1,
    "0503": 2,
}
"""Of every hundred faxes, how many meet which of the sandbox's magic numbers."""
VARIABLES = {"$__rate_interval": "30s", "$__range": f"{BEFORE}s", "$account": ".+"}
WORTH = {"urgent": 10, "normal": 65, "bulk": 25}


class Day:
    """What producers, callees and strangers do."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._random = random.Random(7)
        self._sent = 0
        self._lines = {name: FaxLine(local.redis_url, account=name) for name in ACCOUNTS}

    def close(self) -> None:
        """Give the connections back."""
        for line in self._lines.values():
            line.close()

    def fax(self, account: str, digits: str = "", priority: str = "", pages: int = 0) -> None:
        """Send one."""
        dice = self._random
        if not digits:
            kinds = {ORDINARY: 100 - sum(TROUBLE.values()), **TROUBLE}
            (digits,) = dice.choices(list(kinds), list(kinds.values()))
        (chosen,) = dice.choices(list(WORTH), list(WORTH.values()))
        self._sent += 1
        number = f"+1{201 + self._sent % 700}555{digits}"
        selected = [f"1-{pages or dice.choice((1, 1, 2, 2, 3, 4, 6, 9))}"]
        file = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf", "pages": selected}
        entry = {"id": f"fax-{self._sent}", "priority": priority or chosen}
        self._lines[account].push("send", entry | {"fax": {"faxNumber": number, "faxData": [file]}})

    def second(self, n: int) -> None:
        """All that happens in one second of the day."""
        if self._random.random() < (0.30 if n < SECONDS / 3 else 0.22):
            self.fax("default")
        if self._random.random() < 1 / 10:
            self.fax("acme")
        once = {
            60: self._doubt,
            200: self._doubt,
            SECONDS // 4: self._no_balance,
            SECONDS // 3: self._mailing,
            SECONDS // 2: self._another,
            SECONDS // 2 + 2: self._another,
            SECONDS // 2 + 30: self._reject,
        }
        once |= dict.fromkeys(range(45, SECONDS, 90), self._call_as_a_stranger)
        if n in once:
            once[n]()

    def _mailing(self) -> None:
        for _ in range(45):
            self.fax("default", ORDINARY, "bulk", 1)

    def _doubt(self) -> None:
        """Nobody ever tells whether it was taken; an operator is needed."""
        self.fax("default", "0500", "urgent")

    def _no_balance(self) -> None:
        for _ in range(4):
            self.fax("legacy", "3002", "normal")

    def _another(self) -> None:
        """Somebody else uses the key."""
        fault = {"action": "status", "status": 429, "retry_after": 8, "match": {"account": "acme"}}
        self._local.control("POST", "faults", fault)

    def _call_as_a_stranger(self) -> None:
        """A stranger, and an inbound fax."""
        for body, secret in ((b"{}", "wrong"), (b'{"jobId":1,"direction":"received"}', WEBHOOK_SECRET)):
            httpx.post(
                f"http://127.0.0.1:{self._local.webhook_port}/webhooks/ifax/default",
                content=body,
                headers={HEADER: sign(body, secret.encode())},
                trust_env=False,
            )

    def _reject(self) -> None:
        with redis.Redis.from_url(self._local.redis_url) as client:
            for _ in range(3):
                client.xadd(self._lines["acme"].keys.intake, {"send": '{"id":"a","fax":{}}'})


def answers(server: Prometheus, until: float) -> dict[str, Any]:
    """What Prometheus answers to every query of the overview, by panel and refId."""
    board = overview()
    found: dict[str, Any] = {}
    for panel in board["panels"]:
        for target in panel["targets"]:
            text = target["expr"]
            for name, value in VARIABLES.items():
                text = text.replace(name, value)
            if target.get("instant"):
                data = server.get("query", query=text, time=until)
            else:
                data = server.get("query_range", query=text, start=until - BEFORE, end=until, step=STEP)
            found.setdefault(str(panel["id"]), {})[target["refId"]] = data
    return {"board": board, "from": until - BEFORE, "to": until, "step": STEP, "answers": found}


def main() -> None:
    """Run, and write the answers."""
    target, pause = Path(sys.argv[1]), threading.Event()
    with tempfile.TemporaryDirectory(prefix="faxline-live-") as folder:
        (Path(folder) / "prometheus").mkdir()
        with (
            Local(
                Path(folder) / "logs",
                dispatchers=2,
                workers=2,
                accounts=ACCOUNTS,
                settings=SETTINGS,
                sandbox=SANDBOX,
            ) as local,
            scraping(local, Path(folder) / "prometheus", "2s") as server,
            redis.Redis.from_url(local.redis_url) as client,
        ):
            client.config_set("maxmemory", 12_000_000)
            day = Day(local)
            began = time.monotonic()
            for n in range(SECONDS):
                day.second(n)
                pause.wait(max(0.0, began + n + 1 - time.monotonic()))
            day.close()
            target.write_text(json.dumps(answers(server, time.time())))


if __name__ == "__main__":
    main()
