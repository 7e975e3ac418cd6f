"""A console with all its pages on a real Redis, and people of every role who have signed in."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any, Self

import httpx
import redis
import structlog
from argon2 import PasswordHasher

from faxline.contract.redis_keys import RedisKeys
from faxline_archive.database import open_database
from faxline_console.access.guard import COOKIE, Guard
from faxline_console.access.people import Person, Role
from faxline_console.access.store import ConsoleStore
from faxline_console.app import make_app
from faxline_console.mailings.store import MailingStore
from faxline_console.process import make_pages
from faxline_console.rendering import Renderer, make_environment
from faxline_worker.config.live_accounts import LiveAccounts
from faxline_worker.config.settings import read_settings
from tests.browserless import Browser
from tests.stage.archives import BEGIN

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
NUMBER = "+12025550168"
RADIOLOGY = ("department", "radiology")


OF_A_FAX = re.compile("/(?:faxes|attention)/([^/]+)/(?:(?:doubts|ended)/)?([^/]+)(?:/[^/]+)?")
"""The address of an action on a fax."""


class Console:
    """The console of the accounts north and south."""

    def __init__(self, redis_url: str, folder: Path, **environment: str) -> None:
        settings = read_settings(
            {
                "FAXLINE_REDIS_URL": redis_url,
                "FAXLINE_ACCOUNTS": "north,south",
                "FAXLINE_CONSOLE__DATABASE": f"sqlite:///{folder / 'console.db'}",
                **environment,
            }
        )
        self.store = ConsoleStore(open_database(settings.console.database, writes=True), hasher=QUICK)
        for role in Role:
            self.store.add_user(Person(str(role), role))
        self.store.add_user(Person("bound", Role.OPERATOR, frozenset({"south"})))
        self.store.add_user(Person("radiologist", Role.OPERATOR, department=RADIOLOGY))
        self.live = LiveAccounts(settings, "console", structlog.get_logger())
        parts = make_pages(
            self.live,
            self.store,
            Renderer(make_environment(), "UTC"),
        )
        self.lines, self.counts = parts.lines, parts.counts
        self.mailings = MailingStore(self.store.engine)
        guard = Guard(self.store, settings.console, parts.counts.prepare)
        self.app = make_app(guard, parts.renderer, parts.lines, parts.pages, structlog.get_logger())

    @property
    def routes(self) -> list[Any]:
        """Every route of the application."""
        app: Any = self.app._app
        return list(app.routes)

    def __enter__(self) -> Self:
        self.runner = asyncio.Runner()
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.run(self.lines.close())
        self.runner.close()

    def seen(self, place: str) -> str:
        """A fax of an account (`north/fax-1`) as a page shows it now: what its forms say was seen."""
        page = self.person("admin").get(f"/faxes/{place}").text
        return page.partition('name="seen" value="')[2].partition('"')[0]

    def picks(self, *places: str) -> list[str]:
        """What the list has for the ticks of these faxes."""
        return [self.seen(place) for place in places]

    def person(self, name: str) -> "Somebody":
        """A browser in which somebody has signed in."""
        return Somebody(self, name)

    def stranger(self) -> "Somebody":
        """A browser in which nobody has signed in."""
        return Somebody(self, None)


class Somebody(Browser):
    """The browser of a person."""

    def __init__(self, console: Console, name: str | None) -> None:
        super().__init__(console.app)
        self._console = console
        self._runner = console.runner
        self.form_token = ""
        if name is not None:
            token = console.store.begin_session(name)
            self.cookies.set(COOKIE, token)
            session = console.store.session(token)
            assert session is not None
            self.form_token = session.form_token

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request; all of a console's are answered on one event loop, as it does them."""
        return self._runner.run(self._request(method, path, **options))

    def act(self, path: str, files: Any = None, **fields: Any) -> httpx.Response:
        """Send a form of this session. One about a fax says, as it is now, which one the person saw."""
        if (about := OF_A_FAX.fullmatch(path)) and "seen" not in fields and about[2] != "dead":
            fields["seen"] = self._console.seen(f"{about[1]}/{about[2]}")
        return self.post(path, data={"form_token": self.form_token, **fields}, files=files)


def put_fax(client: redis.Redis, job: str, account: str = "north", **fields: Any) -> None:
    """Put the record of a fax that was queued into Redis, and what these fields say of it."""
    step = json.dumps({"event": "fax.queued", "at": BEGIN, "state": "queued", "attempt": 0})
    told: Any = {"state": "queued", "number": NUMBER, "created_at": BEGIN, "n": 1, "h:1": step} | fields
    client.hset(RedisKeys(account).job(job), mapping=told)


def shown(answer: httpx.Response) -> str:
    """The text of a page's main part, without its tags."""
    main = answer.text.partition("<main")[2].partition(">")[2]
    return " ".join(re.sub("<[^>]*>", " ", main).split())
