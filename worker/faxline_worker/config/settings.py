"""The daemon's settings: one frozen object, read once from the environment by the composition root.

docs/settings.md lists the variables. Durations are seconds in the environment and timedeltas here. A bad
setting raises `SettingsError`, whose text is one readable line that names the variable.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, SecretStr, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from faxline.contract.environment import PREFIX
from faxline.contract.file_hosts import host_pattern
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.keyring import Keyring
from faxline.steps.replicas import REPLICAS_TIMEOUT, Confirmation
from faxline_worker.config.accounts import (
    Account,
    account_secrets,
    check_nothing_shared,
)
from faxline_worker.config.addresses import (
    broker_beside,
    check_broker,
    check_ifax_url,
    check_redis_url,
    check_url,
    passwords_in,
)
from faxline_worker.config.archive import Archive, check_archive_url
from faxline_worker.config.console import Console, check_console
from faxline_worker.config.limits import Ceilings, Limits, Numbers, Pdf, Starvation
from faxline_worker.config.listeners import Metrics, Traces, Webhook
from faxline_worker.config.retries import (
    Breaker,
    Cooldown,
    InDoubt,
    Poll,
    Probe,
    Retries,
    StepBack,
    Unreachable,
)
from faxline_worker.config.source import NO_ACCOUNTS, EnvironmentSource, SettingsError, first_problem
from faxline_worker.config.values import Names, PositiveSeconds, Seconds
from faxline_worker.ifax.route import Proxy, trusting
from faxline_worker.observability.pulse import STALL

REQUEST_BYTES = 20_000_000
"""The largest request (docs/ifax.md, Limits)."""

PACE = 200
"""The most accounts a second that are checked although nothing is due for them."""


class Settings(BaseSettings):
    """All settings of the daemon. docs/settings.md says what each one does."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        enable_decoding=False,  # config.values reads lists, with messages of its own
        extra="forbid",
        frozen=True,
    )

    redis_url: str = "redis://127.0.0.1:6379/0"
    broker_url: str = ""
    redis_patience: Seconds = timedelta(seconds=10)
    redis_replicas: int = Field(0, ge=0)
    redis_replicas_timeout: Annotated[
        PositiveSeconds, Field(ge=timedelta(milliseconds=1), le=timedelta(seconds=3))
    ] = timedelta(seconds=REPLICAS_TIMEOUT)
    ifax_url: str = "https://api.ifaxapp.com/v1"
    ifax_insecure: bool = False
    ifax_proxy: SecretStr = SecretStr("")
    ifax_ca: str | None = None
    account: str | None = None
    accounts: dict[str, Account] = Field(default_factory=dict)
    accounts_dir: Path | None = None
    deployment: str = Field("", pattern="^[A-Za-z0-9_.-]{0,63}$")
    limits: Limits = Limits()
    ceilings: Ceilings = Ceilings()
    http_timeout: PositiveSeconds = timedelta(seconds=30)
    http_rate: float = Field(250_000.0, ge=1000, allow_inf_nan=False)
    retries: Retries = Retries()
    schedule: Literal["provider", "local"] = "provider"
    numbers: Numbers = Numbers()
    in_doubt: InDoubt = InDoubt()
    receipt_deadline: PositiveSeconds = timedelta(hours=2, minutes=30)
    receipt_expected: PositiveSeconds = timedelta(minutes=30)
    status_call: bool = False
    status_call_timeout: PositiveSeconds = Field(timedelta(minutes=15), alias=f"{PREFIX}STATUS_CALL__TIMEOUT")
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
    archive: Archive = Archive()
    console: Console = Console()
    pdf: Pdf = Pdf()
    worker_threads: PositiveInt = 20
    lease_grace: PositiveSeconds = timedelta(seconds=10)
    wake_lease: PositiveSeconds = timedelta(seconds=5)
    sweep: PositiveSeconds = timedelta(seconds=10)
    secrets_poll: PositiveSeconds = timedelta(seconds=5)
    takeover: PositiveSeconds = timedelta(seconds=15)
    stall: PositiveSeconds = timedelta(seconds=STALL)
    rollback_wait: Annotated[Seconds, Field(le=timedelta(minutes=1))] = timedelta(seconds=2)
    retention: PositiveSeconds = timedelta(days=30)
    audit_retention: PositiveSeconds = timedelta(days=30)
    document_ttl: PositiveSeconds = timedelta(days=7)
    document_grace: Seconds = timedelta(minutes=1)
    request_retention: Seconds = timedelta()
    sealing_keys: SecretStr = SecretStr("")
    file_hosts: Names = ()
    events_cap: PositiveInt = 100_000
    events_ceiling: PositiveInt | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what `read_settings` passes on, and nothing besides: no process environment, no file."""
        return (EnvironmentSource(settings_cls, init_settings()["environment"]),)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Check what concerns several settings. Each message begins with the setting's name."""
        self._check_accounts()
        for host in self.file_hosts:
            try:
                host_pattern(host)
            except ValueError as error:
                raise ValueError(f"FILE_HOSTS: {host!r}: {error}") from None
        for setting, read in (
            ("SEALING_KEYS:", lambda: self.keyring),
            ("IFAX_PROXY", lambda: self.proxy),
            ("IFAX_CA_FILE", lambda: self.trust),
        ):
            try:
                read()
            except ValueError as error:
                raise ValueError(f"{setting} {error}") from None
        check_redis_url("REDIS_URL", self.redis_url)
        check_redis_url("BROKER_URL", self.broker)
        check_ifax_url(self.ifax_url, self.proxy, insecure=self.ifax_insecure)
        for setting, url in (("TRACES__ENDPOINT", self.traces.endpoint), ("WEBHOOK__URL", self.webhook.url)):
            if url:
                check_url(setting, url)
        check_broker(self.broker, self.redis_url)
        check_archive_url(self.archive.url)
        check_console(self.console)
        return self

    def _check_accounts(self) -> None:
        if not self.accounts and self.accounts_dir is None:
            raise PydanticCustomError(NO_ACCOUNTS, "no account")
        for name in self.accounts:
            RedisKeys(name)
        if self.account is not None and self.accounts_dir is None and self.account not in self.accounts:
            raise ValueError(f"ACCOUNT names {self.account!r}, which is not among ACCOUNTS")
        check_nothing_shared(self.accounts)

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
    def longest_call(self) -> timedelta:
        """The longest that a call may take: `http_timeout`, and the largest request at `http_rate`."""
        return self.http_timeout + timedelta(seconds=REQUEST_BYTES / self.http_rate)

    @property
    def paced_sweep(self) -> timedelta:
        """The time between two looks at an account: `sweep`, or longer where PACE would be exceeded."""
        return max(self.sweep, timedelta(seconds=len(self.accounts) / PACE))

    @property
    def drain_least(self) -> timedelta:
        """How long it is drained at least: a worker that learned of the removal late may end a call then."""
        return 2 * self.secrets_poll + self.longest_call + self.lease_grace

    @property
    def confirmation(self) -> Confirmation:
        """How many replicas must have a receipt before iFax is answered, and a mark before a fax is sent."""
        return Confirmation(self.redis_replicas, self.redis_replicas_timeout.total_seconds())

    @cached_property
    def keyring(self) -> Keyring | None:
        """The sealing keys; None where there are none."""
        text = self.sealing_keys.get_secret_value()
        return Keyring.read(text) if text.strip() else None

    @property
    def broker(self) -> str:
        """The broker's URL; by default database 1 of the state's server."""
        return self.broker_url or broker_beside(self.redis_url)

    def limits_of(self, account: str) -> Limits:
        """The limits of one account: its own where it has some, else the general ones."""
        own = self.accounts[account].limits.model_dump(exclude_none=True)
        return self.limits.model_copy(update=own) if own else self.limits

    def ceilings_of(self, account: str) -> Ceilings:
        """The ceilings of one account: its own where it has some, else the general ones."""
        own = self.accounts[account].ceilings.model_dump(exclude_none=True)
        return self.ceilings.model_copy(update=own) if own else self.ceilings

    @property
    def secrets(self) -> list[str]:
        """Every secret text, for the redaction of the logs."""
        return [text for _, text in self.secrets_by_variable()]

    def secrets_by_variable(self) -> Iterator[tuple[str, str]]:
        """Every secret text, with the variable that it comes from."""
        yield from account_secrets(self.accounts)
        for variable, url in (
            ("REDIS_URL", self.redis_url),
            ("BROKER_URL", self.broker),
            ("ARCHIVE__URL", self.archive.url),
            ("CONSOLE__DATABASE", self.console.database),
        ):
            yield from ((PREFIX + variable, password) for password in passwords_in(url))
        if self.proxy is not None:
            yield from ((f"{PREFIX}IFAX_PROXY", spelling) for spelling in self.proxy.passwords)
        for key in re.findall(r"[A-Za-z0-9+/]{43}=", self.sealing_keys.get_secret_value()):
            yield f"{PREFIX}SEALING_KEYS", key


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Build the settings from environment variables (docs/settings.md).

    A variable `NAME_FILE` names a file that holds the value of `NAME`, for secrets. Setting both is an error.
    FAXLINE_ACCOUNTS has comma-separated account names, or a JSON list. Use it for processes that need no
    token.

    Args:
        environment: the variables, such as `os.environ`. Those without the prefix FAXLINE_ are ignored.

    Raises:
        SettingsError: a variable is missing, unknown or wrong. The message names it.

    Example:
        >>> read_settings({"FAXLINE_ACCOUNTS": "default"}).limits.requests
        1000
    """
    given: dict[str, Any] = {"environment": environment}  # not a field: `settings_customise_sources` takes it
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(first_problem(error, environment)) from None
