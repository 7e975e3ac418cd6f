"""A secret's file that changes is read again; whatever is wrong with it, the last good value stays."""

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest

from faxline_local.processes import wait_for
from faxline_worker.config.live_accounts import LiveAccounts
from faxline_worker.config.secrets import Secrets
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import secret_files
from faxline_worker.observability.logs import configure_logs, get_logger

OLD, NEW = "an-old-key", "new-key-9f3a"
LIST = ("first-secret", "second-secret")


class Running:
    """Secrets of two files, and the log."""

    def __init__(self, folder: Path, *, every: str = "60") -> None:
        self.token, self.webhook = folder / "token", folder / "webhook"
        self.token.write_text(OLD + "\n")
        self.webhook.write_text('["first-secret"]')
        environment = {
            "FAXLINE_ACCOUNTS__DEFAULT__TOKEN_FILE": str(self.token),
            "FAXLINE_ACCOUNTS__DEFAULT__WEBHOOK_SECRETS_FILE": str(self.webhook),
            "FAXLINE_ACCOUNTS__OTHER__TOKEN": "by-variable",
            "FAXLINE_ACCOUNTS__OTHER__WEBHOOK_SECRETS": '["others-secret"]',
            "FAXLINE_SECRETS_POLL": every,
        }
        settings = read_settings(environment)
        self.log = io.StringIO()
        redactor = configure_logs(role="worker", stream=self.log, secrets=settings.secrets)
        self.secrets = Secrets(settings, secret_files(environment), get_logger("t"), redactor.learn)
        self.looks(2)

    def looks(self, count: int) -> None:
        for _ in range(count):
            self.secrets.look()

    @property
    def lines(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    @property
    def values(self) -> tuple[str, list[bytes]]:
        return self.secrets.tokens["default"], list(self.secrets.webhooks["default"].signature)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    yield made
    made.secrets.close()


def test_what_held_at_the_start_holds_while_no_file_changes(running: Running) -> None:
    running.looks(3)
    assert running.values == (OLD, [b"first-secret"])
    assert running.secrets.tokens["other"] == "by-variable"
    assert running.lines == []


def test_a_new_value_is_taken_once_it_has_stood_still_for_two_looks(running: Running) -> None:
    running.token.write_text(NEW)
    running.webhook.write_text(json.dumps(LIST))
    running.looks(1)
    assert running.values == (OLD, [b"first-secret"])
    running.looks(1)
    assert running.values == (NEW, [b"first-secret", b"second-secret"])
    assert [line["member"] for line in running.lines] == [
        "FAXLINE_ACCOUNTS__DEFAULT__TOKEN_FILE",
        "FAXLINE_ACCOUNTS__DEFAULT__WEBHOOK_SECRETS_FILE",
    ]


def test_a_file_that_is_being_written_is_not_taken_half(running: Running) -> None:
    with running.token.open("w") as file:
        for piece in (NEW[:4], NEW[4:8], NEW[8:]):
            file.write(piece)
            file.flush()
            running.looks(1)
            assert running.values[0] == OLD
    running.looks(1)
    assert running.values[0] == NEW


def test_a_link_that_is_pointed_at_another_file_is_followed_as_kubernetes_changes_secrets(
    running: Running, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    later.write_text(NEW)
    link = tmp_path / "link"
    link.symlink_to(later)
    link.rename(running.token)
    running.looks(2)
    assert running.values[0] == NEW


def empty(path: Path) -> None:
    path.write_text("")


def gone(path: Path) -> None:
    path.unlink()


def no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")


def two_lines(path: Path) -> None:
    path.write_text("a key\nand more")


def no_list(path: Path) -> None:
    path.write_text('{"a": 1}')


def empty_list(path: Path) -> None:
    path.write_text("[]")


def a_short_one(path: Path) -> None:
    path.write_text('["short"]')


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "spoil", [empty, gone, no_text, two_lines, no_list, empty_list, a_short_one, a_folder]
)
def test_what_cannot_be_used_is_told_once_and_the_last_good_value_stays(
    running: Running, spoil: Callable[[Path], None]
) -> None:
    path = running.token if spoil is two_lines else running.webhook
    spoil(path)
    running.looks(5)
    assert running.values == (OLD, [b"first-secret"])
    (line,) = running.lines
    assert (line["level"], line["member"].endswith("_FILE")) == ("warning", True)
    if path.is_dir():
        path.rmdir()
    path.write_text(NEW if path is running.token else '["third-secret"]')
    running.looks(2)
    assert running.values == ((NEW, [b"first-secret"]) if path is running.token else (OLD, [b"third-secret"]))


@pytest.mark.parametrize(
    ("member", "theirs", "good"),
    [
        ("TOKEN", "by-variable", NEW),
        ("WEBHOOK_SECRETS", '["first-secret", "others-secret"]', '["third-secret"]'),
    ],
)
def test_what_another_account_has_is_not_taken_and_told_once_without_it(
    running: Running, member: str, theirs: str, good: str
) -> None:
    path = running.token if member == "TOKEN" else running.webhook
    path.write_text(theirs)
    running.looks(5)
    assert running.values == (OLD, [b"first-secret"])
    (line,) = running.lines
    assert (line["level"], line["member"]) == ("warning", f"FAXLINE_ACCOUNTS__DEFAULT__{member}_FILE")
    assert line["error"].startswith(f"FAXLINE_ACCOUNTS__OTHER__{member} is the same: ")
    path.write_text(good)
    running.looks(2)
    assert running.values == ((NEW, [b"first-secret"]) if member == "TOKEN" else (OLD, [b"third-secret"]))


def test_two_accounts_may_swap_their_keys_for_what_clashes_is_tried_again(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("A", "B")}
    for name, path in files.items():
        path.write_text(f"key-of-{name}")
    environment = {f"FAXLINE_ACCOUNTS__{name}__TOKEN_FILE": str(path) for name, path in files.items()}
    log = get_logger("t")
    secrets = Secrets(read_settings(environment), secret_files(environment), log, lambda _new: None)
    secrets.look()
    secrets.look()
    files["A"].write_text("key-of-B")
    for _ in range(3):
        secrets.look()
    assert dict(secrets.tokens) == {"a": "key-of-A", "b": "key-of-B"}
    files["B"].write_text("another-key")
    for _ in range(3):
        secrets.look()
    assert dict(secrets.tokens) == {"a": "key-of-B", "b": "another-key"}


def test_no_line_holds_an_old_or_a_new_secret(running: Running) -> None:
    running.token.write_text(NEW)
    running.looks(2)
    get_logger("t").info(f"{OLD} and {NEW}")
    assert running.lines[-1]["event"] == "*** and ***"


def test_a_thread_looks_by_itself_until_it_is_closed(tmp_path: Path) -> None:
    running = Running(tmp_path, every="0.01")
    running.secrets.start()
    with closing(running.secrets):
        running.token.write_text(NEW)
        assert wait_for(lambda: running.values[0] == NEW, 10)
    running.token.write_text(OLD)
    os.utime(running.token, (1, 1))
    assert running.values[0] == NEW


@pytest.mark.parametrize(
    ("spoil", "why"), [(gone, "No such file or directory"), (a_folder, "Is a directory")]
)
def test_a_file_that_cannot_be_read_is_told_with_the_systems_words(
    running: Running, spoil: Callable[[Path], None], why: str
) -> None:
    spoil(running.webhook)
    running.looks(2)
    assert [line["error"] for line in running.lines] == [why]


def test_a_thread_goes_on_after_a_look_that_fails_and_tells_no_text_of_the_error(tmp_path: Path) -> None:
    running = Running(tmp_path, every="0.01")
    look, failing = running.secrets.look, [RuntimeError(NEW), RecursionError(NEW)]

    def looks() -> None:
        if failing:
            raise failing.pop()
        look()

    running.secrets.look = looks  # type: ignore[method-assign]
    running.secrets.start()
    with closing(running.secrets):
        running.token.write_text(NEW)
        assert wait_for(lambda: running.values[0] == NEW, 10)
    assert [line["error"] for line in running.lines if "error" in line] == ["RecursionError", "RuntimeError"]
    assert NEW not in running.log.getvalue()


def test_looks_that_take_long_are_further_apart_and_it_says_how_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look takes two seconds of the clock, and the thread's first wait for the next ends the test."""
    running, now, waits = Running(tmp_path, every="5"), [0.0], list[float]()
    monkeypatch.setattr("faxline_worker.config.secrets.time", Mock(monotonic=lambda: now[0]))

    def look() -> None:
        now[0] += 2.0

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) > 1

    running.secrets.look = look  # type: ignore[method-assign]
    running.secrets._stop = Mock(wait=wait)
    assert running.secrets.looks == 5.0
    running.secrets._run(Mock())
    assert waits == [5.0, 40.0]
    assert running.secrets.looks == 42.0


def test_a_token_from_a_file_that_changes_is_that_of_no_folder_from_then_on(tmp_path: Path) -> None:
    accounts, token = tmp_path / "accounts", tmp_path / "token"
    (accounts / "acme").mkdir(parents=True)
    (accounts / "acme" / "token").write_text("a-token-of-acme")
    token.write_text(OLD)
    environment = {
        "FAXLINE_ACCOUNTS__DEFAULT__TOKEN_FILE": str(token),
        "FAXLINE_ACCOUNTS_DIR": str(accounts),
    }
    log = get_logger("t")
    live = LiveAccounts(read_settings(environment), "worker", log)
    secrets = Secrets(live.settings, secret_files(environment), log, lambda _: None, live)
    token.write_text(NEW)
    secrets.look()
    secrets.look()
    (accounts / "acme" / "token").write_text(NEW)
    secrets.look()
    secrets.look()
    assert "that of account default" in live.broken["acme"]
    assert secrets.tokens == {"default": NEW, "acme": "a-token-of-acme"}


@pytest.mark.parametrize(
    ("member", "old", "new", "wrong"),
    [
        ("WEBHOOK_BASIC", "ifax:old-password", "ifax:new-pass:wörd", "no-colon-in-it"),
        ("WEBHOOK_PATH_SECRETS", "the-old-path-secret", "the-new-path-secret", "a/slash-in-it"),
    ],
)
def test_what_else_lets_webhooks_in_is_rotated_by_its_file_too(
    tmp_path: Path, member: str, old: str, new: str, wrong: str
) -> None:
    path = tmp_path / "file"
    path.write_text(json.dumps([old]))
    environment = {
        f"FAXLINE_ACCOUNTS__A__{member}_FILE": str(path),
        "FAXLINE_ACCOUNTS__A__WEBHOOK_SECRETS": '["a-key-of-ours"]',
    }
    log = io.StringIO()
    learned: list[str] = []
    configure_logs(role="webhook", stream=log)
    secrets = Secrets(read_settings(environment), secret_files(environment), get_logger("t"), learned.extend)

    def values() -> list[str]:
        own = secrets.webhooks["a"]
        assert own.signature == (b"a-key-of-ours",)
        return [value.decode() for value in (*own.basic, *own.path_secret)]

    secrets.look()
    secrets.look()
    assert values() == [old]
    path.write_text(json.dumps([new, old]))
    secrets.look()
    secrets.look()
    assert values() == [new, old]
    assert new.rpartition("ifax:")[2] in learned
    path.write_text(json.dumps([wrong]))
    for _ in range(3):
        secrets.look()
    assert values() == [new, old]
    assert log.getvalue().count("cannot be used") == 1
    assert wrong not in log.getvalue()
