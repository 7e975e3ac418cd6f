"""The short form of `make fuzz`, with a fixed seed."""

from pathlib import Path

from faxline_chaos.document_fuzzing import run_document_fuzz
from faxline_chaos.fuzzing import run_fuzz
from faxline_local.server_binaries import ServerBinary


def test_the_webhook_answers_no_5xx_and_stores_nothing_unsigned_whatever_it_is_sent(
    server_binary: ServerBinary, tmp_path: Path
) -> None:
    end = run_fuzz(3000, 1, tmp_path, binary=server_binary)
    assert end.wrong() == []
    assert end.stored > 0
    assert {"204", "400", "401", "404", "405", "413"} <= set(end.answers)
    assert {"silent", "half a header", "half a body", "a header byte by byte"} <= set(end.closed)


def test_every_document_ends_in_one_event_and_no_hostile_one_harms_library_or_dispatcher(
    server_binary: ServerBinary, tmp_path: Path
) -> None:
    end = run_document_fuzz(150, 1, tmp_path, binary=server_binary)
    assert end.wrong() == []
    assert {"fax.queued", "bad_document", "too_many_pages"} <= set(end.events)
    assert {"the PDF takes too long to open", "the PDF needs too much memory to open"} <= set(end.counted)
