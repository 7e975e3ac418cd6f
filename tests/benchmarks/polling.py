"""The results of many faxes by polling alone: how long it takes, and what it costs of iFax's limits.

`make bench-polling` runs it: iFax's hour is a minute, of which the questions have their default share.
"""

import sys
import tempfile
import time
from pathlib import Path

from faxline import Fax, FaxLine
from faxline.contract.states import FINAL_STATES
from faxline_local.stack import Local

FAXES, REQUESTS, WINDOW, SHARE = 1000, 1000, 60, 0.2
LONGEST = 1800.0
SETTINGS = {
    "RESULTS": "poll",
    "POLL__SCHEDULE": "[2,5,10,20,40]",
    "POLL__SHARE": str(SHARE),
    "LIMITS__REQUESTS": str(REQUESTS),
    "LIMITS__WINDOW": str(WINDOW),
}
SANDBOX = (
    *("--profile", "field", "--call-seconds", "1", "--page-seconds", "0.05"),
    *("--answer-seconds", "0.05", "0.5", "--requests", str(REQUESTS), "--window", str(WINDOW)),
)


def most_within(moments: list[float], window: float) -> int:
    """How many of them lie within one window at the most."""
    ordered, first, most = sorted(moments), 0, 0
    for last, at in enumerate(ordered):
        while ordered[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def run(faxes: int, directory: Path) -> dict[str, object]:
    """Send so many faxes, wait until all have ended, and count what reached the sandbox."""
    started = time.monotonic()
    with (
        Local(directory, workers=2, dispatchers=2, webhooks=0, settings=SETTINGS, sandbox=SANDBOX) as local,
        FaxLine(local.url_of("operator")) as line,
    ):
        line.send_many(
            Fax(to=f"+1202{2_000_000 + i}", files=["https://example.com/a.pdf"], id=f"fax-{i}")
            for i in range(faxes)
        )
        jobs = line.account_state().jobs
        while sum(jobs[state] for state in FINAL_STATES) < faxes and time.monotonic() < started + LONGEST:
            time.sleep(1)
            jobs = line.account_state().jobs
        arrivals = local.arrivals()["default"]
        calls = {
            call: [one["at"] for one in arrivals if one["call"] == call]
            for call in ("fax-send", "fax-status")
        }
        return {
            "faxes": faxes,
            "ended": {state: jobs[state] for state in FINAL_STATES if jobs[state]},
            "seconds": round(time.monotonic() - started),
            "last submission after": round(max(calls["fax-send"]) - min(calls["fax-send"])),
            "fax-send": len(calls["fax-send"]),
            "fax-status": len(calls["fax-status"]),
            "most fax-status in a window": most_within(calls["fax-status"], WINDOW),
            "most calls in a window": most_within([one["at"] for one in arrivals], WINDOW),
            "refused by a limit": sum(one["limit"] is not None for one in arrivals),
        }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name, figure in run(int(sys.argv[1]) if sys.argv[1:] else FAXES, Path(folder)).items():
            sys.stdout.write(f"{name}: {figure}\n")
