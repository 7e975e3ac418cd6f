"""`python -m faxline_supply licences | sbom | audit`: what make's targets of these names call."""

import argparse
import sys

from faxline_supply.audit import NOT_AUDITED, audit
from faxline_supply.licences import page
from faxline_supply.sbom import sbom


def main(arguments: list[str]) -> int:
    """Run one of the commands; its exit code."""
    parser = argparse.ArgumentParser(prog="faxline_supply")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("licences")
    commands.add_parser("sbom")
    auditing = commands.add_parser("audit")
    auditing.add_argument("--may-skip", action="store_true", help="end well where nothing could be asked")
    auditing.add_argument("pip_audit", nargs="+", help="pip-audit's command")
    chosen = parser.parse_args(arguments)
    if chosen.command != "audit":
        sys.stdout.write(page() if chosen.command == "licences" else sbom())
        return 0
    done = audit(chosen.pip_audit)
    for line in done.lines:
        sys.stdout.write(f"audit: {line}\n")
    return 0 if done.code == NOT_AUDITED and chosen.may_skip else done.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
