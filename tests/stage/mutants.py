"""Scripts with some text changed, to show that a test would notice."""

import pytest

from faxline_worker.state import scripts
from faxline_worker.state.store import SCRIPTS


def mutate(monkeypatch: pytest.MonkeyPatch, *changes: tuple[str, str]) -> None:
    """Change some text in every script that has it; there must be one."""
    original = scripts.source

    def source(name: str, clock: str | None = None) -> str:
        text = original(name, clock)
        for old, new in changes:
            text = text.replace(old, new)
        return text

    everything = "\n".join(map(original, SCRIPTS))
    for old, _ in changes:
        assert old in everything, old
    monkeypatch.setattr(scripts, "source", source)
