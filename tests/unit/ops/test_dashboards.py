"""The dashboards' JSON: what the builder makes, whole, without overlaps, each panel with what it needs."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.yaml_files import read_yaml

GRAFANA = Path(__file__).parents[3] / "grafana"
FOLDER = GRAFANA / "dashboards"
RUNBOOKS = GRAFANA.parent / "ops/runbooks"
FILES = {str(path.relative_to(FOLDER)): path.read_text() for path in sorted(FOLDER.rglob("*.json"))}
BOARDS: dict[str, Any] = {name: json.loads(text) for name, text in FILES.items()}
PANELS = [panel for board in BOARDS.values() for panel in board["panels"] if panel["type"] != "row"]
COLUMNS = 24
ONE_SCREEN = 26
"""Rows of the grid that a screen of 1080 lines shows beside Grafana's own bars."""


def test_the_committed_dashboards_are_what_the_builder_makes() -> None:
    from faxline_boards.files import files  # noqa: PLC0415 - Grafana's SDK is large, and only this test needs it

    assert files() == FILES, "run `make dashboards`"


def test_the_overview_is_on_one_screen() -> None:
    places = [panel["gridPos"] for panel in BOARDS["Faxline/overview.json"]["panels"]]
    assert max(at["y"] + at["h"] for at in places) <= ONE_SCREEN


def test_no_panel_lies_on_another_or_outside_of_the_grid() -> None:
    for name in BOARDS:
        places = [(panel["title"], panel["gridPos"]) for panel in BOARDS[name]["panels"]]
        for title, at in places:
            assert at["x"] >= 0
            assert at["w"] > 0, title
            assert at["x"] + at["w"] <= COLUMNS, title
        for (one, a), (other, b) in combinations(places, 2):
            apart = (
                a["x"] + a["w"] <= b["x"]
                or b["x"] + b["w"] <= a["x"]
                or a["y"] + a["h"] <= b["y"]
                or b["y"] + b["h"] <= a["y"]
            )
            assert apart, (name, one, other)


def test_every_panel_has_an_id_of_its_own_and_every_board_a_uid() -> None:
    for name in BOARDS:
        ids = [panel["id"] for panel in BOARDS[name]["panels"]]
        assert all(isinstance(one, int) and one > 0 for one in ids)
        assert len(set(ids)) == len(ids), name
        uids = [board["uid"] for board in BOARDS.values()]
        assert len(set(uids)) == len(uids)
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", BOARDS[name]["uid"])  # what Grafana takes


def test_every_panel_says_what_it_shows_in_which_unit_and_what_to_do() -> None:
    for panel in PANELS:
        assert panel["description"], panel["title"]
        if panel["type"] == "text":
            continue
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        targets = panel["targets"]
        assert targets, panel["title"]
        assert [target["refId"] for target in targets] == list("ABCDEFGHIJ"[: len(targets)])
        for target in targets:
            assert target["datasource"]["uid"] == "${datasource}"
            assert bool(target.get("instant")) != bool(target.get("range"))
            if panel["type"] == "table":
                assert (target["instant"], target["format"]) == (True, "table")


def test_every_rate_is_over_the_rate_interval_that_grafana_reckons() -> None:
    for panel in PANELS:
        for target in panel.get("targets", []):
            spans = re.findall(r"\[([^\]]*)\]", target["expr"])
            assert set(spans) <= {"$__rate_interval", "$__range"}, panel["title"]
            assert "$__range" not in spans or target["instant"]


def test_what_is_shown_in_colours_has_thresholds_in_the_order_people_expect() -> None:
    for panel in PANELS:
        if panel["type"] not in {"stat", "bargauge"}:
            continue
        overrides = [option for one in panel["fieldConfig"]["overrides"] for option in one["properties"]]
        all_steps = [panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
        all_steps += [option["value"]["steps"] for option in overrides if option["id"] == "thresholds"]
        order = ["green", "blue", "yellow", "orange", "red"]
        for steps in all_steps:
            values = [step["value"] for step in steps]
            assert values[0] is None, panel["title"]
            assert values[1:] == sorted(values[1:]), panel["title"]
            colors = [order.index(step["color"]) for step in steps]
            upside_down = colors == [4, 0]  # the more processes, the better
            assert upside_down or colors == sorted(colors), panel["title"]


def test_every_link_leads_to_a_runbook_that_there_is() -> None:
    for panel in PANELS:
        urls = [link["url"] for link in panel.get("links", [])]
        text = panel.get("options", {}).get("content", "")
        urls += re.findall(r"\((/d/[^)]*)\)", text)
        uids = {board["uid"] for board in BOARDS.values()}
        assert {url.removeprefix("/d/") for url in urls} <= uids, panel["title"]


def test_the_list_of_alerts_leads_from_each_to_its_runbook() -> None:
    panel = next(p for p in BOARDS["Faxline/overview.json"]["panels"] if p["title"].startswith("Alerts"))
    (links,) = [
        option["value"]
        for override in panel["fieldConfig"]["overrides"]
        for option in override["properties"]
        if option["id"] == "links"
    ]
    uids = {board["uid"] for board in BOARDS.values()}
    for alert in (path.stem for path in RUNBOOKS.glob("*.md")):
        assert links[0]["url"].replace("${__value.raw}", alert).removeprefix("/d/") in uids


@pytest.mark.parametrize("name", ["overview", "account", "worker-pods"])
def test_a_board_asks_for_the_data_source_and_lets_some_or_all_be_chosen(name: str) -> None:
    source, choice = BOARDS[f"Faxline/{name}.json"]["templating"]["list"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    assert (choice["multi"], choice["includeAll"], choice["allValue"]) == (True, True, ".+")
    expressions = [
        target["expr"]
        for panel in BOARDS[f"Faxline/{name}.json"]["panels"]
        for target in panel.get("targets", [])
    ]
    assert sum(f"${choice['name']}" in expression for expression in expressions) > len(expressions) / 2


def test_a_gauge_of_redis_is_never_summed_over_the_dispatchers() -> None:
    gauges = (
        *("fax_jobs", "fax_queued_jobs", "fax_oldest_job_age_seconds", "fax_oldest_receipt_wait_seconds"),
        *("fax_receipts_overdue", "fax_doubts_held", "fax_limit_used", "fax_limit_capacity"),
        *("fax_account_paused", "fax_account_closed", "fax_dead_receipts", "fax_redis_(?!read|clock)\\w+"),
    )
    rules = GRAFANA.parent / "ops" / "prometheus" / "rules"
    expressions = [
        rule["expr"]
        for path in rules.glob("*.yaml")
        for group in read_yaml(path)["groups"]
        for rule in group["rules"]
    ]
    expressions += [
        target["expr"]
        for board in BOARDS.values()
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]
    found = 0
    for expression in expressions:
        for use in re.finditer(rf"\b({'|'.join(gauges)})\b", expression):
            assert re.search(
                r"max (by \([\w, ]+\) )?\($", re.sub(r"max\(", "max (", expression[: use.start()])
            )
            found += 1
    assert found > len(gauges)


def test_the_provisioning_shows_this_folder_and_names_the_data_source() -> None:
    (provider,) = read_yaml(GRAFANA / "provisioning/dashboards/faxline.yaml")["providers"]
    assert provider["options"]["foldersFromFilesStructure"]
    (source,) = read_yaml(GRAFANA / "provisioning/datasources/prometheus.yaml")["datasources"]
    assert source["type"] == "prometheus"
    readme = (GRAFANA / "README.md").read_text()
    assert provider["options"]["path"] in readme
    assert re.findall(r"\$\{(\w+)\}", source["url"])[0] in readme
