"""The web console: how fast its pages are, which fail, and who signs in."""

from typing import Any

from faxline_boards.panels import lines
from faxline_boards.parts import A_MINUTE, RED, Query, place


def console(instance: str, y: int) -> list[Any]:
    """A row of panels, which are empty where no console runs.

    Args:
        instance: the selector of the processes that were chosen.
        y: the row of the grid.
    """
    return [
        lines(
            "Console: how long pages take",
            "19 of 20 requests were answered within this time at the server, by page.",
            place(0, y, 8, 8),
            [
                Query(
                    "histogram_quantile(0.95, sum by (page, le) "
                    f"(rate(fax_console_page_seconds_bucket{{{instance}}}[$__rate_interval])))",
                    "{{page}}",
                )
            ],
            "s",
            steps={1: RED},
        ),
        lines(
            "Console: requests a minute",
            "Requests by status. 5xx: Redis or a database is away, or a page has a fault.",
            place(8, y, 8, 8),
            [
                Query(
                    f"sum by (status) (rate(fax_console_requests_total{{{instance}}}"
                    "[$__rate_interval])) * 60",
                    "{{status}}",
                ),
                Query(
                    'sum(rate(fax_console_sign_ins_total{outcome=~"refused|too_many"}'
                    "[$__rate_interval])) * 60",
                    "refused sign-ins",
                ),
            ],
            A_MINUTE,
            alerts=["FaxConsolePagesFail", "FaxConsoleSignInsRefused"],
        ),
        lines(
            "Console: who looks",
            "Sessions that are signed in, and live pages that are open. A process reads Redis once for "
            "all of its live pages.",
            place(16, y, 8, 8),
            [
                Query("max(fax_console_sessions)", "sessions"),
                Query(f"sum(fax_console_viewers{{{instance}}})", "live pages"),
            ],
            "short",
        ),
    ]
