"""Where the settings come from: a mapping of variables, some of which name files."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from faxline.contract.environment import PREFIX, check_environment, given_as
from faxline_worker.config.accounts import WEBHOOK_MEMBERS, account_variable
from faxline_worker.config.values import read_names

ANY_ACCOUNT = "<NAME>"
_ACCOUNTS = f"{PREFIX}ACCOUNTS"
_FILE = "_FILE"
NO_ACCOUNTS = "no_accounts"
"""The type of the error that no account is set."""


class SettingsError(Exception):
    """The environment does not make valid settings. The message names the variable and the fix."""


class EnvironmentSource(EnvSettingsSource):
    """Reads the settings from the variables that it is given, instead of `os.environ`.

    It adds two rules to pydantic-settings':

    - `NAME_FILE` names a file that holds the value of `NAME`.
    - A variable that begins with FAXLINE_ and is not a setting is an error.

    Args:
        settings_cls: the settings.
        environment: the variables.

    Raises:
        SettingsError: a variable is unknown, or its file cannot be read.
    """

    def __init__(self, settings_cls: type[BaseSettings], environment: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        try:
            check_environment(environment)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        known = set(setting_variables(settings_cls))
        variables: dict[str, str] = {}
        for variable, text in sorted(environment.items()):
            if variable.startswith(PREFIX):
                name = variable.upper().removesuffix(_FILE)
                _check_known(variable, name, known)
                value = _read_file(variable, text) if variable.endswith(_FILE) else text
                variables[name.lower()] = value
        self.env_vars = variables

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """FAXLINE_ACCOUNTS lists accounts, to which the variables of each account add."""
        if field_name != "accounts":
            return super().decode_complex_value(field_name, field, value)
        try:
            return {name.lower(): {} for name in read_names(value)}
        except ValueError as error:
            raise SettingsError(f"{_ACCOUNTS} {error}") from None


def setting_variables(model: type[BaseModel], prefix: str = PREFIX) -> dict[str, FieldInfo]:
    """Every variable that sets something, with its field; `<NAME>` stands for the name of an account."""
    found: dict[str, FieldInfo] = {}
    for name, own in model.model_fields.items():
        variable, kind = own.alias or prefix + name.upper(), own.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= setting_variables(kind, f"{variable}__")
            continue
        found[variable] = own
        if get_origin(kind) is dict:
            found |= setting_variables(get_args(kind)[1], f"{variable}__{ANY_ACCOUNT}__")
    return found


def _check_known(variable: str, name: str, known: set[str]) -> None:
    account = ""
    if name.startswith(f"{_ACCOUNTS}__"):
        account, separator, member = name.removeprefix(f"{_ACCOUNTS}__").partition("__")
        name = f"{_ACCOUNTS}__{ANY_ACCOUNT}{separator}{member}"
    if name not in known:
        near = difflib.get_close_matches(name, known, 1, 0.9)
        fix = (
            f"did you mean {near[0].replace(ANY_ACCOUNT, account)}?"
            if near
            else "docs/settings.md lists them"
        )
        raise SettingsError(f"{variable} is not a setting of Faxline: {fix}")


def first_problem(error: ValidationError, environment: Mapping[str, str]) -> str:
    """The first problem as one line that names its variable."""
    problem = error.errors(include_input=False, include_url=False)[0]
    if problem["type"] == NO_ACCOUNTS:
        return (
            f"{account_variable(ANY_ACCOUNT, 'TOKEN')} is missing: set the API token of at least one iFax "
            f"account, such as {account_variable('default', 'TOKEN')}; a dispatcher, a "
            f"webhook, an archive and a console need its name only, as in {_ACCOUNTS}=default; for many "
            f"accounts, set {_ACCOUNTS}_DIR"
        )
    message = problem["msg"].removeprefix("Value error, ")
    names = [part for part in problem["loc"] if isinstance(part, str)]  # a number is a place in a list
    if names:
        variable = PREFIX + "__".join(names).upper().removeprefix(PREFIX)
        return f"{given_as(environment, variable)}: {message}"
    if not message[:1].isupper():
        return message
    return re.sub(r"^[A-Z_]+", lambda name: given_as(environment, name[0]), PREFIX + message)


@dataclass(frozen=True)
class SecretFile:
    """A file that holds a secret of an account.

    Args:
        variable: the variable that names the file.
        path: the file.
        account: the account's name.
        member: `token`, `webhook_secrets`, `webhook_basic` or `webhook_path_secrets`.
        text: what the file held when the settings were read.
    """

    variable: str
    path: str
    account: str
    member: str
    text: str = field(repr=False)


def secret_files(environment: Mapping[str, str]) -> list[SecretFile]:
    """The files that hold secrets of accounts, in an environment that `read_settings` took.

    Raises:
        SettingsError: one cannot be read.
    """
    found = []
    for variable, path in sorted(environment.items()):
        account = variable.removeprefix(f"{_ACCOUNTS}__").partition("__")[0].lower()
        for member in ("token", *WEBHOOK_MEMBERS):
            if variable.upper() == account_variable(account, member) + _FILE:
                text = _read_file(variable, path)
                found.append(SecretFile(variable, path, account, member, text))
    return found


def _read_file(variable: str, path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - a path from the operator, read once
            return file.read().strip()
    except OSError as error:
        raise SettingsError(f"{variable} names a file that cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{variable} names a file that is not text") from None
