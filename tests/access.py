"""Every page and action of the console, tried by everybody: what each answers and leaves in Redis."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import redis
from starlette.routing import Route

from faxline_console.access.guard import COOKIE
from faxline_console.access.people import Person, Role
from tests.access_stage import NUMBER, SECRET, STATES, Answers, begun, content, named, stage
from tests.consoles import RADIOLOGY, Console, Somebody
from tests.hostile_files import plain_pdf
from tests.stage.archives import BEGIN

PASSWORD = "correct horse battery"
ROLES = tuple(str(role) for role in Role)
STRANGERS = {"other account": "foreign", "other department": "outsider"}
"""Administrators of the account south, and of the department radiology."""
TWISTS = ("no token", "other token", "other site")
"""An administrator's form that this session's pages did not make."""
WHO = ("no session", *ROLES, *STRANGERS, *TWISTS)
FAX = "/faxes/{account}/{job}"
MAILING = "/mailings/{account}/{name}"
DOUBT = "/attention/{account}/doubts/{job}"
OPEN = frozenset({"/", "/healthz", "/readyz", "/static", "/sign-in", "/sign-in/{token}"})
"""What takes no session."""

ENDING = frozenset({"/sign-out", "/sign-in", "/sign-in/{token}"})
"""What ends a session, or begins another."""


SEEN = {job: f"north/1/{state}/0/{job}" for job, state in STATES.items()} | {
    "old": f"north/{BEGIN}/delivered/1/old"
}


@dataclass(frozen=True)
class Attempt:
    """What is tried at an address.

    Attributes:
        job: the fax of the address: one with which it works.
        fields: of the form.
        acts: whether it leaves an order or an entry that names the person.
        drafts: whether it needs an upload of its own session.
        files: what is uploaded.
    """

    job: str = "now"
    fields: Mapping[str, str] = field(default_factory=dict)
    acts: bool = False
    drafts: bool = False
    files: tuple[str, ...] = ()


def form(job: str = "now", *, acts: bool = True, **fields: str) -> Attempt:
    """A form with a reason, which says of its fax what `stage` made of it."""
    return Attempt(job, {"reason": "tried", "seen": SEEN[job], **fields}, acts=acts)


SEND = {
    "to": "+12025550147",
    "account": "north",
    "priority": "normal",
    "faxQuality": "Standard",
    "how": "send",
}
ATTEMPTS: Mapping[tuple[str, str], Attempt] = {
    **{("GET", path): Attempt() for path in OPEN},
    **{
        ("GET", path): Attempt()
        for path in (
            *(
                "/session",
                "/faxes",
                "/attention",
                "/mailings",
                "/mailings/new",
                "/send",
                "/accounts",
                "/usage",
                "/usage.csv",
                "/audit.csv",
            ),
            *(
                "/system",
                "/audit",
                "/live",
                FAX,
                MAILING,
                f"{MAILING}/failures.csv",
                f"{MAILING}/left-out.csv",
            ),
        )
    },
    ("POST", f"{FAX}/report.pdf"): form("old"),
    ("POST", f"{FAX}/proof.zip"): form("old"),
    ("POST", f"{FAX}/receipt.json"): form("old"),
    ("POST", f"{FAX}/reveal"): form(),
    ("POST", f"{FAX}/cancel"): form(),
    ("POST", f"{FAX}/resend"): form("over", next="over.r1"),
    ("POST", f"{FAX}/elsewhere"): form("over", to=NUMBER, confirmed=NUMBER, next="over.r1"),
    ("POST", f"{FAX}/resolve"): form("doubt", how="fail"),
    ("POST", f"{FAX}/ask"): form("lost"),
    ("POST", f"{FAX}/forget"): form("over"),
    ("POST", "/faxes"): Attempt(fields={"q": "state:failed"}),
    ("POST", "/faxes/plan"): Attempt(fields={"verb": "cancel", "pick": SEEN["now"]}),
    ("POST", "/faxes/do"): form(verb="cancel", picks=SEEN["now"]),
    ("POST", "/attention/{account}/dead"): form(how="drop", entry="1-1"),
    ("POST", "/attention/{account}/ended/{job}/leave"): form("over"),
    ("POST", DOUBT): form("doubt", how="fail"),
    ("POST", f"{DOUBT}/number"): form("doubt"),
    ("POST", "/accounts/{account}"): form(how="pause"),
    ("POST", "/send/numbers"): Attempt(fields={"to": "+12025550147"}),
    ("POST", "/send"): Attempt(fields=SEND, files=("files",), acts=True),
    ("POST", "/mailings/new"): Attempt(fields={"account": "north"}, files=("csv", "files")),
    ("POST", "/mailings/push"): Attempt(drafts=True, acts=True),
    ("POST", "/mailings/bad"): Attempt(drafts=True),
    ("POST", "/theme"): Attempt(fields={"theme": "dark"}),
    ("POST", "/session"): Attempt(),
    ("POST", "/sign-out"): Attempt(),
    ("POST", "/sign-in/{token}"): Attempt(),
    ("POST", "/sign-in"): Attempt(fields={"user": "lena", "password": PASSWORD}),
}
FILES = {
    "csv": ("letters.csv", b"to\n+12025550147\n", "text/csv"),
    "files": ("a.pdf", plain_pdf(), "application/pdf"),
}


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt.

    Attributes:
        status: of the answer.
        let_in: whether the page was shown or the action taken.
        changed: whether Redis is not as it was.
        by: who is named in what the attempt left in Redis.
        told: whether the answer has the secret.
    """

    status: int
    let_in: bool
    changed: bool
    by: frozenset[str]
    told: bool


class Trial:
    """Tries every address.

    Args:
        console: with an archive that has the fax `old`.
        client: of the state's database, which is emptied for each attempt.
        answers: what answers the orders there.
    """

    def __init__(self, console: Console, client: redis.Redis, answers: Answers) -> None:
        self._console = console
        self._client = client
        self._answers = answers
        self._signed_in: dict[str, Somebody] = {}
        console.store.add_user(Person("foreign", Role.ADMIN, frozenset({"south"})))
        console.store.add_user(Person("outsider", Role.ADMIN, department=RADIOLOGY))
        console.store.add_user(Person("lena", Role.VIEWER), PASSWORD)

    def routes(self) -> list[tuple[str, str]]:
        """The method and the path of every route."""
        found = []
        for route in self._console.routes:
            methods = route.methods if isinstance(route, Route) else {"GET"}
            found += [(method, route.path) for method in sorted(methods or ()) if method != "HEAD"]
        return found

    def row(self, method: str, path: str) -> dict[str, Outcome]:
        """Try an address as everybody."""
        return {who: self.attempt(method, path, who) for who in WHO}

    def attempt(self, method: str, path: str, who: str) -> Outcome:
        """Try an address as somebody, on a Redis with faxes of north's billing department."""
        tried = ATTEMPTS[method, path]
        with self._answers.looking:
            self._client.flushdb()
        stage(self._client)
        name = STRANGERS.get(who, "admin" if who in TWISTS else who)
        person = self._console.stranger() if who == WHO[0] else self._person(name)
        fields = {"form_token": person.form_token, **tried.fields}
        if tried.drafts:
            fields |= {"draft": self._draft(person), "name": name.replace(" ", "-")}
        if who == "no token":
            del fields["form_token"]
        elif who == "other token":
            fields["form_token"] = self._console.person("admin").form_token  # of another session
        headers = {"origin": "https://evil.example"} if who == "other site" else {}
        where = path.format(account="north", job=tried.job, name="june", token="x") + "/console.css" * (
            path == "/static"
        )
        before = content(self._client)
        if path == "/live":
            answer = self._console.runner.run(
                begun(self._console.app, where, person.cookies.get(COOKIE) or "")
            )
        elif method == "GET":
            answer = person.get(where, headers=headers)
        else:
            files = {name: FILES[name] for name in tried.files} or None
            answer = person.post(where, data=fields, files=files, headers=headers)
        after = content(self._client)
        if path in ENDING:
            self._signed_in.clear()
        to_sign_in = answer.headers.get("location", "").startswith("/sign-in") and path not in {
            "/sign-out",
            "/",
        }
        let_in = answer.status_code in {200, 303} and not to_sign_in
        return Outcome(
            answer.status_code, let_in, before != after, named(self._client), SECRET in answer.text
        )

    def _person(self, name: str) -> Somebody:
        """A browser in which somebody has signed in, and whose session has not been ended since."""
        if name not in self._signed_in:
            self._signed_in[name] = self._console.person(name)
        return self._signed_in[name]

    def _draft(self, person: Somebody) -> str:
        if COOKIE not in person.cookies:
            return "x"
        page = person.act("/mailings/new", files=FILES, account="north").text
        return page.partition('name="draft" value="')[2].partition('"')[0]
