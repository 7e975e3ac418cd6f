"""SQLite's locks are the process': nothing else may open and close its file."""

import subprocess
import sys
from pathlib import Path

from faxline_archive.database import open_database


def test_another_program_that_looks_into_a_database_leaves_the_log_of_one_that_has_two_connections(
    tmp_path: Path,
) -> None:
    file = tmp_path / "archive.db"
    engine = open_database(f"sqlite:///{file}", writes=True)
    with engine.begin() as first:
        first.exec_driver_sql("CREATE TABLE some (one INTEGER)")
    with engine.connect() as one:
        one.exec_driver_sql("COMMIT")
        with engine.connect() as another:
            another.exec_driver_sql("COMMIT")
    look = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM some'); c.close()"
    subprocess.run([sys.executable, "-c", look, str(file)], check=True)
    assert Path(f"{file}-wal").exists()
