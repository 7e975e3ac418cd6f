"""An account as one layout stores it: every state, index and kind of key, as readable JSON.

`tests/layouts` keeps one file a layout, made when it was current. `python -m tests.stage.layouts FILE` makes
the one of today's code, and is run once for a new layout, never again for an old one.
"""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import redis

from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_local.redis_server import RedisServer
from faxline_worker.state.archive_marks import ArchiveMarks
from faxline_worker.state.lineage import Knowledge
from faxline_worker.state.scripts import LAYOUT
from tests.stage.scene import CLOCK, NUMBER, Scene, receipt
from tests.stage.states import LEASE

FOLDER = Path(__file__).parents[1] / "layouts"
SETTINGS = {
    "NUMBERS__CONCURRENT": "1",
    "RECEIPT_DEADLINE": "1000",
    "STATUS_CALL": "true",
    "CEILINGS__BYTES": "1000000",
}
DIGEST = "a" * 64
STATES = {
    "delivered": "delivered",
    "failed": "failed",
    "canceled": "canceled",
    "unconfirmed": "unconfirmed",
    "in_doubt": "in_doubt",
    "submitted": "submitted",
    "asked": "submitted",
    "marked": "submitting",
    "unmarked": "submitting",
    "waits": "queued",
    "retried": "queued",
    "redelivered": "queued",
    "held": "queued",
    "kept": "queued",
    "expires": "queued",
    "ready": "queued",
}
"""The jobs of such an account and their states."""


def fill(scene: Scene) -> None:  # noqa: PLR0915 - one statement after another
    """Bring about a job of every kind, on a scene of SETTINGS."""
    admit, settle = scene.admit, scene.store.submission.settle
    push = partial(scene.push, v="{}.{}".format(*LAYOUT))
    scene.store.schema.init_account()
    ArchiveMarks(scene.client, "default", CLOCK).switch_on()
    scene.store.offer("worker a:1")
    scene.store.lineage.check_in("a run", Knowledge.NOTHING, 2, "")
    numbers = iter(f"+1234567{1000 + i}" for i in range(100))
    scene.client.set(scene.keys.document(DIGEST), b"%PDF-1.4 bytes", px=10_000_000)

    def sent(job: str, **fields: Any) -> Any:
        push(job, number=next(numbers), **fields)
        admitted = admit()
        assert admitted.job == job
        scene.store.submission.mark(admitted)
        return admitted

    settle(sent("unconfirmed"), {"decision": "accepted", "job_id": "11"})
    scene.go(1001)
    scene.store.timers.run()
    asker = admit()
    scene.store.submission.mark(asker)
    scene.store.submission.report(asker, {"decision": "refuse", "reason": "not_found", "seconds": 0.5})
    settle(sent("asked"), {"decision": "accepted", "job_id": "12"})
    scene.go(1001)
    scene.store.timers.run()
    assert admit().control_call == "!status!asked"
    push("canceled", number=next(numbers))
    scene.store.intake.cancel(scene.intake("cancel"), "canceled")
    settle(sent("delivered", metadata='{"who":"billing"}'), {"decision": "accepted", "job_id": "13"})
    body = b'{"jobId":13,"faxStatus":"delivered"}'
    scene.store.receipts.apply([(scene.status(), receipt("13"))], [{b"body": body}])
    settle(sent("failed"), {"decision": "refuse", "reason": "bad_number", "code": -1})
    sent("in_doubt", in_doubt="hold", documents=DIGEST)
    scene.go(LEASE)
    scene.store.timers.run()
    settle(sent("redelivered", group="mailing"), {"decision": "accepted", "job_id": "14"})
    scene.receipt("14", "failed", again="busy")
    settle(
        sent("retried"), {"decision": "unknown", "reason": "unknown_refusal", "meaning": "7", "retry": 1000}
    )
    scene.go(1)
    scene.store.timers.run()
    retried = admit()
    scene.store.submission.mark(retried)
    settle(retried, {"decision": "retry", "reason": "unavailable", "retry": 50_000})
    for order in ("pause", "resume"):
        entry = scene.ordered(order)
        scene.store.orders.pause_or_resume(entry, order)
        scene.client.delete(scene.keys.reply(entry))
    settle(sent("submitted", documents=DIGEST, group="mailing"), {"decision": "accepted", "job_id": "15"})
    scene.receipt("99", to=NUMBER, started=scene.now // 1000)  # of a jobId that nobody knows
    sent("marked")
    date = str(scene.now + 500_000)
    push("unmarked", number=next(numbers))
    admit()
    push("waits", number=scene.record("marked")["number"])
    scene.store.submission.admit("turned", "")
    push("held", number=next(numbers), send_at=date, schedule="local")
    push("kept", number=next(numbers), send_at=date, schedule="provider")
    push("expires", number=next(numbers), expires_at=str(scene.now + 400_000))
    push("ready", number=next(numbers), documents=DIGEST, group="mailing", metadata='{"n":1}')
    scene.store.streams.set_aside("status", scene.status(), "malformed")
    scene.store.timers.plan_wakeups()
    scene.store.timers.run()


def dumped(scene: Scene) -> dict[str, Any]:
    """All that Faxline keeps in the scene's database."""
    client: Any = scene.client
    found: dict[str, Any] = {}
    for key in sorted(client.scan_iter(match="fax:*")):
        name, kind = key.decode(), client.type(key).decode()
        content: Any
        if kind == "hash":
            content = {k.decode(): v.decode() for k, v in sorted(client.hgetall(key).items())}
        elif kind == "zset":
            content = {m.decode(): repr(score) for m, score in client.zrange(key, 0, -1, withscores=True)}
        elif kind == "set":
            content = sorted(member.decode() for member in client.smembers(key))
        elif kind == "stream":
            content = [
                [entry.decode(), {k.decode(): v.decode() for k, v in fields.items()}]
                for entry, fields in client.xrange(key)
            ]
        else:
            content = client.get(key).decode()
        found[name] = {"kind": kind, "lives": client.pttl(key), "content": content}
    return {"seconds": scene.seconds, "keys": found}


def restored(scene: Scene, dump: dict[str, Any]) -> None:
    """Put an account as a file has it into the scene."""
    client: Any = scene.client
    client.flushdb()
    for key, entry in dump["keys"].items():
        content = entry["content"]
        if entry["kind"] == "hash":
            client.hset(key, mapping=content)
        elif entry["kind"] == "zset":
            client.zadd(key, {member: float(score) for member, score in content.items()})
        elif entry["kind"] == "set":
            client.sadd(key, *content)
        elif entry["kind"] == "stream":
            for at, fields in content:
                client.xadd(key, fields, id=at)
        else:
            client.set(key, content)
        if entry["lives"] > 0:
            client.pexpire(key, entry["lives"])
    client.xgroup_create(scene.keys.intake, INTAKE_GROUP, id="0", mkstream=True)
    scene.seconds = dump["seconds"]
    scene.go(0)


def main() -> None:
    """Write the file of today's layout."""
    with RedisServer() as server, redis.Redis.from_url(server.url(0)) as client:
        scene = Scene(client, **SETTINGS)
        fill(scene)
        states = {name: scene.state(name) for name in STATES}
        assert states == STATES, states
        text = json.dumps(dumped(scene), indent=1, ensure_ascii=False, sort_keys=True)
        Path(sys.argv[1]).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
