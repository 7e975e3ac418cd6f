"""The parts of every panel: its place, queries, thresholds and links."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DynamicConfigValue,
    FieldColorModeId,
    GridPos,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "faxline"
A_MINUTE = "suffix:/min"
GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE = "green", "yellow", "orange", "red", "blue", "purple"
Steps = Mapping[float, str]
"""Colours by the value from which they apply. Below the first value, the colour is green."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query of a panel: its expression, the names of its series, and whether it is instant."""

    expr: str
    legend: str = "__auto"
    instant: bool = False
    form: PromQueryFormat = PromQueryFormat.TIME_SERIES

    def build(self, ref_id: str) -> prometheus.Dataquery:
        """Return the query's builder."""
        made = prometheus.Dataquery().expr(self.expr).legend_format(self.legend).ref_id(ref_id)
        made = made.datasource(SOURCE).format(self.form)
        return made.instant() if self.instant else made.range()


def now(expr: str, legend: str = "__auto") -> Query:
    """An instant query."""
    return Query(expr, legend, instant=True)


def rows(expr: str) -> Query:
    """An instant query whose series are the rows of a table."""
    return Query(expr, instant=True, form=PromQueryFormat.TABLE)


def place(x: int, y: int, w: int, h: int) -> GridPos:
    """A place in the grid of 24 columns."""
    return GridPos(x=x, y=y, w=w, h=h)


def section(title: str, y: int) -> build.Row:
    """The heading of the panels below it."""
    return build.Row(title).grid_pos(place(0, y, 24, 1))


def thresholds(steps: Steps, base: str = GREEN) -> build.ThresholdsConfig:
    """The colours of values."""
    first = Threshold(value=None, color=base)
    more = [Threshold(value=value, color=color) for value, color in sorted(steps.items())]
    return build.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([first, *more])


def threshold_override(steps: Steps, base: str = GREEN) -> DynamicConfigValue:
    """The colours of one field's values."""
    return DynamicConfigValue("thresholds", thresholds(steps, base).build())


def fixed(color: str) -> DynamicConfigValue:
    """One field's colour."""
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})


def option(name: str, value: Any) -> DynamicConfigValue:
    """One option of a field."""
    return DynamicConfigValue(name, value)


def color_of_thresholds() -> build.FieldColor:
    """Values have the colour of their threshold."""
    return build.FieldColor().mode(FieldColorModeId.THRESHOLDS)


def as_text(width: int = 0) -> list[DynamicConfigValue]:
    """A column of texts. Numbers in it are not formatted, and an empty value is a dash."""
    options = [option("unit", "string"), option("noValue", "-")]
    return [*options, option("custom.width", width)] if width else options


def words(texts: Mapping[str, tuple[str, str]]) -> list[ValueMap]:
    """Show texts with colours instead of values."""
    options = {
        value: ValueMappingResult(text=text, color=color, index=i)
        for i, (value, (text, color)) in enumerate(texts.items())
    }
    return [ValueMap(options=options)]


def runbook(alert: str) -> build.DashboardLink:
    """A link to the board that shows an alert's runbook."""
    link = build.DashboardLink(f"What to do: {alert}").type(DashboardLinkType.LINK)
    return link.url(f"/d/{runbook_uid(alert)}").target_blank(True)


def runbook_uid(alert: str) -> str:
    """The uid of the board that shows an alert's runbook."""
    return f"runbook-{alert}"


def dress(
    panel: Any,
    title: str,
    description: str,
    at: GridPos,
    queries: Sequence[Query],
    unit: str,
    alerts: Sequence[str] = (),
) -> Any:
    """Set what every panel has. The builders share methods, but no type."""
    panel = panel.title(title).description(description).grid_pos(at).datasource(SOURCE).unit(unit)
    panel = panel.links([runbook(alert) for alert in alerts])
    for ref_id, query in zip("ABCDEFGHIJ", queries, strict=False):
        panel = panel.with_target(query.build(ref_id))
    return panel
