"""`python -m faxline_boards FOLDER`: write every dashboard's JSON into a folder."""

import sys
from pathlib import Path

from faxline_boards.files import files


def main() -> None:
    """Write the dashboards, and remove files of dashboards that no longer exist."""
    folder, wanted = Path(sys.argv[1]), files()
    for old in folder.rglob("*.json"):
        if str(old.relative_to(folder)) not in wanted:
            old.unlink()
    for name, content in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


if __name__ == "__main__":
    main()
