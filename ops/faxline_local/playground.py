"""`faxline-worker playground`: runs all of Faxline with the sandbox on this machine, for developers."""

import shlex
import signal
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from faxline_local.console import Started, start_console
from faxline_local.processes import PartFailedError
from faxline_local.stack import ARCHIVES, Local

LOOK = 0.5
"""Seconds between two checks whether all processes run."""
SANDBOX = ("--call-seconds", "2", "--page-seconds", "0.5", "--time-scale", "0.01")
"""Calls take seconds, and iFax's retries of a webhook, which are minutes apart, come within seconds."""
SETTINGS = {
    "RETRIES__DELIVERY__ATTEMPTS": "3",
    **{f"RETRIES__DELIVERY__{cause}": "2" for cause in ("BUSY", "NO_ANSWER", "OTHER")},
}
"""The waits between deliveries are seconds instead of minutes, so a fax to a busy number fails soon."""
AGAIN = (
    "Every port is a free one, chosen at the start. If another program took one meanwhile, start it again."
)


def run(logs: Path | None) -> int:
    """Run until SIGINT or SIGTERM, or until a process ends by itself.

    Args:
        logs: the folder of the logs, which is kept; None uses a temporary one.

    Returns:
        The exit code: 0 after a signal, 1 if a process did not start or ended by itself.
    """
    console, over = Console(soft_wrap=True, highlight=False), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with ExitStack() as stack:
        folder = logs or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faxline-playground-")))
        console.print("Starting Redis, the sandbox and Faxline: a few seconds, a minute on a slow machine.")
        try:
            with Local(folder, settings=SETTINGS, sandbox=SANDBOX, archives=ARCHIVES) as local:
                console.print(_welcome(local, folder, start_console(local, folder)))
                ended = _await_the_end(local, over)
        except PartFailedError as error:
            console.print(f"{error}\n{AGAIN}", style="red", markup=False)
            return 1
        if ended:
            last = (folder / f"{ended}.log").read_text(errors="replace").splitlines()[-5:]
            console.print("\n".join([f"{ended} ended by itself:", *last]), markup=False)
            return 1
        console.print("ended; nothing is kept" if logs is None else f"ended; the logs are in {folder}")
        return 0


def _await_the_end(local: Local, over: threading.Event) -> str:
    """Wait for the end; return the process that ended by itself, or nothing after a signal."""
    while not over.wait(LOOK):
        for part in local.parts:
            if part.process.poll() is not None:
                return part.name
    return ""


def _welcome(local: Local, folder: Path, started: Started | None) -> str:
    server = local.server.binary
    settings = {"FAXLINE_REDIS_URL": local.redis_url, "FAXLINE_ARCHIVE__URL": local.archive_url}
    settings["FAXLINE_IFAX_URL"] = local.ifax_url  # `faxline doctor` looks for it
    settings |= started.settings if started else {}
    exports = "\n".join(f"    export {name}={shlex.quote(value)}" for name, value in settings.items())
    users = "\n    faxline-worker console users add ada --role clerk" if started else ""
    link = started.link if started else "needs the extra console: pip install 'faxline[console]'"
    metrics = ", ".join(
        f"{name.partition('-')[0]} http://127.0.0.1:{port}/metrics" for name, port in local.metrics.items()
    )
    return f"""[bold]Faxline is up[/] on {server.name} {server.version}, with an iFax that sends no fax.
Ctrl-C ends it.

In another shell:

{exports}
    faxline send --to +12025550123 letter.pdf --wait
    faxline list
    faxline find{users}

The last four digits of a +1 202 555 number say what happens to its fax: 0123 is delivered, 0017 is busy,
3001 is refused, 0504 leaves a doubt. docs/sandbox.md has all of them.
A delivery is tried again after 2 s. FAXLINE_ variables of this shell have no effect on it.

    the console   {link}
    Python        FaxLine("{local.redis_url}")
    the sandbox   {local.sandbox_url}/sandbox/ledger has each fax that it took
    the webhook   http://127.0.0.1:{local.webhook_port}/webhooks/ifax/default
    proofs        faxline verify FILE.zip --key {folder.absolute() / "archive.pem.pub"}
    metrics       {metrics}
    logs          {folder}
"""
