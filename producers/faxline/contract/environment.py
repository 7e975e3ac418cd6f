"""What `faxline` and `faxline-worker` both refuse in the environment: a setting that is given twice.

Which of two values holds would be a guess, and each program might guess another one.
"""

from collections.abc import Mapping

PREFIX = "FAXLINE_"
_ACCOUNTS = f"{PREFIX}ACCOUNTS__"


def check_environment(environment: Mapping[str, str]) -> None:
    """Look at the names of the variables; an empty one counts as not set.

    Raises:
        ValueError: two name one setting, such as `NAME` and `NAME_FILE`, or one is not in capitals (the name
            of an account may be); the text names them and the fix, and repeats no value.
    """
    found: dict[str, str] = {}
    for name in sorted(name for name, value in environment.items() if value):
        capitals = name.upper()
        if not capitals.startswith(PREFIX):
            continue
        if _without_account(name) != _without_account(capitals):
            raise ValueError(f"{name} is not in capitals: write {capitals}, or unset it")
        other = found.setdefault(capitals.removesuffix("_FILE"), name)
        if other != name:
            raise ValueError(f"{other} and {name} are both set: unset one of them")


def given_as(environment: Mapping[str, str], variable: str) -> str:
    """The variable by which a setting was given: its own, or that of the file which holds it."""
    file = f"{variable}_FILE"
    return next((name for name, value in environment.items() if value and name.upper() == file), variable)


def _without_account(name: str) -> str:
    if not name.startswith(_ACCOUNTS):
        return name
    return _ACCOUNTS + name.removeprefix(_ACCOUNTS).partition("__")[2]
