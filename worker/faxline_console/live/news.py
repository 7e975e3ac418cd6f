"""What is new on streams of events."""

from typing import Any, NamedTuple

from faxline.steps.commands import Command, Steps


class News(NamedTuple):
    """What is new on a stream of events: the id of the newest, and how many faxes were queued."""

    newest: str
    queued: int


def read_newest(key: str) -> Steps[str]:
    """The id of the newest entry of a stream; 0-0 of one that has none."""
    found: Any = yield Command(lambda client: client.xrevrange(key, count=1))
    return found[0][0].decode() if found else "0-0"


def read_next(after: dict[str, str], seconds: float) -> Steps[dict[str, News]]:
    """Wait so many seconds for entries after these, by stream, and return what is new."""
    streams: dict[Any, Any] = dict(after)
    block = max(1, round(seconds * 1000))
    found: Any = yield Command(
        lambda client: client.xread(streams, count=1000, block=block), blocks=block / 1000
    )
    news = dict[str, News]()
    for key, pages in found.items() if isinstance(found, dict) else found or ():
        entries = pages[0] if isinstance(found, dict) else pages
        if entries:
            queued = sum(fields.get(b"event") == b"fax.queued" for _, fields in entries)
            news[key.decode()] = News(entries[-1][0].decode(), queued)
    return news
