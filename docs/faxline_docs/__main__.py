"""`python -m faxline_docs`: write the generated parts; with `--check`, only name stale pages."""

import sys

from faxline_docs.pages import stale


def main(arguments: list[str]) -> int:
    """Write or check the pages."""
    check = "--check" in arguments
    names = stale(write=not check)
    for name in names:
        sys.stdout.write(f"docs/{name} {'is stale: run `make docs`' if check else 'was written'}\n")
    return int(check and bool(names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
