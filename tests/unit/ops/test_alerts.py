"""Every alert has its words, its runbook and its cases; a runbook's commands, metrics and settings exist."""

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from faxline.cli.running import command as whole_command
from faxline.contract.environment import PREFIX
from faxline_archive.metrics import ArchiveMetrics
from faxline_console.command import console
from faxline_console.metrics import ConsoleMetrics
from faxline_worker.config.settings import Settings
from faxline_worker.ifax.causes import delivery_reasons
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.metrics.families import new_registry, watch_folders, watch_loops
from faxline_worker.observability.metrics.webhook import WebhookMetrics
from faxline_worker.observability.metrics.worker import WorkerMetrics
from faxline_worker.processes.common import failure_labels
from tests.yaml_files import read_yaml

OPS = Path(__file__).parents[3] / "ops"
RULES = {path.name: read_yaml(path) for path in (OPS / "prometheus/rules").glob("*.yaml")}
ALERTS = {
    rule["alert"]: rule
    for content in RULES.values()
    for group in content["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
RUNBOOKS = {path.stem: path.read_text() for path in (OPS / "runbooks").glob("*.md")}
COMMAND = re.compile(r"(?:^ +|`)(faxline(?:-worker)? [^`\n]*)", re.MULTILINE)
COMMANDS = sorted({found for text in RUNBOOKS.values() for found in COMMAND.findall(text)})
CALLEE = {
    *("busy", "no_answer", "unallocated_number", "no_route", "number_changed", "invalid_number", "rejected"),
    *("incompatible", "out_of_order", "canceled", "no_fax", "not_ready"),
    *("resolution_unsupported", "size_unsupported"),
}
OURS = {
    *(
        "line_trouble",
        "congestion",
        "normal_clearing",
        "not_permitted",
        "other",
        "general_error",
        "not_found",
    ),
    *("invalid_parameters", "authentication_failed", "insufficient_balance", "image_missing", "tiff_empty"),
    *("file_too_large", "invalid_file_format", "no_permission", "too_many_recipients", "invalid_key"),
    "rate_limited",
}


@cache
def metric_names() -> set[str]:
    """The names of all series that the processes expose, as PromQL has them."""
    names: set[str] = set()
    for process in (WorkerMetrics, DispatcherMetrics):
        registry = new_registry()
        process(registry, ["default"], failure_labels())
        names |= {sample.name for family in registry.collect() for sample in family.samples}
    registry = new_registry()
    watch_loops(registry, lambda: {"intake": 0}, dict)
    watch_folders(registry, float)
    WebhookMetrics(registry, ["default"])
    ArchiveMetrics(registry, ["default"])
    ConsoleMetrics(registry)
    names |= {sample.name for family in registry.collect() for sample in family.samples}
    return names | {name.removesuffix("_count") for name in names if name.endswith("_count")}


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_severity_its_words_and_its_runbook(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    notes = rule["annotations"]
    assert notes["summary"].endswith(".")
    assert notes["description"].endswith(".")
    assert notes["runbook_url"] == f"ops/runbooks/{alert}.md"
    counts = "absent(" in rule["expr"] or "(fax_redis_" in rule["expr"] or rule["expr"].endswith("== 1")
    assert counts or "$value" in notes["summary"] or "up{" in rule["expr"]


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert set(RUNBOOKS) == set(ALERTS)
    for alert, text in RUNBOOKS.items():
        assert text.startswith(f"# {alert}\n")
        assert "\n## Look\n" in text
        assert "\n## Do\n" in text
        others = set(re.findall(r"\bFax[A-Z]\w+", text))
        assert others <= set(ALERTS), alert


def test_every_alert_is_tested_to_fire_and_to_be_silent() -> None:
    cases = {
        (case["alertname"], bool(case["exp_alerts"]))
        for path in (OPS / "prometheus/tests").glob("*.yaml")
        for test in read_yaml(path)["tests"]
        for case in test["alert_rule_test"]
    }
    assert {(alert, fires) for alert in ALERTS for fires in (True, False)} - cases == set()


def parse(arguments: list[str], command: Any = None) -> None:
    """Parse a command line of `faxline`, or of another command, without running it."""
    command = command or whole_command()
    context: Any = None
    while True:
        context = command.make_context(command.name, list(arguments), parent=context)
        rest = [*context._protected_args, *context.args]
        if not isinstance(command, typer.core.TyperGroup) or not rest:
            return
        _, command, arguments = command.resolve_command(context, rest)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_a_runbook_exists(line: str) -> None:
    program, *words = shlex.split(line)
    if words[0] == "console":
        parse(["viewer" if word == "ROLE" else word for word in words[1:]], typer.main.get_command(console))
        return
    if program == "faxline-worker":
        assert words[0] in {"dispatcher", "worker", "webhook", "archive", "migrate", "doctor"}
        return
    parse(["7" if word == "JOBID" else word for word in words])


def test_a_command_that_there_is_not_would_be_noticed() -> None:
    for line in ("accounts stop NAME", "list --state held", "resolve ID --accept 7"):
        with pytest.raises(typer.TyperException):
            parse(line.split())
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("alert", ALERTS)
def test_every_metric_and_setting_that_a_runbook_names_exists(alert: str) -> None:
    text = RUNBOOKS[alert]
    assert set(re.findall(r"\bfax_[a-z_]+\b", text)) <= metric_names()
    for variable in re.findall(rf"\b{PREFIX}[A-Z_]+\b", text):
        model: Any = Settings
        for part in variable.removeprefix(PREFIX).lower().removesuffix("_file").split("__"):
            if part != "name":
                field = model.model_fields[part].annotation
                model = field.__args__[1] if part == "accounts" else field


def test_the_callees_own_faults_are_those_of_the_rules_and_every_reason_is_one_or_the_other() -> None:
    lists = {
        frozenset(found.split("|"))
        for rule in RULES["recording.yaml"]["groups"][0]["rules"]
        for found in re.findall(r'reason[!=]~"([^"]*)"', rule["expr"])
    }
    assert lists == {frozenset(CALLEE)}
    assert {reason for _, reason in delivery_reasons()} == CALLEE | OURS
    assert not CALLEE & OURS
