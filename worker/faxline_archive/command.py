"""The command `faxline-worker archive`."""

from enum import StrEnum
from typing import Annotated

import typer


class Action(StrEnum):
    """What the command does."""

    RUN = "run"
    MIGRATE = "migrate"
    ACCEPT = "accept"


def archive(
    action: Annotated[
        Action,
        typer.Argument(
            help="run, or end at once: migrate brings the schema up to date; accept, after a restore, has "
            "what the database has now signed, and prints the checkpoints that Redis kept."
        ),
    ] = Action.RUN,
) -> None:
    """Copy what happens into the archive's database. Any number may run: one works, the others take over."""
    from faxline_archive import process  # noqa: PLC0415 - SQLAlchemy and Alembic take half a second

    if action is Action.MIGRATE:
        process.upgrade()
    elif action is Action.ACCEPT:
        process.accept()
    else:
        process.archive()
