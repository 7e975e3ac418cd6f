"""A dictionary that makes what is missing."""

from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class MadeOnDemand(dict[str, _T]):
    """Something for each account, made when it is first asked for.

    Args:
        make: makes it, from the account's name.
    """

    def __init__(self, make: Callable[[str], _T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, account: str) -> _T:
        found = self[account] = self._make(account)
        return found
