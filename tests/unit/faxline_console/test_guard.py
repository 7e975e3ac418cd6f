"""Who is let in: every page without a session, with a lesser role, and from a proxy or past it."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import Mock
from urllib.parse import quote

import httpx
import pytest
import structlog
from argon2 import PasswordHasher
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from faxline_archive.database import open_database
from faxline_console.access.guard import COOKIE, Guard, Page, person_of
from faxline_console.access.headers import POLICY
from faxline_console.access.links import Links
from faxline_console.access.people import Person, Right, Role
from faxline_console.access.sessions import Lifetimes
from faxline_console.access.store import ConsoleStore
from faxline_console.app import make_app
from faxline_console.live.lines import Lines
from faxline_console.pages.sign_in import AT_ONCE, WAITING
from faxline_console.rendering import Renderer, make_environment
from faxline_worker.config.live_accounts import LiveAccounts
from faxline_worker.config.settings import read_settings
from tests.browserless import Browser

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery"


async def who(request: Request) -> Response:
    return PlainTextResponse(person_of(request).name)


async def act(_: Request) -> Response:
    return PlainTextResponse("done")


async def fail(_: Request) -> Response:
    raise RuntimeError("a detail that nobody should see")


PAGES = [
    Page("/who", Right.READ, who),
    Page("/act", Right.ACCOUNTS, act, ["POST"]),
    Page("/fail", None, fail),
    Page("/itself", None, who, by_itself=True),
]


class Console:
    def __init__(self, folder: Path, **settings: str) -> None:
        environment = {
            "FAXLINE_ACCOUNTS": "north",
            "FAXLINE_CONSOLE__DATABASE": f"sqlite:///{folder / 'console.db'}",
            **{f"FAXLINE_CONSOLE__{name}": value for name, value in settings.items()},
        }
        read = read_settings(environment)
        self.store = ConsoleStore(
            open_database(read.console.database, writes=True), Lifetimes(attempts=3), hasher=QUICK
        )
        for role in Role:
            self.store.add_user(Person(str(role), role), PASSWORD)
        app = make_app(
            Guard(self.store, read.console),
            Renderer(make_environment(), "UTC"),
            Lines(LiveAccounts(read, "console", structlog.get_logger())),
            PAGES,
            structlog.get_logger(),
        )
        self.app = app
        self.client = Browser(app)

    def sign_in(self, name: str, password: str = PASSWORD, back: str = "") -> httpx.Response:
        return self.client.post(f"/sign-in?back={back}", data={"user": name, "password": password})

    def form_token(self) -> str:
        session = self.store.session(self.client.cookies[COOKIE])
        assert session is not None
        return session.form_token


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


def test_without_a_session_every_page_leads_to_the_sign_in_and_nothing_is_done(console: Console) -> None:
    answer = console.client.get("/who?q=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?back=%2Fwho%3Fq%3D1")
    answer = console.client.post("/act")
    assert answer.status_code == 403
    assert "Your session has ended. Nothing was sent or changed." in answer.text
    assert '<a class="btn primary" href="/sign-in?back=/faxes">Sign in</a>' in answer.text


FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_a_form_that_takes_longer_than_its_session_does_nothing(console: Console) -> None:
    console.sign_in("operator")
    token = console.form_token()

    async def slowly(ends: bool) -> AsyncIterator[bytes]:
        yield f"form_token={token}".encode()
        if ends:
            console.store.end_sessions("operator")
        yield b"&why=because"

    assert console.client.post("/act", content=slowly(ends=False), headers=FORM).text == "done"
    answer = console.client.post("/act", content=slowly(ends=True), headers=FORM)
    assert answer.status_code == 403
    assert "Your session has ended. Nothing was sent or changed." in answer.text


@pytest.mark.parametrize("path", ["/act", "/sign-in"])
@pytest.mark.parametrize("charset", ["unicode_escape", "undefined"])
def test_a_form_that_is_no_text_is_refused(console: Console, charset: str, path: str) -> None:
    console.sign_in("operator")
    fields = {"form_token": console.form_token(), "user": r"\ud800..", "password": "x"}
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    ]
    answer = console.client.post(
        path,
        content="".join([*parts, "--x--\r\n"]),
        headers={"content-type": f"multipart/form-data; boundary=x; charset={charset}"},
    )
    assert (answer.status_code, "no text in UTF-8" in answer.text) == (400, True)


def test_what_an_open_page_asks_for_by_itself_keeps_no_session_alive(console: Console) -> None:
    console.sign_in("viewer")
    console.store.session = Mock(wraps=console.store.session)  # type: ignore[method-assign]
    for path, headers in (("/who", {}), ("/itself", {}), ("/who", {"HX-Request": "true"})):
        assert console.client.get(path, headers=headers).status_code == 200
    assert [call.kwargs["use"] for call in console.store.session.call_args_list] == [True, False, False]


def test_somebody_who_signed_in_is_known_and_comes_back_to_the_page(console: Console) -> None:
    answer = console.sign_in("viewer", back="/who")
    assert (answer.status_code, answer.headers["location"]) == (303, "/who")
    assert console.client.get("/who").text == "viewer"


def test_the_log_has_who_signed_in_and_out_and_what_was_refused_but_no_text_that_was_typed(
    console: Console,
) -> None:
    with structlog.testing.capture_logs() as log:
        console.sign_in("a password by mistake", "wrong")
        console.sign_in("viewer")
        token = console.form_token()
        console.client.post("/sign-out", data={"form_token": token})
        console.client.post(f"/sign-in/{Links(console.store).make('clerk')}")
    assert [(line["event"], line.get("user"), line.get("by") or line.get("reason")) for line in log] == [
        ("sign-in refused", None, "no match"),
        ("signed in", "viewer", "password"),
        ("signed out", "viewer", None),
        ("signed in", "clerk", "link"),
    ]
    assert "mistake" not in str(log)
    assert token not in str(log)


@pytest.mark.parametrize(
    "back",
    [
        "//[",
        "//\u2100",
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\nb",
        "\\\\e",
    ],
)
def test_nobody_is_sent_elsewhere_after_signing_in(console: Console, back: str) -> None:
    assert console.sign_in("viewer", back=quote(back, safe="")).headers["location"] == "/faxes"


@pytest.mark.parametrize("role", Role)
def test_a_page_is_there_for_the_roles_that_have_its_right_and_for_no_other(
    console: Console, role: Role
) -> None:
    console.sign_in(str(role))
    answer = console.client.post("/act", data={"form_token": console.form_token()})
    assert answer.status_code == (200 if Right.ACCOUNTS in role.rights else 403)


def test_a_form_without_its_sessions_token_does_nothing(console: Console) -> None:
    console.sign_in("operator")
    for data in ({}, {"form_token": ""}, {"form_token": "é"}, {"form_token": "x" * 43}):
        assert console.client.post("/act", data=data).status_code == 403
    files = {"form_token": ("a.txt", b"x")}
    assert console.client.post("/act", files=files).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://["},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_form_that_another_site_sent_does_nothing(console: Console, headers: dict[str, str]) -> None:
    console.sign_in("operator")
    answer = console.client.post("/act", data={"form_token": console.form_token()}, headers=headers)
    assert answer.status_code == 403
    signing_in = console.client.post(
        "/sign-in", data={"user": "viewer", "password": PASSWORD}, headers=headers
    )
    assert signing_in.status_code == 403


@pytest.mark.parametrize("url", ["https://Fax.Example.org", "https://fax.example.org:443"])
def test_the_console_is_no_other_site_however_its_own_address_is_written(tmp_path: Path, url: str) -> None:
    console = Console(tmp_path, URL=url)
    form = {"user": "viewer", "password": PASSWORD}
    for origin, status in (("https://fax.example.org", 303), ("https://fax.example.org:8443", 403)):
        answer = console.client.post("/sign-in", data=form, headers={"origin": origin})
        assert answer.status_code == status
    assert console.client.cookies.get(f"__Host-{COOKIE}")


def test_too_many_tries_are_refused_though_the_password_is_right(console: Console) -> None:
    for _ in range(3):
        assert console.sign_in("viewer", "wrong").status_code == 403
    answer = console.sign_in("viewer")
    assert answer.status_code == 429
    assert COOKIE not in console.client.cookies


def test_a_look_at_the_page_is_no_try(console: Console) -> None:
    for _ in range(4):
        assert console.client.request("HEAD", "/sign-in").status_code == 200
    assert console.sign_in("viewer").status_code == 303


def test_only_a_few_passwords_are_checked_at_once_and_a_crowd_is_told_to_come_again(console: Console) -> None:
    checked, began, go_on = list[str](), threading.Semaphore(0), threading.Event()

    def check(hashed: str | None, password: str) -> bool:
        checked.append(f"{hashed} {password}")
        began.release()
        return not go_on.wait(timeout=60)

    console.store._passwords.match = check  # type: ignore[method-assign]

    async def crowd() -> None:
        transport = httpx.ASGITransport(console.app, client=("192.0.2.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
            forms = [{"user": f"somebody {n}", "password": "wrong"} for n in range(WAITING + AT_ONCE + 5)]
            waiting = {asyncio.ensure_future(client.post("/sign-in", data=form)) for form in forms}
            while len(waiting) > WAITING + AT_ONCE:
                done, waiting = await asyncio.wait(waiting, timeout=30, return_when=asyncio.FIRST_COMPLETED)
                assert {answer.result().status_code for answer in done} == {429}
            for _ in range(AT_ONCE):
                assert await asyncio.to_thread(began.acquire, timeout=30)
            assert len(checked) == AT_ONCE
            go_on.set()
            assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {403}

    try:
        asyncio.run(crowd())
    finally:
        go_on.set()
    assert len(checked) == WAITING + AT_ONCE


def test_the_form_of_the_sign_in_is_small(console: Console) -> None:
    assert console.sign_in("viewer", "x" * 20_000).status_code == 413


def test_who_signs_out_is_out(console: Console) -> None:
    console.sign_in("viewer")
    cookie = console.client.cookies[COOKIE]
    console.client.post("/sign-out", data={"form_token": console.form_token()})
    console.client.cookies.set(COOKIE, cookie)
    assert console.client.get("/who").status_code == 303


@pytest.mark.parametrize("path", ["/sign-in", "/who", "/fail", "/nowhere", "/static/console.css"])
def test_every_answer_keeps_scripts_frames_and_caches_away(console: Console, path: str) -> None:
    console.sign_in("viewer")
    headers = console.client.get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    assert ("no-store" in headers["cache-control"]) is not path.startswith("/static")


def test_a_fault_shows_a_reference_and_no_detail(console: Console) -> None:
    console.sign_in("viewer")
    answer = console.client.get("/fail")
    assert answer.status_code == 500
    assert re.search("[0-9a-f]{8}", answer.text)
    assert "detail that nobody" not in answer.text


@pytest.mark.parametrize(
    "away", [OperationalError("SELECT", {}, Exception("locked")), NoConnection("the pool is empty")]
)
def test_a_database_that_is_away_is_told_as_such(console: Console, away: Exception) -> None:
    console.sign_in("viewer")
    console.store.session = Mock(side_effect=away)  # type: ignore[method-assign]
    answer = console.client.get("/who")
    assert answer.status_code == 503
    assert "database does not answer" in answer.text


@pytest.mark.parametrize("path", ["/who/", "/sign-in/", "/healthz/"])
def test_nobody_is_led_to_the_host_that_a_request_names(console: Console, path: str) -> None:
    answer = console.client.get(path, headers={"host": "evil.example"})
    assert (answer.status_code, answer.headers.get("location")) == (404, None)


def test_a_body_that_is_too_large_is_refused(console: Console) -> None:
    console.sign_in("operator")
    answer = console.client.post("/act", data={"form_token": "x" * 22_000_000})
    assert answer.status_code == 413


def test_the_cookie_is_for_https_alone_where_the_console_is_reached_by_it(tmp_path: Path) -> None:
    console = Console(tmp_path, URL="https://fax.example.org")
    flags = console.sign_in("viewer").headers["set-cookie"].lower()
    for flag in ("__host-faxline-session=", "secure", "httponly", "samesite=lax", "path=/"):
        assert flag in flags
    assert "domain" not in flags


class ByProxy:
    def __init__(self, folder: Path, address: str) -> None:
        self.console = Console(folder, PROXIES="10.0.0.0/8", USER_HEADER="X-User")
        self.client = Browser(self.console.app, address)


def test_the_proxy_names_who_is_there_and_there_is_no_other_way_in(tmp_path: Path) -> None:
    proxy = ByProxy(tmp_path, "10.1.2.3")
    assert proxy.client.get("/who", headers={"X-User": "viewer"}).text == "viewer"
    assert proxy.client.get("/who", headers={"X-User": "admin"}).text == "admin"
    assert proxy.client.get("/who").status_code == 403
    assert proxy.client.get("/who", headers={"X-User": "stranger"}).status_code == 403
    assert proxy.client.get("/who", headers=[("X-User", "viewer"), ("X-User", "admin")]).status_code == 403
    assert proxy.client.post("/sign-in", data={"user": "admin", "password": PASSWORD}).status_code == 404


def test_a_proxy_may_connect_by_ipv6_and_names_people_in_any_script(tmp_path: Path) -> None:
    proxy = ByProxy(tmp_path, "::ffff:10.1.2.3")
    proxy.console.store.add_user(Person("Jürgen", Role.VIEWER))
    assert proxy.client.get("/who", headers=[(b"X-User", "Jürgen".encode())]).text == "Jürgen"
    in_latin = proxy.client.get("/who", headers=[(b"X-User", "Jürgen".encode("latin-1"))])
    assert (in_latin.status_code, "is not UTF-8" in in_latin.text) == (403, True)


@pytest.mark.parametrize("address", ["192.0.2.1", "", "::ffff:192.0.2.1"])
def test_the_header_counts_from_the_proxys_addresses_alone(tmp_path: Path, address: str) -> None:
    proxy = ByProxy(tmp_path, address)
    assert proxy.client.get("/who", headers={"X-User": "admin"}).status_code == 403


@pytest.mark.parametrize(("path", "status"), [("/fail", 500), ("/act", 403), ("/who", 200)])
def test_the_session_of_whom_the_proxy_names_is_kept_whatever_the_first_page_is(
    tmp_path: Path, path: str, status: int
) -> None:
    proxy = ByProxy(tmp_path, "10.1.2.3")
    method = "POST" if path == "/act" else "GET"
    cookies = set()
    for _ in range(3):
        assert proxy.client.request(method, path, headers={"X-User": "viewer"}).status_code == status
        cookies.add(proxy.client.cookies[COOKIE])
    assert len(cookies) == 1
