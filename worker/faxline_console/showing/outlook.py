"""When faxes that are sent now would go, and what holds them."""

from datetime import UTC, datetime

from faxline.reading.account_state import AccountState, from_micros
from faxline.reading.forecast import forecast
from faxline_console.showing.formats import Times, plural
from faxline_console.showing.words import paused_for

HELD = {
    "window": "the limit of requests is used up",
    "burst": "the burst is used up",
    "concurrency": "all calls at once are in use",
}


def outlook(state: AccountState, times: Times, *, alone: bool = False) -> list[tuple[str, str]]:
    """What will happen to a fax that is sent now: when it starts, and what holds it.

    With `alone` it does not say how many others there are.
    """
    before = state.jobs.get("queued", 0)
    expected = forecast(state, before, lambda _: state.window_us)
    if state.paused:
        when = ("It waits", f"The account {state.name} is paused{paused_for(state)}.")
    elif before == 0 and expected.hold == "nothing":
        when = ("Starts at once", "Nothing goes first, and the limits are free.")
    elif expected.expected_start is not None:
        first = f"{plural(before, 'fax', 'faxes')} {'goes' if before == 1 else 'go'} first"
        first = "Others go first" if alone else first
        why = HELD.get(str(expected.hold), "")
        when = (
            f"Start about {times.moment(expected.expected_start)}",
            f"{first}{'; ' + why if why else ''}. At most; a forecast.",
        )
    else:
        when = ("It waits", "" if alone else f"{plural(before, 'fax', 'faxes')} before it.")
    return [when, ("A busy number is tried again", "As the settings say; each try is in its timeline.")]


def starts(state: AccountState, count: int, times: Times, *, alone: bool = False) -> str:
    """When so many more faxes of an account would start, behind what is queued; as `outlook` has it.

    Example:
        >>> starts(state, 3, times)
        'on north the first about 14:16:02 EST, the last about 14:16:40 EST, behind 253 queued'
    """
    if state.paused:
        return f"on {state.name} when it is resumed; it is paused{paused_for(state)}"
    before = state.jobs.get("queued", 0)
    first, last = (
        forecast(state, place, lambda _: state.window_us) for place in (before, before + count - 1)
    )
    if first.expected_start is None or last.expected_start is None:
        return f"on {state.name} at a time that is not known"
    if first.hold == "nothing" and last.hold in {"nothing", "place"}:
        return f"on {state.name} at once"
    when = f"about {times.moment(first.expected_start)}"
    if count > 1:
        when = f"the first {when}, the last about {times.moment(last.expected_start)}"
    return f"on {state.name} {when}, behind {'what is' if alone else f'{before:,}'} queued"


def end_of_queue(state: AccountState, times: Times) -> str:
    """By when all that an account has queued has started, and what holds it; empty if nothing is."""
    queued = state.jobs.get("queued", 0)
    if not queued:
        return ""
    if state.paused:
        return f"The account {state.name} is paused{paused_for(state)}."
    last = forecast(state, queued - 1, lambda _: state.window_us)
    if last.expected_start is None or last.expected_start <= datetime.now(UTC):
        return ""
    why = HELD.get(str(last.hold), "")
    return (
        f"The last is expected to start by about {times.moment(last.expected_start)}"
        f"{f', because {why}' if why else ''}. At most; a forecast."
    )


def paused_words(state: AccountState, times: Times) -> str:
    """Since when an account is paused, and by whom and why, as far as that is known."""
    since = f" since {times.moment(from_micros(state.paused_since))}" if state.paused_since else ""
    return f"Paused{since}" + (f" by {state.paused_by}." if state.paused_by else ".")
