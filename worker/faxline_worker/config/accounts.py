"""The settings of one iFax account, and the rules for its secrets."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, SecretStr, ValidationInfo, field_validator

from faxline.contract.entry_members import own_or_none
from faxline.contract.environment import PREFIX
from faxline_worker.config.limits import AccountCeilings, AccountLimits
from faxline_worker.config.values import Part, SecretList, secret_bytes
from faxline_worker.ifax.webhook_access import WebhookSecrets, check_basic, check_path_secret

PLACEHOLDER_TOKEN = "not-for-the-"  # noqa: S105 - no secret
"""The beginning of the placeholder token that the manifests give to processes that never call iFax."""
SHORTEST = 8
"""Characters of a secret. Faxline removes secrets from every log line, and a short one is in any word."""
USABLE_KEY = re.compile(r"[\x21-\x7e]+")
"""What the header accessToken can hold."""
WEBHOOK_MEMBERS = ("webhook_secrets", "webhook_basic", "webhook_path_secrets")
"""The settings that let webhooks in, in the order of `WebhookSecrets`."""
CHECKS: Mapping[str, Callable[[str], str]] = {
    "webhook_basic": check_basic,
    "webhook_path_secrets": check_path_secret,
}
"""What a value of these settings must be."""

_RECEIPTS = "a receipt of one could settle the other's doubt; set different ones at iFax"
SHARED = {
    "TOKEN": "iFax counts them as one account, whose limits would be used twice; name it once",
    "WEBHOOK_SECRETS": _RECEIPTS,
    "WEBHOOK_BASIC": _RECEIPTS,
    "WEBHOOK_PATH_SECRETS": _RECEIPTS,
}
"""Why two accounts must not have the same value."""


class Account(Part):
    """One iFax account. `check_requirements` checks what a role needs of it.

    Attributes:
        token: iFax's API token. Only a worker needs it.
        webhook_secrets, webhook_basic, webhook_path_secrets: what lets webhooks in (`webhook_proofs`): keys
            of the signature, `user:password`, secrets in the path. Several values allow rotation; the new
            one comes first.
        caller_id: the callerId of faxes that have none of their own.
        limits, ceilings: its own, instead of the general ones.
    """

    token: SecretStr | None = None
    webhook_secrets: SecretList = ()
    webhook_basic: SecretList = ()
    webhook_path_secrets: SecretList = ()
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
        return WebhookSecrets(*(secret_bytes(getattr(self, member)) for member in WEBHOOK_MEMBERS))

    def webhook_texts(self) -> Iterator[tuple[str, str]]:
        """Each secret of its webhooks with the name of its setting."""
        for member in WEBHOOK_MEMBERS:
            yield from ((member.upper(), value.get_secret_value()) for value in getattr(self, member))


def account_variable(name: str, member: str) -> str:
    """The variable of an account's setting, such as FAXLINE_ACCOUNTS__DEFAULT__TOKEN."""
    return f"{PREFIX}ACCOUNTS__{name.upper()}__{member.upper()}"


def secret_values(account: Account) -> Iterator[tuple[str, str]]:
    """The values that no two accounts may share: the tokens and secrets, with the names of their settings."""
    token = account.token.get_secret_value() if account.token is not None else PLACEHOLDER_TOKEN
    if not token.startswith(PLACEHOLDER_TOKEN):
        yield "TOKEN", token
    yield from account.webhook_texts()


def check_nothing_shared(accounts: Mapping[str, Account]) -> None:
    """Check that no two accounts have the same token or the same webhook secret.

    Raises:
        ValueError: two have. The message names both settings and quotes neither value.
    """
    holders: dict[tuple[str, str], str] = {}
    for name, account in accounts.items():
        for member, text in secret_values(account):
            other = holders.setdefault((member, text), name)
            if other != name:
                first, second = (account_variable(one, member) for one in (other, name))
                raise ValueError(f"{first.removeprefix(PREFIX)} and {second} are the same: {SHARED[member]}")


def secret_spellings(member: str, text: str) -> tuple[str, ...]:
    """What the logs must not show of a secret of this setting. Each must have SHORTEST characters."""
    if member.upper() != "WEBHOOK_BASIC":
        return (text,)
    return text.partition(":")[2], text, base64.b64encode(text.encode()).decode()


def account_secrets(accounts: Mapping[str, Account]) -> Iterator[tuple[str, str]]:
    """Each spelling of each secret of the accounts, with the variable that it comes from."""
    for name, account in accounts.items():
        if account.token is not None:
            yield account_variable(name, "TOKEN"), account.token.get_secret_value()
        for member, text in account.webhook_texts():
            variable = account_variable(name, member)
            yield from ((variable, spelling) for spelling in secret_spellings(member, text))
