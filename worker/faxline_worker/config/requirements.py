"""What each role requires of the settings, beyond what all require."""

from faxline_worker.config.accounts import (
    SHORTEST,
    account_variable,
)
from faxline_worker.config.settings import Settings
from faxline_worker.config.source import SettingsError


def check_requirements(settings: Settings, role: str) -> None:
    """Check what one role needs beyond what all need.

    Args:
        settings: as they were read.
        role: dispatcher, worker or webhook. Only a worker calls iFax, so only it needs each account's token.

    Raises:
        SettingsError: a token is missing, or a secret is so short that it would garble the logs.
    """
    for name, account in settings.accounts.items():
        if role == "worker" and account.token is None:
            raise SettingsError(f"{account_variable(name, 'TOKEN')} is missing: a worker calls iFax with it")
    for variable, secret in settings.secrets_by_variable():
        if len(secret) < SHORTEST:
            raise SettingsError(
                f"{variable} holds a secret of fewer than {SHORTEST} characters: use a longer one"
            )
