"""`python -m faxline.schema entries | events | asyncapi` prints a document as JSON."""

import argparse
import json
import sys

from faxline.schema import DOCUMENTS


def main() -> None:
    """Print the requested document."""
    parser = argparse.ArgumentParser(prog="python -m faxline.schema", description=__doc__)
    parser.add_argument("document", choices=DOCUMENTS)
    name = parser.parse_args().document
    json.dump(DOCUMENTS[name](), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
