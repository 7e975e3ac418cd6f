"""The doctor tells why the last webhooks of an account were refused, and what to do about it."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from faxline.contract.check import Check, Result
from faxline.doctor.refused_webhooks import refused_webhooks
from faxline.reading.processes import Process, ProcessState, WebhooksSeen
from faxline_worker.ifax.webhook_access import REFUSALS, Refusal


def process(silent: float = 0.0, **seen: WebhooksSeen) -> Process:
    return Process(
        role="webhook",
        name="h:1:a",
        host="h",
        pid=1,
        version="1",
        since=datetime.now(UTC),
        silent=silent,
        state=ProcessState.WORKING,
        webhooks=seen,
    )


def checks(*processes: Process) -> list[Check]:
    return list(refused_webhooks(processes, ["default", "other"]))


def test_a_new_user_is_told_what_to_set() -> None:
    (found,) = checks(process(default=WebhooksSeen("no_proof", 3, 12.0, None)))
    assert (found.name, found.result) == ("webhooks of default", Result.WARN)
    assert found.text.startswith(
        "the last 3 of account default were refused, 12 s ago, and none was let in yet: they came without "
        "the header X-iFax-Signature"
    )
    assert "set FAXLINE_ACCOUNTS__DEFAULT__WEBHOOK_BASIC" in found.text


@pytest.mark.parametrize("reason", REFUSALS)
def test_each_reason_has_words_of_its_own(reason: Refusal) -> None:
    assert reason in get_args(Refusal)
    (found,) = checks(process(other=WebhooksSeen(reason, 1, 100.0, 4000.0)))
    start = "the last of account other was refused, 2 min ago, and one was let in 1 h ago: "
    assert found.text.startswith(start)

    assert "FAXLINE_ACCOUNTS__OTHER__WEBHOOK_" in found.text
    assert reason not in found.text


@pytest.mark.parametrize(
    "processes",
    [
        [process(default=WebhooksSeen(None, 0, None, 3.0))],
        [
            process(default=WebhooksSeen("no_proof", 3, 9, None)),
            process(default=WebhooksSeen(None, 0, None, 3)),
        ],
        [process(60.0, default=WebhooksSeen("no_proof", 3, 12.0, None))],
        [process(nobody=WebhooksSeen("no_proof", 3, 12.0, None))],
        [process()],
    ],
)
def test_nothing_is_told_where_a_webhook_was_let_in_since_by_any_process(processes: list[Process]) -> None:
    assert checks(*processes) == []


def test_a_reason_of_a_newer_version_is_told_as_it_is() -> None:
    (found,) = checks(process(default=WebhooksSeen("wrong_star_sign", 1, 1.0, None)))
    assert "wrong_star_sign; look at the webhook's log" in found.text
