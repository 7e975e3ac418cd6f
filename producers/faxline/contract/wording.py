"""Count things in words."""


def plural(count: int, noun: str, many: str = "") -> str:
    """A number with its noun: `1 job`, `2 jobs`, `2 entries`.

    Args:
        count: the number.
        noun: the singular.
        many: the plural, if it is not the singular and an s.
    """
    return f"{count} {noun if count == 1 else many or noun + 's'}"
