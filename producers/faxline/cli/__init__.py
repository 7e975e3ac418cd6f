"""The command `faxline`: push faxes, follow them, see why one waits, and operate the accounts.

It needs the extra `cli` (typer and rich); `import faxline` does not. Each module adds its commands to
`faxline.cli.app.app`.
"""

import sys


def main() -> None:
    """The command's entry."""
    try:
        import rich  # noqa: F401, PLC0415 - the command says what is missing
        import typer  # noqa: F401, PLC0415 - as above
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"faxline: {error.name} is missing; install it with: pip install '.[cli]' in the checkout\n"
        )
        sys.exit(2)
    from faxline.cli.running import run  # noqa: PLC0415 - it needs typer

    sys.exit(run(sys.argv[1:]))
