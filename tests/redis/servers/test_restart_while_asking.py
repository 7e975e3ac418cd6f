"""The server ends while iFax is asked how faxes stand: each is asked about on, and once."""

from collections.abc import Callable

import pytest
import redis

from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_worker.state.results import Admitted
from tests.stage.scene import Scene, receipt

JOBS = ("answered", "in-line", "lost")


def submit(scene: Scene) -> None:
    for n, job in enumerate(JOBS):
        scene.push(job)
        scene.submit(str(77 + n))


def ask(scene: Scene) -> Admitted:
    question = scene.admit()
    assert question.kind == "poll"
    scene.store.submission.mark(question)
    return question


def answer(scene: Scene, question: Admitted) -> str:
    about = str(question.request["jobId"])
    answer = {"decision": "accepted", "reason": "accepted", "about": about, "receipt": receipt(about)}
    return scene.store.submission.report(question, {"seconds": 0.1, **answer}).result


@pytest.mark.parametrize("end", [RedisServer.stop, RedisServer.kill])
def test_questions_that_are_under_way_outlive_the_server(
    server_binary: ServerBinary, end: Callable[[RedisServer], None]
) -> None:
    with RedisServer(binary=server_binary) as server, redis.Redis.from_url(server.url()) as client:
        scene = Scene(client, RESULTS="poll", RECEIPT_DEADLINE="2000")
        submit(scene)
        scene.go(120)
        assert scene.store.timers.poll().asked == len(JOBS)
        first = ask(scene)
        end(server)
        server.restart()
        assert client.zcard(scene.keys.asks) == len(JOBS)
        assert scene.store.timers.poll().asked == 0
        assert answer(scene, first) == "applied"
        assert answer(scene, first) == "repeated"
        second = ask(scene)
        assert second.job == "in-line"
        assert answer(scene, second) == "applied"
        lost = ask(scene)
        end(server)
        server.restart()
        scene.go(60)  # its worker ended with it
        scene.store.timers.run()
        assert scene.store.timers.poll().asked == 1
        again = ask(scene)
        assert (again.job, again.permit != lost.permit) == ("lost", True)
        assert answer(scene, again) == "applied"
        assert answer(scene, lost) == "repeated"
        assert scene.names().count("fax.delivered") == len(JOBS)
