"""Say counts and reasons in words."""


def plural(count: int, noun: str, many: str = "") -> str:
    """A number with its noun: `1 job`, `2 jobs`, `2 entries`.

    Args:
        count: the number.
        noun: the singular.
        many: the plural, if it is not the singular and an s.
    """
    return f"{count} {noun if count == 1 else many or noun + 's'}"


def by_an_operator(who: str) -> str:
    """Which operator did it and why, if that is known: `by an operator (ada: wrong letter)`."""
    return f"by an operator ({who})" if who else "by an operator"


def reason_in_words(reason: str) -> str:
    """A reason of docs/causes.md in words: `no_answer` becomes `no answer`."""
    return _REASONS.get(reason, reason.replace("_", " "))


_REASONS = {"normal_clearing": "the call ended normally, but the fax did not get through"}
