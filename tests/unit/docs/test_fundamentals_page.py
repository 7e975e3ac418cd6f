"""docs/fundamentals.md shows the tests of tests/fundamentals as they are."""

from tests.fundamentals.page import FOLDER, MARKED, PAGE, quoted


def test_the_page_of_the_fundamentals_quotes_every_test_as_it_stands() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert quoted(page) == page, "run `make fundamentals`"
    assert {name for _, name, _ in MARKED.findall(page)} == {file.name for file in FOLDER.glob("test_*.py")}
