"""Prometheus' own tools on the rules: they parse, and every alert fires and is silent as its cases say."""

from pathlib import Path

import pytest

from tests.prometheus.programs import OPS, promtool

RULES = sorted((OPS / "rules").glob("*.yaml"))
TESTS = sorted((OPS / "tests").glob("*.yaml"))


def test_the_sample_configuration_and_its_rules_are_right() -> None:
    assert promtool("check", "config", str(OPS / "prometheus.yml"))[0] == 0
    code, said = promtool("check", "rules", *map(str, RULES))
    assert code == 0, said
    assert "SUCCESS" in said
    assert "FAILED" not in said


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_every_alert_fires_and_is_silent_as_its_cases_say(path: Path) -> None:
    code, said = promtool("test", "rules", str(path))
    assert code == 0, said


def test_a_threshold_that_is_moved_is_noticed(tmp_path: Path) -> None:
    for folder in ("rules", "tests"):
        (tmp_path / folder).mkdir()
        for path in (OPS / folder).glob("*.yaml"):
            text = path.read_text()
            (tmp_path / folder / path.name).write_text(
                text.replace('fax_jobs{state="in_doubt"}) > 10', 'fax_jobs{state="in_doubt"}) > 100')
            )
    code, said = promtool("test", "rules", str(tmp_path / "tests/doubts.yaml"))
    assert code != 0
    assert "FaxDoubtsMany" in said
