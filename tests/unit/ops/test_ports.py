"""The parts that run on one machine, and the sandbox beside them, have ports of their own."""

import inspect
import re
from pathlib import Path

import pytest

from faxline_sandbox.command import sandbox
from faxline_worker.config.console import Console
from faxline_worker.config.listeners import Metrics, Webhook

ROOT = Path(__file__).parents[3]
SANDBOX: int = inspect.signature(sandbox).parameters["port"].default
PAGES = sorted(path.relative_to(ROOT) for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_no_two_parts_have_the_same_port_by_default() -> None:
    sections = (Console, Webhook, Metrics)
    ports = [
        field.default for each in sections for name, field in each.model_fields.items() if "port" in name
    ]
    assert len(ports) == 7
    assert len({*ports, SANDBOX}) == 8


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_that_has_the_sandbox_called_names_its_port(page: Path) -> None:
    text = (ROOT / page).read_text()
    called = re.findall(r"FAXLINE_IFAX_URL=http://(?:127\.0\.0\.1|localhost):(\d+)", text)
    started = re.findall(r"faxline-worker sandbox(?:[^\n]|\\\n)*--port (\d+)", text)
    assert {*called} <= ({*started} or {str(SANDBOX)})
