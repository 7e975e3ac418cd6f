"""A Redis server's clock that steps, while it runs: `stepping_clock.c`, preloaded into the server."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

COMPILER = shutil.which("cc") if sys.platform == "linux" else None
"""The C compiler; None where a clock cannot step."""


class SteppingClock:
    """The clock of a server, which is right until it is stepped.

    Args:
        folder: for the library and the file that tells it the time.
    """

    def __init__(self, folder: Path) -> None:
        assert COMPILER is not None, "a clock that steps needs Linux and a C compiler"
        folder.mkdir(parents=True, exist_ok=True)
        library, self._file = folder / "clock.so", folder / "clock"
        source = Path(__file__).with_suffix(".c")
        subprocess.run([COMPILER, "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
        self.environment = {"LD_PRELOAD": str(library), "FAXLINE_CLOCK": str(self._file)}
        """What the server is started with."""
        self._file.write_bytes(bytes(8))

    def step(self, seconds: int) -> None:
        """Set the clock so far from the right time; 0 sets it right."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", seconds))
