"""An operator has iFax asked how a fax stands."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from faxline import FaxLine, JobNotFound, NotAsked
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store


@pytest.fixture
def submitted(doubt: Callable[..., Admitted], line: FaxLine) -> str:
    """A fax that iFax has taken, and whose receipt does not come."""
    doubt("a")
    line.resolve("a", accepted=77, by="ada", timeout=20)
    return "a"


@pytest.mark.usefixtures("dispatcher")
def test_ifax_is_asked_once_about_a_fax_and_not_about_one_that_it_cannot_know(
    line: FaxLine, submitted: str, store: Store, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("lost")
    assert line.ask(submitted, by="ada: the clinic called", timeout=20)
    assert not line.ask(submitted, by="bob", timeout=20)
    assert redis_client.zrange(store.keys.ready, 0, -1) == [b"!poll!a"]
    asked = [(entry.who, entry.job, entry.outcome) for entry in line.audit() if entry.what == "ask"]
    assert asked == [("ada: the clinic called", "a", "done"), ("bob", "a", "idle")]
    with pytest.raises(NotAsked, match="in_doubt and its jobId is not known") as raised:
        line.ask("lost", by="ada", timeout=20)
    assert raised.value.state == "in_doubt"
    line.resolve("lost", fail=True, by="ada", timeout=20)
    with pytest.raises(NotAsked, match=r"it is failed$"):
        line.ask("lost", by="ada", timeout=20)
    with pytest.raises(JobNotFound):
        line.ask("nobody", by="ada", timeout=20)


@pytest.mark.usefixtures("dispatcher")
def test_the_command_has_ifax_asked_and_says_where_the_answer_will_stand(
    cli: Callable[..., tuple[int, str, str]], submitted: str, doubt: Callable[..., Admitted]
) -> None:
    doubt("lost")
    where = f"how {submitted} stands; `faxline show {submitted}` tells what came of it\n"
    assert cli("ask", submitted, "--timeout", "20") == (0, f"iFax is asked {where}", "")
    assert cli("ask", submitted, "--timeout", "20") == (0, f"iFax is asked already {where}", "")
    assert json.loads(cli("ask", submitted, "--json")[1]) == {"id": "a", "asked": False}
    why = "faxline: iFax cannot be asked how job 'lost' stands: it is in_doubt and its jobId is not known\n"
    assert cli("ask", "lost", "--timeout", "20") == (1, "", why)
    assert cli("ask", "nobody", "--timeout", "20")[0] == 4
