"""The tables: alerts that fire, limits in use, failures by code and reason."""

from typing import Any

from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

from faxline_boards.expressions import ACCOUNT
from faxline_boards.panels import table
from faxline_boards.parts import (
    BLUE,
    ORANGE,
    PURPLE,
    RED,
    YELLOW,
    as_text,
    option,
    rows,
    runbook_uid,
    threshold_override,
    words,
)

GAUGE_CELL = option("custom.cellOptions", {"type": "gauge", "mode": "gradient", "valueDisplayMode": "text"})
COLOR_CELL = option("custom.cellOptions", {"type": "color-background", "mode": "basic"})


def firing(at: Any) -> Any:
    """The firing alerts, with links to their runbooks."""
    ours = 'alertstate="firing", alertname=~"Fax.+", account=~"$account|"'
    expr = " or ".join(
        f'{rank} * max by (severity, alertname, account) (ALERTS{{{ours}, severity="{severity}"}})'
        for rank, severity in ((3, "critical"), (2, "warning"), (1, "info"))
    )
    severities = {"critical": ("critical", RED), "warning": ("warning", ORANGE), "info": ("info", BLUE)}
    link = {"title": "What to do", "url": f"/d/{runbook_uid('${__value.raw}')}", "targetBlank": True}
    hide = DataTransformerConfig(
        "organize",
        options={
            "excludeByName": {"Time": True, "Value": True},
            "indexByName": {"severity": 0, "alertname": 1, "account": 2},
            "renameByName": {"alertname": "alert"},
        },
    )
    return table(
        "Alerts: click one for what to do",
        "Firing alerts. A click on one opens its runbook: what it means, how to look, what to do.",
        at,
        [rows(expr)],
        "short",
        {},
        transformations=[
            DataTransformerConfig(
                "sortBy", options={"fields": {}, "sort": [{"field": "Value", "desc": True}]}
            ),
            hide,
        ],
        overrides={
            "severity": [COLOR_CELL, option("mappings", words(severities)), *as_text(75)],
            "alert": [option("links", [link]), *as_text()],
            "account": as_text(80),
        },
        nothing="No alert fires.",
    )


def limits(at: Any) -> Any:
    """The use of the limits, one row for each."""
    used = f"max by (account, limit) (fax_limit_used{{{ACCOUNT}}})"
    capacity = f"max by (account, limit) (fax_limit_capacity{{{ACCOUNT}}})"
    names = {"account": 0, "limit": 1, "Value #A": 2, "Value #B": 3, "Value #C": 4}
    return table(
        "iFax's limits in use",
        "window: requests of the last hour, of 1000. concurrency: calls in flight, of 20. burst: of 50. `of` "
        "is what is in effect: it shrinks after a 429 and recovers. A full limit holds faxes, and more pods "
        "do not help.",
        at,
        [rows(used), rows(capacity), rows(f"{used} / ({capacity} > 0)")],
        "short",
        {},
        alerts=["FaxRateLimited", "FaxUrgentWaits"],
        transformations=[
            DataTransformerConfig("merge", options={}),
            DataTransformerConfig(
                "organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": names,
                    "renameByName": {"Value #A": "used", "Value #B": "of", "Value #C": "share"},
                },
            ),
            DataTransformerConfig(
                "sortBy", options={"fields": {}, "sort": [{"field": "share", "desc": True}]}
            ),
        ],
        overrides={
            "account": as_text(80),
            "limit": as_text(100),
            "used": [option("unit", "none"), option("decimals", 0), option("custom.width", 60)],
            "of": [option("unit", "none"), option("decimals", 0), option("custom.width", 60)],
            "share": [
                GAUGE_CELL,
                option("unit", "percentunit"),
                option("min", 0),
                option("max", 1),
                threshold_override({0.8: YELLOW, 0.95: RED}),
            ],
        },
    )


def failures(at: Any) -> Any:
    """The failures in the shown time, by reason."""
    expr = (
        f"sort_desc(sum by (stage, reason, code) (increase(fax_failures_total{{{ACCOUNT}}}[$__range])) > 0.5)"
    )
    stages = {
        "intake": ("intake", PURPLE),
        "submission": ("submission", ORANGE),
        "delivery": ("delivery", RED),
    }
    return table(
        "Failures, by code and reason",
        "All failures of the time shown. intake: the producer's entry. submission: iFax refused the fax. "
        "delivery: the call failed; busy, no_answer and bad numbers are the callee's. docs/causes.md says "
        "what a reason means.",
        at,
        [rows(expr)],
        "short",
        {},
        alerts=["FaxDeliveryFailuresFast", "FaxSubmissionsRefused", "FaxCalleesFail"],
        transformations=[
            DataTransformerConfig(
                "organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {"stage": 0, "reason": 1, "code": 2, "Value": 3},
                    "renameByName": {"Value": "faxes"},
                },
            ),
            DataTransformerConfig(
                "sortBy", options={"fields": {}, "sort": [{"field": "faxes", "desc": True}]}
            ),
        ],
        overrides={
            "stage": [COLOR_CELL, option("mappings", words(stages)), *as_text(95)],
            "reason": as_text(),
            "code": as_text(60),
            "faxes": [option("unit", "none"), option("decimals", 0), option("custom.width", 60)],
        },
        nothing="Nothing failed.",
    )
