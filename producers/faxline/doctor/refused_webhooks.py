"""Check why the last webhooks of an account were refused, by the heartbeats of the processes."""

from collections.abc import Iterable, Iterator, Mapping

from faxline.contract.check import Check, Result
from faxline.reading.processes import Process

_SIGNED = "the header X-iFax-Signature"
_BASIC = "a user and password"
_PATH = "a secret in the path"
_WHY: Mapping[str, tuple[str, str]] = {
    "nothing_configured": (
        "the account has no secret that could let one in",
        "set {account}__WEBHOOK_SECRETS, __WEBHOOK_BASIC or __WEBHOOK_PATH_SECRETS, and the same at iFax",
    ),
    "no_proof": (
        f"they came without {_SIGNED}, {_BASIC} or {_PATH}",
        (
            "iFax's form has a user and a password: fill them in and set {account}__WEBHOOK_BASIC; or give "
            "iFax the address with one of {account}__WEBHOOK_PATH_SECRETS behind it. If iFax does sign, "
            "something on the way drops the header"
        ),
    ),
    "wrong_signature": (
        f"{_SIGNED} is there and wrong",
        "write iFax's secret into {account}__WEBHOOK_SECRETS; if it is there, bodies are altered on the way",
    ),
    "wrong_basic": (
        f"{_BASIC} came and are wrong",
        "write those of iFax's form into {account}__WEBHOOK_BASIC",
    ),
    "wrong_path_secret": (
        f"{_PATH} came and is wrong",
        "give iFax the address with one of {account}__WEBHOOK_PATH_SECRETS behind it",
    ),
    "unexpected_signature": (
        f"{_SIGNED} came, and no secret for it is set",
        "set {account}__WEBHOOK_SECRETS",
    ),
    "unexpected_basic": (f"{_BASIC} came, and none are set", "set {account}__WEBHOOK_BASIC"),
    "unexpected_path_secret": (f"{_PATH} came, and none is set", "set {account}__WEBHOOK_PATH_SECRETS"),
}


def refused_webhooks(processes: Iterable[Process], accounts: Iterable[str]) -> Iterator[Check]:
    """Warn about each account whose last webhooks were refused. A stranger can cause that, too.

    Args:
        processes: the processes with a heartbeat.
        accounts: the accounts to check.
    """
    running = [process for process in processes if process.role == "webhook" and not process.gone]
    for account in accounts:
        seen = [process.webhooks[account] for process in running if account in process.webhooks]
        let_in = min((one.let_in for one in seen if one.let_in is not None), default=None)
        refused = [
            one for one in seen if one.ago is not None and one.reason and (let_in is None or one.ago < let_in)
        ]
        if not refused:
            continue
        last = min(refused, key=lambda one: one.ago or 0.0)
        why, todo = _WHY.get(last.reason or "", (last.reason or "", "look at the webhook's log"))
        count = sum(one.count for one in refused)
        text = (
            f"the last of account {account} was"
            if count == 1
            else f"the last {count} of account {account} were"
        )
        text += f" refused, {_age(last.ago or 0.0)} ago, and "
        text += f"one was let in {_age(let_in)} ago" if let_in is not None else "none was let in yet"
        fix = todo.replace("{account}", f"FAXLINE_ACCOUNTS__{account.upper()}")
        yield Check(f"webhooks of {account}", Result.WARN, f"{text}: {why}; {fix}")


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
