"""The command `faxline-worker archive`."""

from enum import StrEnum
from typing import Annotated

import typer


class Action(StrEnum):
    """What the command does."""

    RUN = "run"
    MIGRATE = "migrate"


def archive(
    action: Annotated[
        Action, typer.Argument(help="run, or migrate: only bring the schema up to date, and end.")
    ] = Action.RUN,
) -> None:
    """Copy what happens into the archive's database. Any number may run: one works, the others take over."""
    from faxline_archive import process  # noqa: PLC0415 - SQLAlchemy and Alembic take half a second

    if action is Action.MIGRATE:
        process.upgrade()
    else:
        process.archive()
