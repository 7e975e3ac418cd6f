"""The command `faxline-worker`, also run as `python -m faxline_worker`."""

import sys

_OURS = {"faxline", "faxline_worker", "faxline_local", "faxline_sandbox"}


def main() -> None:
    """Run the command. If a package is missing, print which extra to install, and exit with 2."""
    try:
        from faxline_worker.cli import main as run  # noqa: PLC0415 - typer may be missing

        run()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _OURS:
            raise
        extra = "otel" if missing == "opentelemetry" else "worker"
        sys.stderr.write(
            f"faxline-worker: {missing} is missing; "
            f"install it with: pip install '.[{extra}]' in the checkout\n"
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
