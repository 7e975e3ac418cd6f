"""Read files and numbers as command lines and CSV files write them."""

from collections import Counter
from collections.abc import Iterable

from faxline.cli.output import complain
from faxline.contract.phone_numbers import country_code, normalize_number
from faxline.contract.texts import mask_number
from faxline.sending.files import Source, is_url


def file_of(text: str) -> Source:
    """Read a path, a URL, or NAME=URL."""
    name, _, url = text.partition("=")
    return (name, url) if name and "/" not in name and is_url(url) else text


def number_of(text: str, region: str | None) -> str:
    """Return a number in E.164. Say on stderr how it is read if it was written otherwise.

    Raises:
        EntryRejected: the text is not a fax number.
    """
    number = normalize_number(text, region)
    if number != text:
        complain(f"the number is read as +{country_code(number)} {mask_number(number)}")
    return number


def readings_of(numbers: Iterable[str]) -> str:
    """Say how numbers that are not in E.164 are read: `2 as +49, 1 as +1`."""
    codes = Counter(map(country_code, numbers)).most_common()
    readings = [f"{count} as +{code}" for code, count in codes]
    return "numbers that are not written as E.164 are read: " + ", ".join(readings) if readings else ""
