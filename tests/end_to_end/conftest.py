"""Every run of the real processes is searched for what nobody may find in what they show."""

from collections.abc import Iterator
from types import TracebackType

import pytest

from faxline_worker.local import Local
from tests.stage.marks import logged, marks_in, shown


@pytest.fixture(autouse=True, scope="session")
def nothing_leaks() -> Iterator[None]:
    """Search each `Local` when it ends; the test that used it fails where a mark is found."""
    leave = Local.__exit__

    def searched(
        local: Local,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        found = shown(local) if error is None else {}
        leave(local, kind, error, trace)
        if error is None:
            assert marks_in(found | logged(local)) == []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Local, "__exit__", searched)
        yield
