"""The sandbox's accounts: by token, with the changes that an account may get while the sandbox runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from faxline_sandbox import answers
from faxline_sandbox.accounts import Customer
from faxline_sandbox.answers import Refusal
from faxline_sandbox.config import UNKNOWN, Account, ConfigError, SandboxConfig, check_tokens


class Customers:
    """The accounts by their tokens.

    Args:
        config: names the accounts.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self._in_field = config.in_field
        self._unknown = Customer(Account(label="unknown"), config.limits)
        self._customers = {
            token: Customer(account, config.limits) for token, account in config.accounts.items()
        }

    def of(self, token: str) -> Customer:
        """The account of a token.

        Raises:
            Refusal: -3009 (in the profile `field` 12001), no account has it.
        """
        customer = self._customers.get(token)
        if customer is None:
            self._unknown.refuse_unknown()
            refusal = (
                answers.FieldRefusal(12001)
                if self._in_field
                else Refusal("the header accessToken must hold a known key", code=-3009)
            )
            self._unknown.refused[refusal.counted_as] += 1
            raise refusal
        return customer

    def give_tokens(self, label: str, tokens: Sequence[str]) -> None:
        """Replace the tokens of an account, as when an API key is rotated.

        Raises:
            ConfigError: there is no such account; a token is empty, odd, or another account's.
        """
        customer = self.labelled(label)
        others = {token: other for token, other in self._customers.items() if other is not customer}
        check_tokens(tokens)
        if taken := others.keys() & set(tokens):
            raise ConfigError(f"tokens: {len(taken)} of them are another account's")
        self._customers = {**others, **dict.fromkeys(tokens, customer)}

    def give_webhook_secret(self, label: str, secret: str) -> None:
        """Sign an account's webhooks with this secret, from their next try on.

        Raises:
            ConfigError: there is no such account, or the secret is empty.
        """
        customer = self.labelled(label)
        customer.account = replace(customer.account, webhook_secret=secret)

    def give_webhook_form(self, label: str, form: Mapping[str, Any]) -> None:
        """Send an account's webhooks elsewhere, or with another proof, from their next try on.

        Args:
            label: the account's label.
            form: the changes: `url`, `basic` (`user:password`, or nothing), `signed`.

        Raises:
            ConfigError: there is no such account, or a member is wrong.
        """
        kinds = {"url": str, "basic": str, "signed": bool}
        for name, value in form.items():
            if not isinstance(value, kinds.get(name, ())):
                raise ConfigError(
                    "webhook: must be an object with url, basic (texts) and signed (true or false)"
                )
        customer = self.labelled(label)
        changes: dict[str, Any] = {f"webhook_{name}": value for name, value in form.items()}
        customer.account = replace(customer.account, **changes)

    def give_plan(self, label: str, *, active: bool) -> None:
        """Set whether an account's plan is active, for the profile `field`.

        Raises:
            ConfigError: there is no such account.
        """
        customer = self.labelled(label)
        customer.account = replace(customer.account, plan=active)

    def labelled(self, label: str) -> Customer:
        """The account with this label.

        Raises:
            ConfigError: there is none.
        """
        for customer in self._customers.values():
            if customer.label == label:
                return customer
        raise ConfigError(f"there is no account {label!r}")

    def stats(self) -> dict[str, Any]:
        """Every account's statistics by its label, and those of requests without a valid token."""
        stats = {customer.label: customer.stats() for customer in self._customers.values()}
        return {**stats, UNKNOWN: self._unknown.stats()}

    def arrivals(self) -> dict[str, list[dict[str, Any]]]:
        """Every account's requests by its label; see `Customer.arrivals`."""
        return {customer.label: customer.arrivals() for customer in self._customers.values()}
