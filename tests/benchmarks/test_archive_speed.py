"""The benchmark of the archive's writer, in its short form."""

import pytest

from tests.benchmarks.archive_speed import measure


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("sealed", [False, True])
def test_the_benchmark_of_the_writer_archives_every_event(kind: str, *, sealed: bool) -> None:
    assert measure(kind, 20, sealed=sealed) > 0
