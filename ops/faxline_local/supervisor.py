"""The supervisor of an embedded server, as its owner sees it.

The server must end with its owner, even if the owner is killed with SIGKILL and cannot clean up. So a small
**supervisor** process starts the server and reads orders from a pipe whose write end only the owner holds.
When the owner ends, the kernel closes that end. The supervisor then kills the server, removes its directory
and ends. This works on Linux and macOS alike. The alternative, `prctl(PR_SET_PDEATHSIG)`, exists only on
Linux, fires when the *thread* that forked ends, and misses an owner that died before it was set. The
supervisor is the server's parent and alone reaps it, so a signal never reaches another process's id.

Only a child that is forked without exec (multiprocessing's `fork`) and outlives the owner keeps the pipe
open. Children started by `subprocess` do not inherit it.

The supervisor's program is `redis_supervisor.py`.
"""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from faxline_local.server_binaries import RedisServerError


class Supervisor:
    """A supervisor process, started at once."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own file, by this interpreter
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("redis_supervisor.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C must reach only the owner, which decides when the server ends
        )

    def directory(self) -> Path:
        """The directory that it made for the server, which it tells first of all.

        Raises:
            RedisServerError: the supervisor has ended.
        """
        return Path(self._reply()["directory"])

    def order(self, **order: Any) -> dict[str, Any]:
        """Give an order and return the reply.

        Raises:
            RedisServerError: the order failed, or the supervisor has ended.
        """
        with contextlib.suppress(BrokenPipeError):  # noticed by the missing reply
            print(json.dumps(order), file=self.process.stdin, flush=True)
        return self._reply()

    def end(self) -> None:
        """End the supervisor, and the server with it."""
        self.process.communicate()  # closes the pipe, which ends the supervisor, and waits for that

    def _reply(self) -> dict[str, Any]:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise RedisServerError("the server's supervisor has ended, and the server with it")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise RedisServerError(f"the server could not be run: {reply['error']}")
        return reply
