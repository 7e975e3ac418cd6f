"""What comes from npm is what its version says."""

import hashlib
import json
import re
from unittest.mock import Mock

import pytest

from faxline_console.rendering import HERE, STATIC, make_environment
from faxline_console.showing.words import EVENTS, STATES


def test_each_vendored_file_has_the_hash_of_its_version() -> None:
    vendored = json.loads((STATIC / "vendored.json").read_text())
    assert vendored
    for name, about in vendored.items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == about["sha256"], name
        assert about["version"] in (STATIC / name).read_text()


def test_no_template_has_an_inline_script_or_style_or_asks_another_host() -> None:
    for path in (HERE / "templates").glob("*.html"):
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|<script>|\son[a-z]+=|https?://|javascript:", text), path.name
        assert "| safe" not in text.replace("' | safe if wrong", ""), path.name


def test_every_icon_that_a_template_or_a_word_names_is_there() -> None:
    drawn = set(re.findall(r'id="i-([a-z-]+)"', (STATIC / "icons.svg").read_text()))
    named = {icon for icon, _ in STATES.values()} | {icon for icon, _, _ in EVENTS.values()}
    for path in (HERE / "templates").glob("*.html"):
        named |= set(re.findall(r'icon\("([a-z-]+)"\)', path.read_text()))
        named |= set(re.findall(r'shown\("([a-z-]+)"', path.read_text()))
    assert named <= drawn


def test_a_running_console_keeps_the_templates_with_which_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = make_environment()
    monkeypatch.setattr(environment.loader, "get_source", Mock(side_effect=OSError("it is read again")))
    names = [path.name for path in (HERE / "templates").glob("*.html")]
    assert "faxes.html" in names
    for name in names:
        assert environment.get_template(name).name == name
