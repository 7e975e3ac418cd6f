"""What the tests of the command `faxline` share."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from faxline.contract.redis_keys import RedisKeys

NUMBER, OTHER, THIRD = "+13105550147", "+13105550148", "+13105550149"
URL = "https://example.com/a.pdf"
KEYS = RedisKeys("default")
PLAIN = f"to,to_name\n{NUMBER},Ann\n{OTHER},Bob\n"
AT = 1_750_000_000_000
NOW = datetime.fromtimestamp(AT / 1000, tz=UTC)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        (line,) = self.lines
        return line


Cli = Callable[..., Result]
