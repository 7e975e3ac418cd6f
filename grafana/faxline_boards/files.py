"""The files of all dashboards, as in grafana/dashboards."""

import json

from faxline_boards.account import account_board
from faxline_boards.overview import overview
from faxline_boards.pods import pods
from faxline_boards.runbooks import runbooks


def files() -> dict[str, str]:
    """The text of every file by its path in the folder; Grafana makes a folder of each subfolder."""
    boards = {"overview": overview(), "account": account_board(), "worker-pods": pods()}
    named = {f"Faxline/{name}.json": board for name, board in boards.items()}
    named |= {f"Faxline-runbooks/{name}.json": board for name, board in runbooks().items()}
    return {
        name: json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, board in named.items()
    }
