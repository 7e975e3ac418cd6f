"""A dashboard as a whole: its variables, its links to the others, and panels with ids."""

import json
from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from faxline_boards.parts import SOURCE, TAG


def data_source() -> build.DatasourceVariable:
    """The variable that selects the Prometheus."""
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus")


def choice(name: str, label: str, values: str) -> build.QueryVariable:
    """A variable that selects values of a label. All also includes series that appear later."""
    everything = VariableOption(selected=True, text="All", value="$__all")
    made = build.QueryVariable(name).label(label).query(values).datasource(SOURCE).multi(True)
    made = made.include_all(True).all_value(".+").current(everything)
    return made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)


def account() -> build.QueryVariable:
    """The variable that selects the accounts."""
    return choice("account", "Account", "label_values(fax_account_paused, account)")


def dashboard(
    uid: str,
    title: str,
    description: str,
    variables: Sequence[Any],
    panels: Sequence[Any],
    span: str = "now-1h",
) -> dict[str, Any]:
    """The JSON of a dashboard."""
    board = build.Dashboard(title).uid(uid).description(description).tags([TAG]).timezone("browser")
    board = board.time(span, "now").refresh("10s").tooltip(DashboardCursorSync.CROSSHAIR)
    others = build.DashboardLink("Faxline").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True)
    board = board.link(others.include_vars(True).keep_time(True))
    for variable in variables:
        board = board.with_variable(variable.hide(VariableHide.DONT_HIDE))
    for i, panel in enumerate(panels, start=1):
        board = board.with_panel(panel.id(i))
    made: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(board.build()))
    return made | {"schemaVersion": 41, "version": 1}
