"""How iFax's webhooks get in, by real processes: a user and password, a secret in the path, no signature."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from faxline import FaxLine
from faxline.doctor.refused_webhooks import refused_webhooks
from faxline_local.processes import wait_for
from faxline_local.stack import Local

pytestmark = pytest.mark.slow

FAXLINE = Path(sys.executable).with_name("faxline")
USER, PATH_SECRET = "ifax:pass:wörd%41", "a-secret-of-the-path-9f3c"
SANDBOX = (
    *("--profile", "field", "--call-seconds", "0.1", "--page-seconds", "0", "--time-scale", "0.003"),
    *("--webhook-basic", "ifax:not-what-is-set", "--webhook-unsigned"),
)


@pytest.fixture(scope="module")
def local(make_local: Callable[..., Local], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("door")
    (folder / "basic").write_text(json.dumps([USER, "ifax:the-old-password"]))
    settings = {
        "ACCOUNTS__DEFAULT__WEBHOOK_BASIC_FILE": str(folder / "basic"),
        "ACCOUNTS__DEFAULT__WEBHOOK_PATH_SECRETS": json.dumps([PATH_SECRET]),
        "ACCOUNTS__DEFAULT__WEBHOOK_SECRETS": "[]",
    }
    with make_local(folder, settings=settings, sandbox=SANDBOX) as running:
        yield running


def refused(line: FaxLine) -> str:
    """What the doctor says of the account's webhooks, by what an operator may read."""
    return " ".join(check.text for check in refused_webhooks(line.processes(), ["default"]))


def test_a_new_user_learns_why_webhooks_are_refused_and_once_that_is_mended_nothing_is_lost(
    local: Local,
) -> None:
    url, form = f"http://127.0.0.1:{local.webhook_port}/webhooks/ifax/default", "accounts/default/webhook"
    wrong = {"basic": "ifax:not-what-is-set", "url": url}
    with FaxLine(local.url_of("operator")) as line, FaxLine(local.url_of("producer")) as pusher:
        for job, mended in (
            ("user", {"basic": USER}),
            ("path", {"basic": "", "url": f"{url}/{PATH_SECRET}"}),
        ):
            local.control("PUT", form, wrong)
            pusher.send(to="+12025550123", files=["https://example.com/a.pdf"], id=job)
            assert wait_for(lambda: "came and are wrong; write those of iFax's form" in refused(line), 30)
            local.control("PUT", form, mended)
            assert line.wait(job, timeout=60).state == "delivered"
            assert wait_for(lambda: not refused(line), 30)
        local.control("PUT", form, {"url": url})
        pusher.send(to="+12025550123", files=["https://example.com/a.pdf"], id="nothing")
        assert wait_for(lambda: "set FAXLINE_ACCOUNTS__DEFAULT__WEBHOOK_BASIC" in refused(line), 30)


def test_the_daemons_doctor_tries_each_proof_at_the_address(local: Local) -> None:
    environment = local.environment() | {"FAXLINE_WEBHOOK__URL": f"http://127.0.0.1:{local.webhook_port}"}
    done = subprocess.run(
        [FAXLINE, "doctor", "--json", "--no-call"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [
        line for line in map(json.loads, done.stdout.splitlines()) if line["check"].endswith("of default")
    ]
    tried = {line["check"]: line["result"] for line in found}
    assert tried["webhooks of default"] == "warn"  # the last ones were refused, above
    assert tried["user of default"] == "ok"
    assert tried["path secret of default"] == "ok"


def test_no_log_no_metric_and_no_answer_shows_a_secret(local: Local) -> None:
    url = f"http://127.0.0.1:{local.webhook_port}/webhooks/ifax/default/{PATH_SECRET}"
    for method in ("GET", "POST", "PUT"):
        for path in (url, f"{url}/more", url.replace("default", "nobody"), url + "?" + PATH_SECRET):
            assert PATH_SECRET not in httpx.request(method, path, trust_env=False).text
    page = httpx.get(
        f"http://127.0.0.1:{local.metrics[local.names('webhook')[0]]}/metrics", trust_env=False
    ).text
    assert 'fax_webhooks_refused_total{account="default",reason="wrong_basic"}' in page
    written = page + "".join(part.log.read_text() for part in local.parts)
    assert PATH_SECRET not in written
    assert "pass:w" not in written
    assert "not-what-is-set" not in written
