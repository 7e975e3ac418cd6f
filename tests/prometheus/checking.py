"""What is wrong with an expression on a Prometheus that has seen all: it names nothing, or gives nothing."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from faxline_boards.files import files
from tests.prometheus.expressions import selectors, without_filters
from tests.prometheus.programs import OPS, Prometheus

VARIABLES = {
    "$__rate_interval": "1m",
    "$__range": "5m",
    "$account": ".+",
    "$instance": ".+",
}
"""Grafana's variables, and all that could be chosen."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression: where it stands, and whether it is an alert's."""

    place: str
    text: str
    alert: bool = False


def of_boards() -> Iterator[Expression]:
    """Every query of every panel, and of every variable."""
    for name, text in files().items():
        board = json.loads(text)
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield Expression(f"{name}: {panel['title']} {target['refId']}", replaced(target["expr"]))
        for variable in board["templating"].get("list", []):
            values = re.fullmatch(r"label_values\((.*), \w+\)", str(variable.get("query", "")))
            if values:
                yield Expression(f"{name}: variable {variable['name']}", values[1])


def replaced(text: str) -> str:
    """An expression of a panel with all accounts, processes and a fixed interval."""
    for variable, value in VARIABLES.items():
        text = text.replace(variable, value)
    return text


def of_rules() -> Iterator[Expression]:
    """Every rule's expression."""
    for path in sorted((OPS / "rules").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                yield Expression(f"{path.name}: {name}", rule["expr"], alert="alert" in rule)


UNLESS = re.compile(r"\bunless\b")
"""What stands behind it takes series away."""


def complaints(server: Prometheus, expression: Expression) -> list[str]:
    """What is wrong with it; nothing where every selector has a series and the whole gives a number.

    Of an alert, the comparisons and what follows `unless` are set aside, for it need not fire. `absent`
    gives nothing while all is well: of its expression only the selectors are looked at.
    """
    found = [
        f"{expression.place}: nothing is {selector}"
        for selector in sorted(selectors(expression.text))
        if not server.query(f"count({selector})")
    ]
    if found or "absent(" in expression.text:
        return found
    text = without_filters(UNLESS.split(expression.text)[0]) if expression.alert else expression.text
    try:
        series = server.query(text)
    except ValueError as error:
        return [f"{expression.place}: {error}"]
    if not any(_number(one) for one in series):
        return [f"{expression.place}: no number comes from {expression.text}"]
    return []


def _number(series: dict[str, Any]) -> bool:
    return not math.isnan(float(series["value"][1]))
