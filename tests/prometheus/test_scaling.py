"""The query by which worker pods are added: it counts the jobs that more pods can help, and no others."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.prometheus.programs import OPS, promtool

SCALED = yaml.safe_load((OPS.parent / "kubernetes/components/keda/scaledobject.yaml").read_text())
QUERY = SCALED["spec"]["triggers"][0]["metadata"]["query"]


def gauges(account: str, *, turn: int, paused: int = 0, used: int = 0, capacity: int = 20) -> dict[str, int]:
    """What two dispatchers tell of an account."""
    return {
        f'{name}{{account="{account}", instance="{instance}"{labels}}}': value
        for instance in ("a", "b")
        for name, labels, value in (
            ("fax_queued_jobs", ', waits_for="turn"', turn),
            ("fax_queued_jobs", ', waits_for="time"', 1000),
            ("fax_account_paused", "", paused),
            ("fax_limit_used", ', limit="concurrency"', used),
            ("fax_limit_capacity", ', limit="concurrency"', capacity),
            ("fax_limit_used", ', limit="window"', 10),
            ("fax_limit_capacity", ', limit="window"', 0),  # off
        )
    }


@pytest.mark.parametrize(
    ("series", "jobs"),
    [
        ({}, 0),
        (gauges("one", turn=70, used=5), 70),
        (gauges("one", turn=70, used=5) | gauges("two", turn=30), 100),
        (gauges("one", turn=70, used=5) | gauges("two", turn=30, paused=1), 70),
        (gauges("one", turn=70, used=20) | gauges("two", turn=30), 30),
        (gauges("one", turn=70, used=20), 0),
        (gauges("one", turn=70, used=20, capacity=0), 70),
    ],
    ids=[
        "nothing",
        "a queue",
        "two accounts",
        "a paused one",
        "one at a limit",
        "all at a limit",
        "no limit",
    ],
)
def test_the_query_counts_the_jobs_that_more_pods_can_help(
    series: dict[str, int], jobs: int, tmp_path: Path
) -> None:
    case: dict[str, Any] = {
        "interval": "15s",
        "input_series": [{"series": name, "values": f"{value}x4"} for name, value in series.items()],
        "promql_expr_test": [
            {"expr": QUERY, "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": jobs}]}
        ],
    }
    path = tmp_path / "case.yaml"
    path.write_text(yaml.safe_dump({"tests": [case]}))
    code, said = promtool("test", "rules", str(path))
    assert code == 0, said
