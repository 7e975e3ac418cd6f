"""docs/cli.md: the commands `faxline` and `faxline-worker` with their options."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from faxline import cli as faxline_cli
from faxline_docs.markdown import code, table
from faxline_worker.cli import app as worker_app


def faxline() -> str:
    """The commands of `faxline`."""
    return _pages("faxline", faxline_command())


def faxline_worker() -> str:
    """The commands of `faxline-worker`."""
    return _pages("faxline-worker", worker_command())


def faxline_command() -> Any:
    """The command `faxline`, with the commands of all modules."""
    for module in pkgutil.iter_modules(faxline_cli.__path__):
        importlib.import_module(f"{faxline_cli.__name__}.{module.name}")
    return get_command(importlib.import_module("faxline.cli.app").app)


def worker_command() -> Any:
    """The command `faxline-worker`."""
    return get_command(worker_app)


def commands_of(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield a command and its subcommands, each with its full name."""
    yield name, command
    for each in command.list_commands(None) if hasattr(command, "list_commands") else ():
        found = command.get_command(None, each)
        if not found.hidden:
            yield from commands_of(f"{name} {each}", found)


def _pages(name: str, command: Any) -> str:
    return "\n\n".join(_section(full, each) for full, each in commands_of(name, command))


def _section(name: str, command: Any) -> str:
    parts = [f"### {code(name)}", _text(command.help or "")]
    rows = [row for parameter in command.params if (row := _row(parameter)) is not None]
    if rows:
        parts.append(table(("argument or option", "default", "meaning"), rows))
    if command.epilog:
        parts.append(f"```text\n{_text(command.epilog)}\n```")
    return "\n\n".join(part for part in parts if part)


def _row(parameter: Any) -> tuple[str, str, str] | None:
    if getattr(parameter, "hidden", False) or parameter.name in {
        "help",
        "install_completion",
        "show_completion",
    }:
        return None
    text = parameter.help or ""
    given = re.search(r"\s*\[default: ([^\]]+)\]", text)
    if given is not None:
        text, default = text.replace(given[0], ""), given[1]
    else:
        default = _default(parameter)
    if parameter.envvar:
        text += f" Environment: {code(str(parameter.envvar))}."
    if parameter.param_type_name == "argument":
        return code(parameter.metavar or parameter.name.upper()), default, text.strip()
    names = ", ".join(code(name) for name in (*parameter.opts, *parameter.secondary_opts))
    value = code(parameter.metavar) if parameter.metavar else ""
    return f"{names} {value}".strip(), default, text.strip()


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "required"
    if value is None or isinstance(value, bool | tuple | list) or callable(value):
        return ""
    return code(
        f"{getattr(value, 'value', value):g}"
        if isinstance(value, float)
        else str(getattr(value, "value", value))
    )


def _text(text: str) -> str:
    lines = [line.removeprefix("\b") for line in text.splitlines()]
    return "\n".join(line.rstrip() for line in lines).strip()
