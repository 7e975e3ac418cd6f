"""Lines for the tests of who uses this library: no Redis, no daemon, and the test says what becomes of a fax.

from faxline.testing import MemoryLine

line = MemoryLine()                                     # every fax is delivered at once
line.send(to="+12345678901", files=["letter.pdf"], id="a")
assert line.job("a").state == "delivered"

line = MemoryLine(deliver=False)                        # faxes stay queued until the test moves them
line.send(to="+12345678901", files=["letter.pdf"], id="b")
line.fail("b", reason="busy", code=17)

A fax is checked with the same code as by a real line; events, groups, waits and errors are those of a real
line, for its own logic runs on a Redis in memory.
"""

from faxline.testing.lines import AsyncMemoryLine, MemoryLine

__all__ = ["AsyncMemoryLine", "MemoryLine"]
