"""The overview, on one screen: do faxes flow, what holds them, what fails and why, what to do."""

from typing import Any

from faxline_boards import courses, figures, tables
from faxline_boards.board import account, dashboard, data_source
from faxline_boards.parts import place


def overview() -> dict[str, Any]:
    """The board's JSON."""
    panels = [
        tables.firing(place(0, 0, 7, 6)),
        *figures.waiting(),
        *figures.trouble(),
        tables.limits(place(0, 6, 7, 6)),
        courses.flow(place(7, 5, 9, 7)),
        figures.states(place(16, 5, 5, 7)),
        figures.parts(place(21, 5, 3, 7)),
        tables.failures(place(0, 12, 7, 7)),
        courses.deferrals(place(7, 12, 9, 7)),
        courses.webhooks(place(16, 12, 8, 7)),
        courses.queue_time(place(0, 19, 5, 7)),
        courses.call_time(
            place(5, 19, 4, 7),
            "Time of a call to iFax",
            "fax_request_seconds",
            "Until its answer or its failure. Up at the timeout (30 s) calls hang, and faxes come in doubt.",
            "FaxDoubtsMany",
        ),
        courses.call_time(
            place(9, 19, 5, 7),
            "Time of a delivery",
            "fax_delivery_seconds",
            "From when iFax took a fax until its receipt. Hours: iFax's webhooks come late.",
            "FaxReceiptsOverdue",
        ),
        courses.pages(place(14, 19, 5, 7)),
        courses.redis(place(19, 19, 5, 7)),
    ]
    return dashboard(
        "faxline-overview",
        "Faxline: overview",
        "Do faxes flow, what holds them, what fails and why, and what to do.",
        [data_source(), account()],
        panels,
    )
