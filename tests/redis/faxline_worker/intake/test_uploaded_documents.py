"""What a producer uploads becomes a document if it is what its digest says, and is stored once."""

import json
from base64 import b64encode
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline import FaxLine
from faxline.contract.page_count import digest, open_document
from faxline.contract.sealing.keyring import new_key
from faxline.contract.sealing.stream import MAGIC, is_sealed
from faxline_worker.intake.registrar import Intake
from faxline_worker.state.store import Store
from tests.stage.daemon import make_intake, usual_settings
from tests.stage.intake import create_group, read_intake

KEY, NEWER = new_key("one"), new_key("two")
NUMBER = "+12025550123"
OURS = b"the letter of patient A"
THEIRS = b"the letter of patient B"
NAME = digest(OURS)
UPLOAD = "u" * 32


@pytest.fixture(params=["", KEY], ids=["in clear", "sealed"])
def keys(request: pytest.FixtureRequest) -> str:
    text: str = request.param
    return text


@pytest.fixture
def store(redis_client: redis.Redis, keys: str) -> Store:
    return store_of(redis_client, keys)


def store_of(client: redis.Redis, keys: str) -> Store:
    made = Store(
        client,
        usual_settings(SEALING_KEYS=keys),
        "default",
    )
    create_group(made)
    return made


@pytest.fixture
def intake(store: Store) -> Intake:
    return make_intake(store)


def take(intake: Intake, client: Any) -> list[tuple[str, str, str]]:
    """What becomes of all that was pushed: each new event with its job and its reason."""
    keys = intake.store.keys
    before = client.xlen(keys.events)
    intake.take(read_intake(client, intake.store))
    events = client.xrange(keys.events)[before:]
    assert client.xlen(keys.intake) == 0
    return [
        (f[b"event"].decode(), f[b"job"].decode(), json.loads(f[b"data"]).get("reason", ""))
        for _, f in events
    ]


def push(client: Any, store: Store, job: str, *files: dict[str, str]) -> None:
    own = [{"fileName": f"{i}.txt", **file} for i, file in enumerate(files)]
    text = json.dumps({"id": job, "fax": {"faxNumber": NUMBER, "faxData": own}})
    client.xadd(store.keys.intake, {"send": text})


def document_key(store: Store, name: str = NAME) -> str:
    return store.keys.document(name.removeprefix("sha256:"))


def uploads(client: Any, store: Store) -> int:
    return len(list(client.scan_iter(store.keys.upload("*"))))


def test_an_upload_becomes_a_document_under_its_digest_and_is_gone(
    store: Store, intake: Intake, keys: str, redis_client: Any
) -> None:
    redis_client.set(store.keys.upload(UPLOAD), store.seals.document(NAME, OURS), px=60_000)
    push(redis_client, store, "a", {"document": NAME, "upload": UPLOAD})
    assert take(intake, redis_client) == [("fax.queued", "a", "")]
    assert store.documents.read(NAME) == (OURS, True)
    assert is_sealed(redis_client.get(document_key(store))) is bool(keys)
    assert redis_client.ttl(document_key(store)) == -1, "a job needs it"
    assert redis_client.hget(store.keys.document_uses, NAME.removeprefix("sha256:")) == b"1"
    request = redis_client.hget(store.keys.job("a"), "request").decode()
    assert "upload" not in store.seals.open_request("a", request)
    assert uploads(redis_client, store) == 0


def test_a_producer_without_keys_uploads_in_clear_and_intake_seals_it(redis_client: Any) -> None:
    store = store_of(redis_client, KEY)
    redis_client.set(store.keys.upload(UPLOAD), OURS)
    push(redis_client, store, "a", {"document": NAME, "upload": UPLOAD})
    assert take(make_intake(store), redis_client) == [("fax.queued", "a", "")]
    assert is_sealed(redis_client.get(document_key(store)))
    assert store.documents.read(NAME) == (OURS, True)


def test_an_upload_that_is_not_what_its_digest_says_is_rejected_and_stored_nowhere(
    store: Store, intake: Intake, redis_client: Any
) -> None:
    redis_client.set(store.keys.upload(UPLOAD), store.seals.document(NAME, THEIRS))
    push(redis_client, store, "a", {"document": NAME, "upload": UPLOAD})
    assert take(intake, redis_client) == [("fax.rejected", "a", "document_altered")]
    assert not redis_client.exists(document_key(store))


def test_another_document_that_was_stored_under_a_digest_is_rejected(
    store: Store, intake: Intake, redis_client: Any
) -> None:
    redis_client.set(document_key(store), store.seals.document(NAME, THEIRS))
    push(redis_client, store, "a", {"document": NAME})
    assert take(intake, redis_client) == [("fax.rejected", "a", "document_altered")]


def test_the_sealed_document_of_another_digest_is_rejected(redis_client: Any) -> None:
    store = store_of(redis_client, KEY)
    redis_client.set(document_key(store), store.seals.document(digest(THEIRS), THEIRS))
    push(redis_client, store, "a", {"document": NAME})
    assert take(make_intake(store), redis_client) == [("fax.rejected", "a", "seal_broken")]


@pytest.mark.parametrize("way", ["upload", "fileData"])
def test_another_document_that_was_stored_under_a_digest_is_replaced_by_who_brings_the_right_one(
    store: Store, intake: Intake, redis_client: Any, way: str
) -> None:
    redis_client.set(document_key(store), THEIRS, px=60_000)
    redis_client.set(store.keys.upload(UPLOAD), store.seals.document(NAME, OURS))
    own = {"document": NAME, "upload": UPLOAD} if way == "upload" else {"fileData": b64encode(OURS).decode()}
    push(redis_client, store, "a", own)
    assert take(intake, redis_client) == [("fax.queued", "a", "")]
    assert store.documents.read(NAME) == (OURS, True)


def test_a_repeat_is_ignored_though_another_document_is_stored_under_its_digest_now(
    store: Store, intake: Intake, redis_client: Any, redis_url: str, keys: str
) -> None:
    with FaxLine(redis_url, keys=keys or None) as line:
        line.send(to=NUMBER, files=[("0.txt", OURS)], id="a")
    assert take(intake, redis_client) == [("fax.queued", "a", "")]
    redis_client.set(document_key(store), THEIRS)
    text = {"id": "a", "priority": "normal", "fax": {"faxNumber": NUMBER}}
    text["fax"]["faxData"] = [{"fileName": "0.txt", "document": NAME}]  # type: ignore[index]
    redis_client.xadd(store.keys.intake, {"send": json.dumps(text)})
    assert take(make_intake(store), redis_client) == []  # whose memory is empty


def test_a_document_that_was_put_under_its_digest_as_before_is_taken(
    store: Store, intake: Intake, redis_client: Any
) -> None:
    redis_client.set(document_key(store), OURS, px=60_000)
    push(redis_client, store, "a", {"document": NAME})
    assert take(intake, redis_client) == [("fax.queued", "a", "")]
    assert store.documents.read(NAME) == (OURS, True), "and sealed, where there are keys"


def test_an_entry_whose_upload_is_gone_takes_the_document_that_is_stored(
    store: Store, intake: Intake, redis_client: Any
) -> None:
    store.documents.store(NAME, OURS)
    push(redis_client, store, "a", {"document": NAME, "upload": UPLOAD})
    push(redis_client, store, "b", {"document": digest(b"never stored"), "upload": UPLOAD})
    assert take(intake, redis_client) == [("fax.queued", "a", ""), ("fax.rejected", "b", "document_missing")]


def test_a_thousand_faxes_of_one_file_read_and_open_it_once_and_hold_one_copy(
    intake: Intake, keys: str, redis_client: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = intake.store
    opened = Mock(side_effect=open_document)
    monkeypatch.setattr("faxline_worker.intake.entry_items.open_document", opened)
    with FaxLine(redis_url, keys=keys or None) as line:
        line.send_many([{"to": NUMBER, "files": [("0.txt", OURS)]}] * 1000, group="g")
        for _ in range(3):  # each brings a copy of its own
            line.send(to=NUMBER, files=[("0.txt", OURS)])
    redis_client.config_resetstat()
    assert len(take(intake, redis_client)) == 1003
    stats = {name: one["calls"] for name, one in redis_client.info("commandstats").items()}
    assert opened.call_count == 1
    assert stats["cmdstat_get"] == 1
    assert stats["cmdstat_unlink"] == 1 + 3
    assert uploads(redis_client, store) == 0
    assert [key.decode() for key in redis_client.scan_iter(store.keys.document("*"))] == [document_key(store)]
    assert redis_client.hget(store.keys.document_uses, NAME.removeprefix("sha256:")) == b"1003"


def test_what_is_known_of_a_document_that_has_gone_since_is_not_believed(
    store: Store, intake: Intake, redis_client: Any
) -> None:
    redis_client.set(store.keys.upload(UPLOAD), OURS)
    push(redis_client, store, "a", {"document": NAME, "upload": UPLOAD})
    take(intake, redis_client)
    redis_client.delete(document_key(store))
    push(redis_client, store, "b", {"document": NAME})
    assert take(intake, redis_client) == [("fax.rejected", "b", "document_missing")]


def test_a_dispatcher_without_keys_leaves_a_sealed_document_as_it_is(redis_client: Any) -> None:
    sealed = store_of(redis_client, KEY)
    sealed.documents.store(NAME, OURS)
    before = redis_client.get(document_key(sealed))
    without = store_of(redis_client, "")
    redis_client.set(without.keys.upload(UPLOAD), OURS)
    push(redis_client, without, "a", {"document": NAME, "upload": UPLOAD})
    take(make_intake(without), redis_client)
    assert redis_client.get(document_key(sealed)) == before


@pytest.mark.parametrize("upload", ["short", "a" * 129, "with:colon-and-more", "a space in it 123"])
def test_an_uploads_name_is_long_enough_that_nobody_guesses_it(
    store: Store, intake: Intake, redis_client: Any, upload: str
) -> None:
    push(redis_client, store, "a", {"document": NAME, "upload": upload})
    assert take(intake, redis_client) == [("fax.rejected", "a", "bad_value")]


def test_an_upload_goes_with_a_document(store: Store, intake: Intake, redis_client: Any) -> None:
    push(redis_client, store, "a", {"fileUrl": "https://example.com/a.pdf", "upload": UPLOAD})
    assert take(intake, redis_client) == [("fax.rejected", "a", "bad_value")]


def test_a_document_in_clear_that_begins_as_a_sealed_one_does_pauses_nobody(
    store: Store, intake: Intake, redis_client: Any
) -> None:
    forged = MAGIC + b"\x01\x05other" + bytes(64)
    push(redis_client, store, "job", {"fileData": b64encode(forged).decode()})
    assert take(intake, redis_client) == [("fax.rejected", "job", "bad_document")]
    assert not redis_client.exists(document_key(store, digest(forged)))
