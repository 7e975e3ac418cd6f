"""Checks the environment for `faxline` and `faxline-worker`, so that neither has to guess.

Both refuse a setting that is given twice, and the name that a setting had in an older version.
"""

from collections.abc import Mapping

PREFIX = "FAXLINE_"
RENAMED: Mapping[str, str] = {
    f"{PREFIX}KEYS": f"{PREFIX}SEALING_KEYS",
    f"{PREFIX}LINES__PER_NUMBER": f"{PREFIX}NUMBERS__CONCURRENT",
    f"{PREFIX}LINES__LEASE": f"{PREFIX}NUMBERS__LEASE",
    f"{PREFIX}ASK": f"{PREFIX}STATUS_CALL__TIMEOUT",
    f"{PREFIX}REREAD": f"{PREFIX}SECRETS_POLL",
    f"{PREFIX}GATE__BASE": f"{PREFIX}COOLDOWN__BASE",
    f"{PREFIX}GATE__LEAST": f"{PREFIX}COOLDOWN__MIN",
    f"{PREFIX}GATE__MAX": f"{PREFIX}COOLDOWN__MAX",
    f"{PREFIX}GATE__LEAST_SHARE": f"{PREFIX}COOLDOWN__MIN_LIMIT_FACTOR",
}
"""The variables that were renamed, each with its new name. The `_FILE` form of each is renamed likewise."""
_ACCOUNTS = f"{PREFIX}ACCOUNTS__"
_FILE = "_FILE"


def check_environment(environment: Mapping[str, str]) -> None:
    """Check the names of the variables. An empty variable counts as not set.

    Raises:
        ValueError: two variables set one setting, such as `NAME` and `NAME_FILE`; a name is not in capitals
            (only the name of an account may be); or a variable has been renamed. The message names the
            variables and the fix, and repeats no value.
    """
    found: dict[str, str] = {}
    for name in sorted(name for name, value in environment.items() if value):
        capitals = name.upper()
        if not capitals.startswith(PREFIX):
            continue
        if _without_account(name) != _without_account(capitals):
            raise ValueError(f"{name} is not in capitals: write {capitals}, or unset it")
        setting = capitals.removesuffix(_FILE)
        if (new := RENAMED.get(setting)) is not None:
            raise ValueError(f"{name} has been renamed: write {new}{capitals.removeprefix(setting)}")
        other = found.setdefault(setting, name)
        if other != name:
            raise ValueError(f"{other} and {name} are both set: unset one of them")


def given_as(environment: Mapping[str, str], variable: str) -> str:
    """The variable that sets a setting: its own, or the one that names the file with the value."""
    file = f"{variable}{_FILE}"
    return next((name for name, value in environment.items() if value and name.upper() == file), variable)


def _without_account(name: str) -> str:
    if not name.startswith(_ACCOUNTS):
        return name
    return _ACCOUNTS + name.removeprefix(_ACCOUNTS).partition("__")[2]
