"""The archive: how far it has come, what it will never have, and whether it is signed."""

from typing import Any

from faxline_boards.panels import lines
from faxline_boards.parts import A_MINUTE, RED, Query, place


def archive(y: int) -> list[Any]:
    """A row of panels, which are empty where no archive runs.

    Args:
        y: the row of the grid.
    """
    return [
        lines(
            "Archive: how far behind",
            "The age of the oldest entry that is not in the archive yet, by account. It grows: the database "
            "is away or too slow, or no archive runs.",
            place(0, y, 8, 8),
            [Query("max by (account) (fax_archive_lag_seconds)", "{{account}}")],
            "s",
            alerts=["FaxArchiveBehind", "FaxArchiveDatabaseAway"],
            steps={600: RED},
        ),
        lines(
            "Archive: written a minute, and missing",
            "Entries that were committed, by account, and those that Redis dropped before they were read.",
            place(8, y, 8, 8),
            [
                Query(
                    "sum by (account) (rate(fax_archive_written_total[$__rate_interval])) * 60", "{{account}}"
                ),
                Query(
                    "sum by (account, what) (increase(fax_archive_missing_total[$__rate_interval]))",
                    "{{account}}: missing {{what}}",
                ),
            ],
            A_MINUTE,
            alerts=["FaxArchiveGap"],
        ),
        lines(
            "Archive: since the last checkpoints",
            "All that is in the archive is covered by a signature that is no older than this.",
            place(16, y, 8, 8),
            [
                Query(
                    "time() - max(fax_archive_checkpoint_timestamp_seconds)"
                    " and on () max(fax_archive_working) == 1",
                    "checkpoints",
                ),
                Query("max by (account) (fax_archive_altered)", "{{account}}: entries were changed (1)"),
            ],
            "s",
            alerts=["FaxArchiveCheckpointOverdue", "FaxArchiveAltered"],
            steps={3600: RED},
        ),
    ]
