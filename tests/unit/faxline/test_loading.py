"""The library and the commands load what takes time when it is needed, and say which extra is missing."""

import subprocess
import sys

import pytest


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_library_loads_what_takes_time_when_it_is_needed() -> None:
    code = (
        "import sys, faxline; late = {'typer', 'rich', 'redis', 'asyncio', 'pydantic', 'pypdfium2', "
        "'phonenumbers', 'faxline.cli'}; print(late & set(sys.modules) or 'none'); "
        "from faxline import FaxLine, Group; FaxLine('redis://127.0.0.1:1/0'); "
        "print(sorted((late - {'asyncio'}) & set(sys.modules)))"
    )
    assert python(code).stdout == "none\n['redis']\n"


def test_the_commands_load_what_takes_time_when_it_is_needed() -> None:
    code = (
        "import sys, faxline.cli.running, faxline_archive.desk; from faxline_worker.cli import app; "
        "from typer.testing import CliRunner; assert CliRunner().invoke(app, ['--help']).exit_code == 0; "
        "late = {'pydantic', 'phonenumbers', 'fpdf', 'alembic', 'structlog', 'faxline_local.demo', "
        "'sqlalchemy', 'uvicorn', 'starlette'}; "
        "print(late & set(sys.modules) or 'none')"
    )
    assert python(code).stdout == "none\n"


@pytest.mark.parametrize("name", ["AsyncFaxLine", "AsyncEvents", "Priority", "InDoubtPolicy"])
def test_what_takes_time_to_load_is_imported_when_it_is_asked_for(name: str) -> None:
    done = python(
        f"import faxline; from faxline import {name}; print({name}.__name__, hasattr(faxline, 'x'))"
    )
    assert done.stdout == f"{name} False\n"


def test_the_lines_for_tests_need_no_server_and_no_daemon() -> None:
    code = (
        "import sys; from faxline.testing import MemoryLine; line = MemoryLine(); "
        "print(line.wait(line.send(to='+12345678901', files=['https://example.com/a.pdf']), 1).state, "
        "'faxline_worker' in sys.modules)"
    )
    assert python(code).stdout == "delivered False\n"


def test_the_lines_for_tests_say_how_to_install_their_extra() -> None:
    done = python("import sys; sys.modules['fakeredis'] = None; from faxline.testing import MemoryLine")
    assert done.stderr.endswith(
        "ModuleNotFoundError: faxline.testing needs fakeredis: pip install '.[testing]' in the checkout\n"
    )


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_a_missing_extra_is_told_with_what_installs_it(missing: str) -> None:
    done = python(f"import sys; sys.modules['{missing}'] = None; from faxline.cli import main; main()")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"faxline: {missing} is missing; install it with: pip install '.[cli]' in the checkout\n"
    )


@pytest.mark.parametrize("missing", ["typer", "dramatiq", "structlog"])
def test_a_bare_install_of_the_worker_says_which_extra_is_missing(missing: str) -> None:
    code = f"import sys; sys.modules['{missing}'] = None; sys.argv = ['faxline-worker', 'dispatcher']; "
    done = python(code + "from faxline_worker.__main__ import main; main()")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"faxline-worker: {missing} is missing; install it with: pip install '.[worker]' in the checkout\n"
    )
