"""One board for each alert, which shows its runbook: from an alert in Grafana it is one click away."""

import re
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import text
from grafana_foundation_sdk.models.text import TextMode

from faxline_boards.board import dashboard
from faxline_boards.parts import place, runbook_uid

FOLDER = Path(__file__).parents[2] / "ops" / "runbooks"
_NAMES = re.compile(r"(?<![\w/`])(Fax[A-Z]\w+)")


def runbooks() -> dict[str, dict[str, Any]]:
    """The JSON of every runbook's board, by the alert's name."""
    return {path.stem: _board(path.stem, path.read_text()) for path in sorted(FOLDER.glob("*.md"))}


def _board(alert: str, content: str) -> dict[str, Any]:
    """A board with the runbook in one panel. Names of other alerts become links to their runbooks."""
    body = content.removeprefix(f"# {alert}\n")
    linked = _NAMES.sub(lambda found: f"[{found[1]}](/d/{runbook_uid(found[1])})", body)
    panel = text.Panel().title(alert).grid_pos(place(0, 0, 24, 22)).mode(TextMode.MARKDOWN).content(linked)
    panel = panel.description(f"ops/runbooks/{alert}.md")
    return dashboard(
        runbook_uid(alert), f"Runbook: {alert}", f"What to do when {alert} fires.", [], [panel]
    ) | {"refresh": "", "tags": ["faxline-runbook"]}
