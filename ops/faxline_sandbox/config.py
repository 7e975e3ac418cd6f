"""The configuration of a sandbox."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
"""A number as the API takes it. Numbers of fewer than seven digits are no fax numbers."""

Profile = Literal["documented", "field"]
"""As iFax is documented, or as public clients know it."""

UNKNOWN = "(unknown)"
"""The label under which requests without a valid token are counted."""


class ConfigError(ValueError):
    """A member of the configuration is wrong; the message names it and says what it must be."""


def check_tokens(tokens: Collection[str]) -> None:
    """Raise `ConfigError` if there is no token, or one that a header cannot hold."""
    if not tokens:
        raise ConfigError("accounts: at least one is needed, by its token")
    if not all(token and token.isascii() and token.strip() == token for token in tokens):
        raise ConfigError("accounts: a token is ASCII text without spaces around it")


@dataclass(frozen=True)
class Account:
    """One customer of the sandbox.

    Args:
        label: the account's name in the ledger and the statistics, which show no token.
        webhook_url: where postflight webhooks are POSTed; None sends none.
        webhook_secret: the key of their HMAC-SHA256 signature; required with a URL if they are signed.
        webhook_basic: `user:password` of iFax's form, sent as HTTP Basic; "" sends none.
        webhook_signed: False leaves the signature out.
        balance: the pages that it may still send; None means no limit.
        caller_id: the fromNumber of its faxes without a callerId.
        primary: if False, every call is refused with -3007 (docs/ifax.md, Codes: "user is not Primary").
        plan: if False, every call is refused with 12004, in the profile `field`.
    """

    label: str = "default"
    webhook_url: str | None = None
    webhook_secret: str = field(default="", repr=False)
    webhook_basic: str = field(default="", repr=False)
    webhook_signed: bool = True
    balance: int | None = None
    caller_id: str = "+12025550100"
    primary: bool = True
    plan: bool = True

    def __post_init__(self) -> None:
        if not self.label or self.label == UNKNOWN:
            raise ConfigError(f"label: name the account; {UNKNOWN} is taken")
        if self.webhook_url is not None:
            if urlsplit(self.webhook_url).scheme not in {"http", "https"}:
                raise ConfigError(f"webhook_url of {self.label}: must begin with http:// or https://")
            if self.webhook_signed and not self.webhook_secret:
                raise ConfigError(f"webhook_secret of {self.label}: webhooks are signed, so give the secret")
        if self.webhook_basic and ":" not in self.webhook_basic:
            raise ConfigError(f"webhook_basic of {self.label}: must be user:password")
        if self.balance is not None and self.balance < 0:
            raise ConfigError(f"balance of {self.label}: must be pages, 0 or more, or None")
        if not E164.fullmatch(self.caller_id):
            raise ConfigError(f"caller_id of {self.label}: must be E.164, such as +12025550100")


@dataclass(frozen=True)
class Limits:
    """The limits of an account (docs/ifax.md, Limits).

    Args:
        requests: requests in any window.
        window: seconds.
        concurrency: requests open at once.
        burst: capacity of the token bucket, refilled at requests / window a second.
    """

    requests: int = 1000
    window: float = 3600.0
    concurrency: int = 20
    burst: int = 50

    def __post_init__(self) -> None:
        for name in ("requests", "concurrency", "burst"):
            if getattr(self, name) < 1:
                raise ConfigError(f"limits.{name}: must be 1 or more")
        if not 0 < self.window < math.inf:
            raise ConfigError("limits.window: must be seconds, more than 0")


@dataclass(frozen=True)
class SandboxConfig:
    """A sandbox. Every duration is in seconds.

    Args:
        accounts: the customers by their token (the header accessToken).
        profile: `documented`, or `field`: a bad key and an inactive plan are refused by HTTP 200, webhooks
            are flat with more members, and there are fax-lists, inbound/number-list, fax-list-all
            and fax-download.
        host: the address to listen on.
        port: 0 takes a free one.
        limits: of every account.
        answer_seconds: least and most random delay before an answer is written.
        call_seconds: the telephone call without its pages.
        page_seconds: the call's time for each page.
        lines: how many faxes a number receives at once; further ones get USER_BUSY. 0 means no limit.
        spread: a call's random share of its length, up or down: 0.2 is 80 % to 120 %.
        time_scale: factor of the waits between a webhook's tries, and of nothing else: 1.0 waits 5, 10, 20,
            30 and 60 minutes.
        webhook_timeout: a webhook without an answer by then has failed.
        webhook_concurrency: webhooks on their way at once.
        webhook_on_cancel: whether a canceled fax gets a webhook as well.
        status_call: whether there is fax-status, which iFax does not document.
        pages_per_url: the pages of a fileUrl, which is never fetched.
        seed: the seed of everything random.
        first_job_id: the first fax's jobId.

    Raises:
        ConfigError: a member is wrong.
    """

    accounts: Mapping[str, Account] = field(repr=False)
    profile: Profile = "documented"
    host: str = "127.0.0.1"
    port: int = 0
    limits: Limits = field(default_factory=Limits)
    answer_seconds: tuple[float, float] = (0.0, 0.0)
    call_seconds: float = 2.0
    page_seconds: float = 0.5
    lines: int = 0
    spread: float = 0.2
    time_scale: float = 1.0
    webhook_timeout: float = 10.0
    webhook_concurrency: int = 20
    webhook_on_cancel: bool = True
    status_call: bool = True
    pages_per_url: int = 1
    seed: int = 0
    first_job_id: int = 12345

    def __post_init__(self) -> None:
        check_tokens(self.accounts)
        if self.profile not in get_args(Profile):
            raise ConfigError(f"profile: must be one of {', '.join(get_args(Profile))}")
        labels = {account.label for account in self.accounts.values()}
        if len(labels) < len(self.accounts):
            raise ConfigError("accounts: each needs a label of its own")
        self._check_numbers()

    @property
    def in_field(self) -> bool:
        """Whether its profile is `field`."""
        return self.profile == "field"

    @property
    def has_status_call(self) -> bool:
        """Whether there is fax-status."""
        return self.status_call or self.in_field

    def _check_numbers(self) -> None:
        least, most = self.answer_seconds
        if not 0 <= least <= most < math.inf:
            raise ConfigError("answer_seconds: must be (least, most), both 0 or more")
        for name in ("call_seconds", "page_seconds", "time_scale"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name}: must be 0 or more")
        if not 0 <= self.spread <= 1:
            raise ConfigError("spread: must be 0 to 1")
        if self.lines < 0:
            raise ConfigError("lines: must be 0 (endless) or more")
        if self.webhook_timeout <= 0:
            raise ConfigError("webhook_timeout: must be more than 0")
        for name in ("webhook_concurrency", "pages_per_url", "first_job_id"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: must be 1 or more")
        if not 0 <= self.port <= 65535:  # noqa: PLR2004 - the largest port there is
            raise ConfigError("port: must be 0 to 65535")
