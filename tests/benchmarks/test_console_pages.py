"""The benchmark of the console's pages, in its short form."""

import pytest

from tests.benchmarks.console_pages import cases, measure
from tests.benchmarks.console_rig import DOUBTS, Rig
from tests.benchmarks.console_viewers import costs

ARCHIVED, QUEUED = 4000, 400

pytestmark = pytest.mark.slow


def test_each_page_of_the_benchmark_shows_what_was_made_and_live_pages_are_told() -> None:
    with Rig(ARCHIVED, QUEUED) as rig:
        sizes = {(case.page, case.department): measure(rig, case, 1).size for case in cases(ARCHIVED)}
        with rig.person("operator") as person:
            attention = person.client.get("/attention").text
            ended = person.client.get("/faxes?q=state:failed").text
        (cost,) = costs(rig, ["what needs attention"], [2], 6)
    assert attention.count("/doubts/") >= DOUBTS
    assert ended.count('class="pick"') == 50
    assert sizes["faxes, a later page", False] > 2 * sizes["faxes, a number nobody faxed", False]
    assert cost.commands > 0
