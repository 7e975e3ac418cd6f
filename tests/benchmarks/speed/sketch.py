"""`python -m tests.benchmarks.speed.sketch PORT COUNT`: registers without checks, as a baseline.

It reads the intake stream in batches and has one script write a job, its place and its event for each entry.
It ends when it has taken COUNT entries, and prints how many a second.
"""

import json
import sys
import time
from typing import Any

import redis

from faxline.contract.redis_keys import INTAKE_GROUP, RedisKeys
from faxline_local.stack import DEFAULT

BATCH = 500
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ids = {}
for i = 2, #ARGV, 3 do
  redis.call('HSET', KEYS[4] .. ARGV[i + 1], 'state', 'queued', 'request', ARGV[i + 2], 'created_at', now)
  redis.call('ZADD', KEYS[2], now + i, ARGV[i + 1])
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100000, '*',
    'event', 'fax.queued', 'job', ARGV[i + 1], 'at', now)
  table.insert(ids, ARGV[i])
end
redis.call('XACK', KEYS[1], ARGV[1], unpack(ids))
redis.call('XDEL', KEYS[1], unpack(ids))
"""


def main() -> None:
    """Take the entries."""
    port, count = map(int, sys.argv[1:])
    keys = RedisKeys(DEFAULT)
    client = redis.Redis(port=port)
    client.xgroup_create(keys.intake, INTAKE_GROUP, id="0", mkstream=True)
    register = client.register_script(SCRIPT)
    taken, began = 0, time.monotonic()
    while taken < count:
        reply: Any = client.xreadgroup(INTAKE_GROUP, "sketch", {keys.intake: ">"}, count=BATCH, block=1000)
        for _, entries in reply:
            args: list[Any] = [INTAKE_GROUP]
            for entry, fields in entries:
                job = json.loads(fields[b"send"])["id"]
                args += [entry, job, fields[b"send"]]
            register(keys=[keys.intake, keys.ready, keys.events, keys.job("")], args=args)
            taken += len(entries)
    print(taken / (time.monotonic() - began))


if __name__ == "__main__":
    main()
