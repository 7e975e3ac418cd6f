"""`faxline-worker`, and the commands that other packages bring."""

from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from faxline_worker.cli import GROUP, app


def test_the_help_shows_the_parts_and_then_what_other_packages_bring() -> None:
    out = CliRunner().invoke(app, ["--help"]).output
    names = ("dispatcher", "worker", "webhook", "migrate", "doctor", "demo", "playground", "sandbox")
    places = [out.index(f"│ {name} ") for name in names]
    assert places == sorted(places)


def test_what_other_packages_bring_is_loaded_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    class Brought(EntryPoint):
        def load(self) -> Any:
            loaded.append(self.name)
            return lambda: typer.echo("done")

    points = EntryPoints([Brought(name, f"nowhere:{name}", GROUP) for name in ("this", "other")])
    monkeypatch.setattr("faxline_worker.cli.entry_points", lambda group: points.select(group=group))
    assert CliRunner().invoke(app, ["--version"]).exit_code == 0
    assert CliRunner().invoke(app, ["doctor", "--help"]).exit_code == 0
    assert loaded == []
    assert CliRunner().invoke(app, ["this"]).output == "done\n"
    assert loaded == ["this"]
    assert "No such command" in CliRunner().invoke(app, ["nobody"]).output
