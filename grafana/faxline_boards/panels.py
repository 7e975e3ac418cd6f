"""The kinds of panels, with the options that all panels of a kind share."""

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.builders import bargauge as bargauge_build
from grafana_foundation_sdk.builders import common as common_build
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import heatmap as heatmap_build
from grafana_foundation_sdk.builders import stat as stat_build
from grafana_foundation_sdk.builders import table as table_build
from grafana_foundation_sdk.builders import timeseries as timeseries_build
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, FieldColorModeId, GridPos
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from faxline_boards.parts import Query, Steps, color_of_thresholds, dress, thresholds

GAP = 180_000
"""The line of a time is drawn across gaps without a fax of up to this length (ms)."""
Overrides = Mapping[str, Sequence[DynamicConfigValue]]
"""Options of single fields, by their names."""


def _last() -> common_build.ReduceDataOptions:
    return common_build.ReduceDataOptions().calcs(["lastNotNull"])


def _with(panel: Any, overrides: Overrides) -> Any:
    for name, options in overrides.items():
        panel = panel.override_by_name(name, list(options))
    return panel


def stat(
    title: str,
    description: str,
    at: GridPos,
    queries: Sequence[Query],
    unit: str,
    steps: Steps,
    *,
    alerts: Sequence[str] = (),
    overrides: Overrides | None = None,
    upright: bool = False,
    area: bool = False,
) -> stat_build.Panel:
    """Figures, coloured by thresholds. `upright` stacks them, and `area` shows their history."""
    panel = dress(stat_build.Panel(), title, description, at, queries, unit, alerts)
    panel = panel.thresholds(thresholds(steps)).color_scheme(color_of_thresholds()).reduce_options(_last())
    panel = panel.graph_mode(common.BigValueGraphMode.AREA if area else common.BigValueGraphMode.NONE)
    panel = panel.color_mode(common.BigValueColorMode.VALUE).text_mode(common.BigValueTextMode.VALUE_AND_NAME)
    panel = panel.wide_layout(upright).justify_mode(common.BigValueJustifyMode.AUTO)
    upside = common.VizOrientation.HORIZONTAL if upright else common.VizOrientation.VERTICAL
    made: stat_build.Panel = _with(panel.orientation(upside), overrides or {})
    return made


def bars(
    title: str,
    description: str,
    at: GridPos,
    queries: Sequence[Query],
    unit: str,
    steps: Steps,
    *,
    alerts: Sequence[str] = (),
    overrides: Overrides | None = None,
) -> bargauge_build.Panel:
    """Figures with bars, stacked."""
    panel = dress(bargauge_build.Panel(), title, description, at, queries, unit, alerts)
    panel = panel.thresholds(thresholds(steps)).color_scheme(color_of_thresholds()).reduce_options(_last())
    panel = panel.min(0).orientation(common.VizOrientation.HORIZONTAL).show_unfilled(True)
    panel = panel.text(common_build.VizTextDisplayOptions().title_size(12).value_size(18))
    panel = panel.display_mode(common.BarGaugeDisplayMode.GRADIENT).value_mode(common.BarGaugeValueMode.TEXT)
    made: bargauge_build.Panel = _with(
        panel.name_placement(common.BarGaugeNamePlacement.LEFT), overrides or {}
    )
    return made


def lines(
    title: str,
    description: str,
    at: GridPos,
    queries: Sequence[Query],
    unit: str,
    *,
    alerts: Sequence[str] = (),
    overrides: Overrides | None = None,
    stacked: bool = False,
    steps: Steps | None = None,
    times: bool = False,
) -> timeseries_build.Panel:
    """Figures over time. `times` uses a logarithmic axis, and draws lines across gaps of minutes."""
    panel = dress(timeseries_build.Panel(), title, description, at, queries, unit, alerts)
    panel = panel.color_scheme(build.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    panel = panel.line_width(0 if stacked else 2).fill_opacity(70 if stacked else 6)
    panel = panel.show_points(common.VisibilityMode.NEVER).span_nulls(GAP if times else False)
    if times:
        scale = common_build.ScaleDistributionConfig().type(common.ScaleDistribution.LOG)
        panel = panel.scale_distribution(scale.log(10)).fill_opacity(0)
    else:
        panel = panel.min(0)
    if stacked:
        panel = panel.stacking(common_build.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if steps is not None:
        panel = panel.thresholds(thresholds(steps, "transparent"))
        style = common_build.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds_style(style)
    shown = common_build.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).show_legend(True)
    shown = shown.placement(common.LegendPlacement.BOTTOM).calcs([])
    hover = common_build.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    panel = panel.legend(shown).tooltip(hover.sort(common.SortOrder.DESCENDING))
    made: timeseries_build.Panel = _with(panel, overrides or {})
    return made


def table(
    title: str,
    description: str,
    at: GridPos,
    queries: Sequence[Query],
    unit: str,
    steps: Steps,
    *,
    alerts: Sequence[str] = (),
    overrides: Overrides | None = None,
    transformations: Sequence[Any] = (),
    nothing: str = "",
) -> table_build.Panel:
    """A table of present values. `nothing` is shown if there are none."""
    panel = dress(table_build.Panel(), title, description, at, queries, unit, alerts)
    panel = panel.thresholds(thresholds(steps)).color_scheme(color_of_thresholds())
    panel = panel.cell_height(common.TableCellHeight.SM).show_header(True).filterable(False)
    if nothing:
        panel = panel.no_value(nothing)
    for one in transformations:
        panel = panel.with_transformation(one)
    made: table_build.Panel = _with(panel, overrides or {})
    return made


def heat(
    title: str, description: str, at: GridPos, histogram: str, *, alerts: Sequence[str] = ()
) -> heatmap_build.Panel:
    """A heat map of a histogram. `histogram` is its name with selectors."""
    name, _, selectors = histogram.partition("{")
    bucket = f"{name}_bucket{{{selectors}"
    query = Query(
        f"sum by (le) (increase({bucket}[$__rate_interval]))", "{{le}}", form=PromQueryFormat.HEATMAP
    )
    panel = dress(heatmap_build.Panel(), title, description, at, [query], "short", alerts)
    color = heatmap_build.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    color = color.exponent(0.5).fill("dark-orange").reverse(False)
    axis = heatmap_build.YAxisConfig().unit("s").axis_placement(common.AxisPlacement.LEFT)
    made: heatmap_build.Panel = panel.calculate(False).color(color).y_axis(axis).cell_gap(1).show_legend()
    return made
