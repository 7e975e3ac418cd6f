"""The rows of a mailing: what each of them becomes, and what is wrong with the others."""

import redis

from tests.consoles import Console, shown
from tests.hostile_files import plain_pdf
from tests.redis.faxline_console.test_mailings import draft_of, pushed


def test_a_row_that_names_no_document_is_bad_and_gets_none_of_the_others(
    own_console: Console, redis_client: redis.Redis
) -> None:
    person = own_console.person("clerk")
    rows = "to,file\n+12025550147,smith.pdf\n+12025550148,\n+12025550149,jones.pdf\n"
    documents = [("files", (f"{name}.pdf", plain_pdf(1))) for name in ("smith", "jones", "brown")]
    answer = person.act("/mailings/new", [("csv", ("rows.csv", rows.encode())), *documents], account="north")
    assert "Ready 2 of 3 Bad rows 1" in shown(answer)
    assert "the file is missing" in shown(answer)
    person.act("/mailings/push", draft=draft_of(answer), name="results", bad="leave")
    got = {
        entry["id"]: [file["fileName"] for file in entry["fax"]["faxData"]] for entry in pushed(redis_client)
    }
    assert got == {"results.1": ["smith.pdf"], "results.3": ["jones.pdf"]}
