"""Lines for your own tests: no Redis server and no daemon. The test decides what happens to each fax.

They need the extra `testing`: in Faxline's checkout, `pip install '.[testing]'`.

from faxline.testing import MemoryLine

line = MemoryLine()                                     # every fax is delivered at once
line.send(to="+12345678901", files=["letter.pdf"], id="a")
assert line.job("a").state == "delivered"

line = MemoryLine(deliver=False)                        # faxes stay queued until the test moves them
line.send(to="+12345678901", files=["letter.pdf"], id="b")
line.fail("b", reason="busy", code=17)

A fax is checked with the same code as on a real line. Events, groups, waits and errors are those of a real
line too, because its own logic runs here, on a Redis in memory (fakeredis).
"""

from faxline.testing.lines import AsyncMemoryLine, MemoryLine

__all__ = ["AsyncMemoryLine", "MemoryLine"]
