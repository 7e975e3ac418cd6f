"""The daemon's settings: one frozen object, read once from the environment by the composition root.

DESIGN section 3 lists the variables. Every duration is in seconds. A bad setting raises `SettingsError`,
whose text is one readable line that names the variable.
"""

import base64
import json
import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from faxline.contract.entry_members import own_or_none
from faxline.contract.environment import PREFIX, check_environment, given_as
from faxline.contract.file_hosts import host_pattern
from faxline.contract.pdf_reader import MEMORY, TIMEOUT
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.redis_url import sentinel_url
from faxline.contract.sealing.keyring import Keyring
from faxline.steps.replicas import REPLICAS_TIMEOUT, Confirmation
from faxline_worker.ifax.route import Proxy, is_loopback, trusting
from faxline_worker.ifax.webhook_access import WebhookSecrets, check_basic, check_path_secret
from faxline_worker.observability.pulse import STALL

NOT_A_KEY = "not-for-the-"
"""What the manifests gave the parts that call nobody in the place of a key begins so."""
_SECRET_FILES = ("token_file", "webhook_secrets_file", "webhook_basic_file", "webhook_path_secrets_file")
_SECRET_DEPTH = 3
WEBHOOK_MEMBERS = ("webhook_secrets", "webhook_basic", "webhook_path_secrets")
"""The settings of an account that let webhooks in, in the order of `WebhookSecrets`."""
CHECKS: Mapping[str, Callable[[str], str]] = {
    "webhook_basic": check_basic,
    "webhook_path_secrets": check_path_secret,
}
"""What a value of them must be."""


_RECEIPTS = "a receipt of one could settle the other's doubt; set different ones at iFax"
SHARED = {
    "TOKEN": "iFax counts them as one account, whose limits would be used twice; name it once",
    "WEBHOOK_SECRETS": _RECEIPTS,
    "WEBHOOK_BASIC": _RECEIPTS,
    "WEBHOOK_PATH_SECRETS": _RECEIPTS,
}
"""Why two accounts must not have the same one."""


class SettingsError(Exception):
    """The environment does not make valid settings; the text names the variable and the fix."""


@dataclass(frozen=True)
class SecretFile:
    """A file that holds a secret of an account.

    Args:
        variable: the environment's, which names the file.
        path: the file.
        account: whose it is.
        member: `token`, `webhook_secrets`, `webhook_basic` or `webhook_path_secrets`.
        text: what it held when the settings were read.
    """

    variable: str
    path: str
    account: str
    member: str
    text: str = field(repr=False)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Part):
    """What iFax allows one account (ifax-api, Rate Limiting); 0 turns a limit off."""

    requests: int = Field(1000, ge=0)
    window: PositiveFloat = 3600.0
    concurrency: int = Field(20, ge=0)
    burst: int = Field(50, ge=0)


class AccountLimits(_Part):
    """An account's own limits; what is not given is the general limit."""

    requests: int | None = Field(None, ge=0)
    window: PositiveFloat | None = None
    concurrency: int | None = Field(None, ge=0)
    burst: int | None = Field(None, ge=0)


class Ceilings(_Part):
    """How much an account may keep: jobs that have not ended, and their bytes; 0 is no ceiling.

    Past a ceiling an entry is rejected (`backlog_full`). A million jobs are some 2.2 GB of Redis' memory and
    six weeks of work at iFax's limits; nobody means to queue more on one account.
    """

    jobs: int = Field(1_000_000, ge=0)
    bytes: int = Field(0, ge=0)


class AccountCeilings(_Part):
    """An account's own ceilings; what is not given is the general one."""

    jobs: int | None = Field(None, ge=0)
    bytes: int | None = Field(None, ge=0)


class Account(_Part):
    """One iFax account. The part that needs a token or a secret demands it (`demand`).

    Attributes:
        webhook_secrets, webhook_basic, webhook_path_secrets: what lets webhooks in (`webhook_proofs`): keys
            of the signature, `user:password`, secrets in the path. Each may be rotated: the new one first.
    """

    token: SecretStr | None = None
    webhook_secrets: tuple[SecretStr, ...] = ()
    webhook_basic: tuple[SecretStr, ...] = ()
    webhook_path_secrets: tuple[SecretStr, ...] = ()
    caller_id: Annotated[str | None, AfterValidator(own_or_none)] = None
    limits: AccountLimits = AccountLimits()
    ceilings: AccountCeilings = AccountCeilings()

    @field_validator("webhook_basic", "webhook_path_secrets")
    @classmethod
    def _usable(cls, values: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        for value in values:
            CHECKS[str(info.field_name)](value.get_secret_value())
        return values

    @property
    def webhook(self) -> WebhookSecrets:
        """What lets webhooks in."""
        return WebhookSecrets(*(_texts(getattr(self, member)) for member in WEBHOOK_MEMBERS))

    def webhook_texts(self) -> Iterator[tuple[str, str]]:
        """Each secret of its webhooks by the name of its setting."""
        for member in WEBHOOK_MEMBERS:
            yield from ((member.upper(), value.get_secret_value()) for value in getattr(self, member))


def _texts(values: Iterable[SecretStr]) -> tuple[bytes, ...]:
    return tuple(value.get_secret_value().encode() for value in values)


class SubmissionRetries(_Part):
    """Retries of a submission that is proved not taken."""

    attempts: PositiveInt = 5
    base: PositiveFloat = 2.0
    max: PositiveFloat = 300.0


def _waits(value: Any) -> Any:
    """One number of seconds stands for the same wait each time."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("must be a number of seconds or a JSON list of them") from None
    return value if isinstance(value, list | tuple) else (value,)


Waits = Annotated[tuple[PositiveFloat, ...], BeforeValidator(_waits), Field(min_length=1, max_length=100)]
"""Seconds before the second delivery, the third and so on; the last one repeats."""


class DeliveryRetries(_Part):
    """Retries of a fax that iFax could not deliver.

    The defaults reach a machine that is out of paper, or in an office at lunch: five tries within an hour, or
    nearly two where somebody must come first (docs/causes.md).
    """

    attempts: PositiveInt = 5
    busy: Waits = (180.0, 300.0, 900.0, 2400.0)
    no_answer: Waits = (300.0, 900.0, 1800.0, 3600.0)
    other: Waits = (60.0, 300.0, 900.0, 1800.0)
    redial_wait: Annotated[float, Field(ge=0)] = 600.0


class Retries(_Part):
    """Both kinds of retries."""

    submission: SubmissionRetries = SubmissionRetries()
    delivery: DeliveryRetries = DeliveryRetries()


class Numbers(_Part):
    """How many faxes may be on their way to one number at a time; 0: any number.

    A fax holds its number's line until it is final, or for `lease` seconds, lest a lost receipt block it.
    """

    concurrent: int = Field(1, ge=0)
    lease: PositiveFloat = 1800.0


class InDoubt(_Part):
    """How long a doubt waits for a receipt, and what then.

    `clock_slack` is how much (s) iFax's clock and Redis' may differ when a receipt without a known jobId is
    held against the doubts.
    """

    wait: PositiveFloat = 9000.0
    clock_slack: float = Field(120.0, ge=0)
    then: Literal["hold", "resend", "fail"] = "hold"


class Poll(_Part):
    """When iFax is asked how a submitted fax stands, and with how much of the limits.

    `schedule`: seconds after the acceptance; the last is repeated. `share`: of the hour's requests, and of
    the burst and the calls at once.
    """

    schedule: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (120, 300, 600, 1200, 2400)
    share: float = Field(0.2, gt=0, le=1)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.schedule) != sorted(set(self.schedule)):
            raise ValueError("POLL__SCHEDULE must be rising seconds, such as [120,300,600]")
        return self


class Cooldown(_Part):
    """How long an account's gate closes after a 429: Retry-After, between `min` and `max`.

    Without one, `base`, doubled with every further 429 in a row. Of the limits, at least the share
    `min_limit_factor` stays in use.
    """

    base: PositiveFloat = 5.0
    min: PositiveFloat = 0.5
    max: PositiveFloat = 900.0
    min_limit_factor: float = Field(0.05, gt=0, le=1)


class Unreachable(_Part):
    """How an account is probed while iFax cannot be reached, or what answers is not iFax.

    The first call follows after `first` seconds, each further one after about twice as long, at most `max`.
    """

    first: PositiveFloat = 1.0
    max: PositiveFloat = 45.0


class Breaker(_Part):
    """After how many answers in a row of one unknown meaning an account is paused.

    A fax that iFax refuses so fails once another one was accepted meanwhile, or when it was refused as often.
    """

    after: PositiveInt = 5


class StepBack(_Part):
    """How long (s) an acceptance of another worker's call shows that iFax can be reached and the key is good.

    A worker that fails meanwhile steps back by itself, and the account stays open for the others.
    """

    window: PositiveFloat = 60.0


class Probe(_Part):
    """How a paused account is probed: after `first` seconds, then after twice as long, at most `max`."""

    first: PositiveFloat = 60.0
    max: PositiveFloat = 3600.0


class Starvation(_Part):
    """Of the slots, `share` goes to the oldest job once it has waited longer than `after` seconds."""

    after: PositiveFloat = 900.0
    share: float = Field(0.1, ge=0, le=1)


class Traces(_Part):
    """Where OTLP over HTTP is taken, such as http://127.0.0.1:4318/v1/traces; empty: no traces."""

    endpoint: str = ""


class Pdf(_Part):
    """What opening the PDFs of one entry may take: seconds of processor time, and bytes of memory."""

    timeout: PositiveFloat = TIMEOUT
    memory: int = Field(MEMORY, ge=64 * 1024 * 1024)


class Webhook(_Part):
    """Where the webhook listens; `url` is where iFax reaches it: what stands before /webhooks/ifax.

    `connections` is how many there may be; beyond it the one that has waited for longest makes room. The
    timeouts (s) are of a request's headers, of its body, and of an unused connection: the last outlives what
    proxies keep (nginx and most others 60 s), so that it is not closed here while a proxy takes it up again.
    """

    host: str = "0.0.0.0"  # noqa: S104 - the contract's default: iFax calls from outside
    port: int = Field(8080, ge=0, le=65535)
    url: str = ""
    connections: PositiveInt = 500
    header_timeout: PositiveFloat = 10.0
    body_timeout: PositiveFloat = 10.0
    idle_timeout: PositiveFloat = 75.0


class Metrics(_Part):
    """The ports of /metrics, /healthz and /readyz.

    `failures_from_zero`: every label set of `fax_failures_total` is there from the start. It has 150 an
    account, four fifths of what a dispatcher tells: with many accounts each may come with its first failure.
    """

    dispatcher_port: int = Field(9101, ge=0, le=65535)
    worker_port: int = Field(9102, ge=0, le=65535)
    webhook_port: int = Field(9103, ge=0, le=65535)
    failures_from_zero: bool = True


class Settings(_Part):
    """All settings of the daemon.

    Attributes beyond the contract's table: `http_rate`, the bytes a second at which a request's body is given
    time beyond `http_timeout`; `redis_replicas_timeout`, how long (s) replicas are waited for;
    `ifax_proxy`, the URL of a proxy that makes the tunnels to iFax;
    `ifax_ca`, a PEM bundle of the only authorities that are trusted for iFax; `ifax_insecure`, whether the
    API key may go in clear over a network; `schedule`, who keeps a fax with a `send_at` until then, iFax
    (`provider`) or Faxline (`local`); `results`, how results come, by iFax's webhooks, by asking for them
    (`poll`) or both ways, and `poll`, when they are asked for; `numbers`, how many faxes may be on their way
    to one number;
    `receipt_expected`, after how long (s) a receipt is overdue;
    `status_call_timeout`, how long (s) the answer to a status call is waited for, and how
    long a fax that is still being sent has until the next; `lease_grace`, how
    long after the HTTP timeout a request's bytes may still reach iFax; `wake_lease`, after how long a wake-up
    that no actor took is sent again; `sweep`, the longest time between two looks at an account;
    `secrets_poll`,
    how often (s) a secret's file is looked at; `takeover`, after how long the intake entries that a
    dispatcher left unfinished are taken over; `stall`, after how long without a round a loop of a process
    stands still, so that `/healthz` says so; `rollback_wait`, how long (s) the accounts wait after Redis is
    another server or was started anew, until every process has looked whether it went back; `retention`, how
    long the record of a job that ended is kept;
    `audit_retention`, how long an entry of the audit is;
    `document_ttl`, how long a document is at most that no job needs; `document_grace`, how long it outlives
    the last job that needed it; `request_retention`, how long a job's request with its cover texts outlives
    its end; `sealing_keys`, what documents, requests and entries are sealed with
    (`faxline.contract.sealing.keyring`); `file_hosts`, the hosts that a fileUrl may name, or any;
    `events_cap`, about how many events a stream holds.
    """

    redis_url: str = "redis://127.0.0.1:6379/0"
    broker_url: str = ""
    redis_patience: float = Field(10.0, ge=0)
    redis_replicas: int = Field(0, ge=0)
    redis_replicas_timeout: float = Field(REPLICAS_TIMEOUT, ge=0.001, le=3.0)
    ifax_url: str = "https://api.ifaxapp.com/v1"
    ifax_insecure: bool = False
    ifax_proxy: SecretStr = SecretStr("")
    ifax_ca: str | None = None
    account: str | None = None
    accounts: dict[str, Account] = Field(min_length=1)
    limits: Limits = Limits()
    ceilings: Ceilings = Ceilings()
    http_timeout: PositiveFloat = 30.0
    http_rate: PositiveFloat = 250_000.0
    retries: Retries = Retries()
    schedule: Literal["provider", "local"] = "provider"
    numbers: Numbers = Numbers()
    in_doubt: InDoubt = InDoubt()
    receipt_deadline: PositiveFloat = 9000.0
    receipt_expected: PositiveFloat = 1800.0
    status_call: bool = False
    status_call_timeout: PositiveFloat = Field(900.0, alias="status_call__timeout")
    results: Literal["webhook", "poll", "both"] = "webhook"
    poll: Poll = Poll()
    cooldown: Cooldown = Cooldown()
    probe: Probe = Probe()
    unreachable: Unreachable = Unreachable()
    breaker: Breaker = Breaker()
    step_back: StepBack = StepBack()
    starvation: Starvation = Starvation()
    webhook: Webhook = Webhook()
    metrics: Metrics = Metrics()
    traces: Traces = Traces()
    pdf: Pdf = Pdf()
    worker_threads: PositiveInt = 20
    lease_grace: PositiveFloat = 10.0
    wake_lease: PositiveFloat = 5.0
    sweep: PositiveFloat = 10.0
    secrets_poll: PositiveFloat = 5.0
    takeover: PositiveFloat = 15.0
    stall: PositiveFloat = STALL
    rollback_wait: float = Field(2.0, ge=0, le=60)
    retention: PositiveFloat = 30 * 86400.0
    audit_retention: PositiveFloat = 30 * 86400.0
    document_ttl: PositiveFloat = 7 * 86400.0
    document_grace: float = Field(60.0, ge=0)
    request_retention: float = Field(0.0, ge=0)
    sealing_keys: SecretStr = SecretStr("")
    file_hosts: tuple[str, ...] = ()
    events_cap: PositiveInt = 100_000
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in self.accounts:
            RedisKeys(name)
        if self.account is not None and self.account not in self.accounts:
            raise ValueError(f"ACCOUNT names {self.account!r}, which is not among ACCOUNTS")
        for host in self.file_hosts:
            try:
                host_pattern(host)
            except ValueError as error:
                raise ValueError(f"FILE_HOSTS: {host!r}: {error}") from None
        try:
            self.keyring  # noqa: B018 - reads the keys
        except ValueError as error:
            raise ValueError(f"SEALING_KEYS: {error}") from None
        self._check_nothing_shared()
        _check_redis_url("REDIS_URL", self.redis_url)
        _check_redis_url("BROKER_URL", self.broker)
        self._check_route()
        if self.traces.endpoint:
            _check_url("TRACES__ENDPOINT", self.traces.endpoint, ("http", "https"))
        if self.webhook.url:
            _check_url("WEBHOOK__URL", self.webhook.url, ("http", "https"))
        if self.broker == self.redis_url:
            raise ValueError(
                "BROKER_URL must name another database than REDIS_URL: wake-ups stand apart from the state"
            )
        return self

    def _check_nothing_shared(self) -> None:
        """No two accounts have one token, or one webhook secret."""
        holders: dict[tuple[str, str], str] = {}
        for name, account in self.accounts.items():
            token = account.token.get_secret_value() if account.token is not None else NOT_A_KEY
            held = list(account.webhook_texts())
            for member, text in held if token.startswith(NOT_A_KEY) else [("TOKEN", token), *held]:
                other = holders.setdefault((member, text), name)
                if other != name:
                    first, second = (f"ACCOUNTS__{one.upper()}__{member}" for one in (other, name))
                    raise ValueError(f"{first} and {PREFIX}{second} are the same: {SHARED[member]}")

    def _check_route(self) -> None:
        _check_url("IFAX_URL", self.ifax_url, ("http", "https"))
        ifax = urlsplit(self.ifax_url)
        if "@" in ifax.netloc or "?" in self.ifax_url or "#" in self.ifax_url:
            raise ValueError("IFAX_URL must have no user, query or fragment: the key is the account's TOKEN")
        try:
            hosts = [ifax.hostname, self.proxy.host if self.proxy is not None else None]
        except ValueError as error:
            raise ValueError(f"IFAX_PROXY {error}") from None
        try:
            self.trust  # noqa: B018 - reads the certificates
        except ValueError as error:
            raise ValueError(f"IFAX_CA_FILE {error}") from None
        clear = ifax.scheme == "http"
        if clear and not self.ifax_insecure and not all(is_loopback(host) for host in hosts if host):
            raise ValueError(
                "IFAX_URL must start with https://: http:// shows the API key and every fax to the network; "
                f"{PREFIX}IFAX_INSECURE=true allows it all the same"
            )

    @property
    def polls(self) -> bool:
        """Whether iFax is asked for results."""
        return self.results != "webhook"

    @cached_property
    def proxy(self) -> Proxy | None:
        """The proxy before iFax; None where there is none."""
        url = self.ifax_proxy.get_secret_value()
        return Proxy.read(url) if url else None

    @cached_property
    def trust(self) -> ssl.SSLContext | None:
        """Whose certificates are trusted for iFax; None: those of certifi."""
        return trusting(self.ifax_ca) if self.ifax_ca is not None else None

    @property
    def longest_call(self) -> float:
        """Seconds of the longest call: `http_timeout`, and the largest request at `http_rate`."""
        return self.http_timeout + REQUEST_BYTES / self.http_rate

    @property
    def confirmation(self) -> Confirmation:
        """How many replicas must have a receipt before iFax is answered, and a mark before a fax is sent."""
        return Confirmation(self.redis_replicas, self.redis_replicas_timeout)

    @cached_property
    def keyring(self) -> Keyring | None:
        """The sealing keys; None where there are none."""
        text = self.sealing_keys.get_secret_value()
        return Keyring.read(text) if text.strip() else None

    @property
    def broker(self) -> str:
        """The broker's URL; by default database 1 of the state's server."""
        if self.broker_url:
            return self.broker_url
        if (sentinel := sentinel_url(self.redis_url)) is not None:
            place = self.redis_url.split("/")
            _, mark, options = self.redis_url.partition("?")
            database = "2" if sentinel.database == 1 else "1"
            return "/".join([*place[:3], sentinel.service, database]) + mark + options
        parts = urlsplit(self.redis_url)
        return urlunsplit(parts._replace(path="/1" if parts.path != "/1" else "/2"))

    def limits_of(self, account: str) -> Limits:
        """The limits of one account: its own where it has some, else the general ones."""
        own = self.accounts[account].limits.model_dump(exclude_none=True)
        return self.limits.model_copy(update=own)

    def ceilings_of(self, account: str) -> Ceilings:
        """The ceilings of one account: its own where it has some, else the general ones."""
        own = self.accounts[account].ceilings.model_dump(exclude_none=True)
        return self.ceilings.model_copy(update=own)

    @property
    def secrets(self) -> list[str]:
        """Every secret text, for the logs' redactor."""
        return [text for _, text in self.secrets_by_variable()]

    def secrets_by_variable(self) -> Iterator[tuple[str, str]]:
        """Every secret text, and the variable that it comes from."""
        for name, account in self.accounts.items():
            variable = f"{PREFIX}ACCOUNTS__{name.upper()}__"
            if account.token is not None:
                yield f"{variable}TOKEN", account.token.get_secret_value()
            for member, text in account.webhook_texts():
                yield from ((variable + member, spelling) for spelling in secret_spellings(member, text))
        for variable, url in (("REDIS_URL", self.redis_url), ("BROKER_URL", self.broker)):
            if (told := sentinel_url(url)) is not None:
                passwords = [told.password, told.sentinel_password]
            else:
                written = urlsplit(url).password or ""
                passwords = [written, *([unquote(written)] if "%" in written else [])]
            yield from ((PREFIX + variable, password) for password in passwords if password)
        if self.proxy is not None:
            yield from ((f"{PREFIX}IFAX_PROXY", spelling) for spelling in self.proxy.passwords)
        for key in re.findall(r"[A-Za-z0-9+/]{43}=", self.sealing_keys.get_secret_value()):
            yield f"{PREFIX}SEALING_KEYS", key


def secret_spellings(member: str, text: str) -> tuple[str, ...]:
    """What the logs must not show of a secret of a setting; each has SHORTEST characters at least."""
    if member.upper() != "WEBHOOK_BASIC":
        return (text,)
    return text.partition(":")[2], text, base64.b64encode(text.encode()).decode()


REQUEST_BYTES = 20_000_000
"""The largest request (ifax-api, Request Restrictions)."""
SHORTEST = 8
"""Characters of a secret: the logs are rid of it wherever it stands, and a short one stands in any word."""


def demand(settings: Settings, role: str) -> None:
    """What a part needs beyond what all do.

    Args:
        settings: as they were read.
        role: dispatcher, worker or webhook. Only a worker calls iFax, and needs the token of each account.

    Raises:
        SettingsError: a token is missing, or a secret is so short that it would garble the logs.
    """
    for name, account in settings.accounts.items():
        if role == "worker" and account.token is None:
            raise SettingsError(
                f"{PREFIX}ACCOUNTS__{name.upper()}__TOKEN is missing: a worker calls iFax with it"
            )
    for variable, secret in settings.secrets_by_variable():
        if len(secret) < SHORTEST:
            raise SettingsError(
                f"{variable} holds a secret of less than {SHORTEST} characters: take a longer one"
            )


def _check_redis_url(variable: str, url: str) -> None:
    try:
        if sentinel_url(url) is not None:
            return
    except ValueError as error:
        raise ValueError(f"{variable}: {error}") from None
    _check_url(variable, url, ("redis", "rediss", "unix"))


def _check_url(variable: str, url: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"{variable} is no URL: its port is no number") from None
    if parts.scheme not in schemes or not (parts.netloc or parts.path) or port == 0:
        raise ValueError(
            f"{variable} must be a URL that starts with {' or '.join(s + '://' for s in schemes)}"
        )
    if parts.scheme != "unix" and not parts.hostname:
        raise ValueError(f"{variable} names no host")
    if parts.scheme.startswith("redis") and parts.path.strip("/") and not parts.path.strip("/").isdigit():
        raise ValueError(f"{variable} must end in a database number, such as /0")


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Build the settings from environment variables (DESIGN section 3, Settings).

    A variable `NAME_FILE` names a file that holds the value of `NAME`, for secrets; both at once are an
    error. FAXLINE_ACCOUNTS names accounts about which nothing else is to be told, as a JSON list or with
    commas.

    Raises:
        SettingsError: a variable is missing, unknown or wrong; the text names it.
    """
    try:
        check_environment(environment)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    tree: dict[str, Any] = {}
    for variable, text in sorted(environment.items()):
        if not variable.startswith(PREFIX):
            continue
        path = variable[len(PREFIX) :].lower().split("__")
        value: Any = text
        if path[-1].endswith("_file"):
            path[-1] = path[-1].removesuffix("_file")
            value = _read_file(variable, text)
        value = _value(variable, path, value)
        if path == ["status_call", "timeout"]:
            path = ["status_call__timeout"]
        node = tree
        for name in path[:-1]:
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                raise SettingsError(f"{variable}: {name.upper()} is one value and has no parts")
        node[path[-1]] = value
    if not tree.get("accounts"):
        raise SettingsError(
            f"{PREFIX}ACCOUNTS__<NAME>__TOKEN is missing: set the API token of at least one iFax account, "
            f"such as {PREFIX}ACCOUNTS__DEFAULT__TOKEN; a dispatcher and a webhook need its name only, as in "
            f"{PREFIX}ACCOUNTS=default"
        )
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(_readable(error, environment)) from None


def secret_files(environment: Mapping[str, str]) -> list[SecretFile]:
    """The files that hold secrets of accounts, of an environment that `read_settings` took.

    Raises:
        SettingsError: one cannot be read.
    """
    found = []
    for variable, path in sorted(environment.items()):
        parts = variable.lower().split("__")
        if (
            len(parts) == _SECRET_DEPTH
            and parts[0] == f"{PREFIX}ACCOUNTS".lower()
            and parts[2] in _SECRET_FILES
        ):
            text = _read_file(variable, path)
            found.append(SecretFile(variable, path, parts[1], parts[2].removesuffix("_file"), text))
    return found


def _value(variable: str, path: list[str], text: str) -> Any:
    if path[-1] in WEBHOOK_MEMBERS:
        return read_list(variable, text)
    if path == ["poll", "schedule"]:
        return read_numbers(variable, text)
    if path == ["file_hosts"]:
        return _read_names(variable, text)
    if path == ["accounts"]:
        return {name.lower(): {} for name in _read_names(variable, text)}
    return text


def _read_file(variable: str, path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - a path from the operator, read once
            return file.read().strip()
    except OSError as error:
        raise SettingsError(f"{variable} names a file that cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{variable} names a file that is no text") from None


def read_list(variable: str, text: str) -> list[str]:
    """The texts of a JSON list.

    Raises:
        SettingsError: it is none; the text names the variable.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise SettingsError(f'{variable} must be a JSON list of texts, such as ["first","second"]')
    return value


def read_numbers(variable: str, text: str) -> list[float]:
    """The numbers of a JSON list.

    Raises:
        SettingsError: it is none; the text names the variable.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    plain = isinstance(value, list) and all(type(item) in {int, float} for item in value)
    if not plain:
        raise SettingsError(f"{variable} must be a JSON list of numbers, such as [120,300,600]")
    return list(value)


def _read_names(variable: str, text: str) -> list[str]:
    """A JSON list, or names with commas between them; nothing is no names."""
    if text.lstrip().startswith("["):
        return read_list(variable, text)
    return [name.strip() for name in text.split(",") if name.strip()]


def _readable(error: ValidationError, environment: Mapping[str, str]) -> str:
    problem = error.errors(include_input=False, include_url=False)[0]
    # A number among them is a place in a list.
    variable = PREFIX + "__".join(part for part in problem["loc"] if isinstance(part, str)).upper()
    if problem["type"] == "missing":
        return f"{variable} is missing"
    if problem["type"] == "extra_forbidden":
        return f"{variable} is not a setting of Faxline; see the table in the README"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["loc"]:
        return f"{given_as(environment, variable)}: {message}"
    if not message[:1].isupper():
        return message
    return re.sub(r"^[A-Z_]+", lambda name: given_as(environment, name[0]), PREFIX + message)
