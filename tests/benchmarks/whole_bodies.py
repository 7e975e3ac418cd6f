"""A bare loop that sends documents as one would at first: read whole, encoded whole, and posted.

`python -m tests.benchmarks.whole_bodies` sends the documents that WHOLE_BODIES names, all at once, and prints
how much memory that took as one line of JSON.
"""

import base64
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import httpx
import redis

from tests.benchmarks.processes import memory_of

NUMBER = "+12025550123"

VARIABLE = "WHOLE_BODIES"


@dataclass(frozen=True)
class Setup:
    """The parameters of the loop."""

    redis_url: str
    ifax_url: str
    token: str
    keys: tuple[str, ...]
    timeout: float

    def environment(self) -> dict[str, str]:
        """The variable that carries it."""
        return {VARIABLE: json.dumps(asdict(self))}


def sender(setup: Setup, documents: redis.Redis, http: httpx.Client) -> Callable[[str], None]:
    """Sends the document of a key."""

    def send(key: str) -> None:
        data = documents.get(key)
        assert isinstance(data, bytes)
        file = {"fileName": "large.pdf", "fileData": base64.b64encode(data).decode()}
        request = {"faxNumber": NUMBER, "faxData": [file]}
        http.post(f"{setup.ifax_url}/customer/fax-send", json=request).raise_for_status()

    return send


def main() -> None:
    """Send them all at once."""
    setup = Setup(**json.loads(os.environ[VARIABLE]))
    headers = {"accessToken": setup.token}
    with (
        redis.Redis.from_url(setup.redis_url) as documents,
        httpx.Client(timeout=setup.timeout, trust_env=False, headers=headers) as http,
        ThreadPoolExecutor(len(setup.keys)) as pool,
    ):
        idle = memory_of("self").resident
        list(pool.map(sender(setup, documents, http), setup.keys))
    print(json.dumps({"idle": idle, "peak": memory_of("self").peak}))


if __name__ == "__main__":
    main()
