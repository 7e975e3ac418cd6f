"""Count things in words."""


def plural(count: int, noun: str, many: str = "") -> str:
    """A number with its noun: `1 job`, `2 jobs`, `2 entries`.

    Args:
        count: how many.
        noun: of one.
        many: of several, where an s at the end does not make it.
    """
    return f"{count} {noun if count == 1 else many or noun + 's'}"
