"""The doctor's checks that need the daemon's settings: the settings, iFax, each account's key and webhook.

`faxline doctor` finds them by the entry point `faxline.doctor`, so the producers' library need not know them.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import httpx
import redis

from faxline.contract.check import Check, Result
from faxline.contract.connections.cluster_client import wait_once
from faxline.contract.environment import PREFIX
from faxline.contract.redis_keys import RedisKeys
from faxline.steps.redis_errors import trouble
from faxline_worker.config.account_folders import AccountFolders
from faxline_worker.config.accounts import PLACEHOLDER_TOKEN
from faxline_worker.config.settings import Settings, read_settings
from faxline_worker.config.source import SettingsError
from faxline_worker.doctor.route_check import check_route
from faxline_worker.doctor.token_check import check_token
from faxline_worker.doctor.webhook_check import check_webhook
from faxline_worker.ifax import IfaxClient
from faxline_worker.maintenance.schema_version import layout_check
from faxline_worker.state.redis_clients import RedisUnreachable, broker_client, check_reachable, state_client
from faxline_worker.state.store import Store
from faxline_worker.state.units import MANY

WHO = "doctor"


def examine(
    environment: Mapping[str, str],
    *,
    webhook_url: str | None = None,
    call: bool = True,
    clock: Callable[[], float] = time.time,
) -> list[Check]:
    """Check everything that needs the daemon's settings.

    Args:
        environment: the daemon's variables.
        webhook_url: where iFax reaches the webhook, without /webhooks/ifax. None takes the settings'.
        call: whether to ask iFax about each account's key. Each call takes a permit.
        clock: ours, Unix seconds.
    """
    if not any(name.upper().startswith(f"{PREFIX}ACCOUNTS") for name in environment):
        text = (
            "no FAXLINE_ACCOUNTS__… and no FAXLINE_ACCOUNTS_DIR here: run this where the daemon runs, to "
            "check its key and webhook"
        )
        return [Check("settings", Result.SKIP, text)]
    given = environment if webhook_url is None else {**environment, f"{PREFIX}WEBHOOK__URL": webhook_url}
    try:
        settings = read_settings(given)
    except SettingsError as error:
        return [Check("settings", Result.FAIL, str(error))]
    found, checks = _read_folders(settings)
    text = f"accounts {', '.join(found.accounts)}"
    if len(found.accounts) > MANY:
        text = f"{len(found.accounts)} accounts; set FAXLINE_ACCOUNT to check the key and webhook of one"
        own = {name: account for name, account in found.accounts.items() if name == found.account}
        found = found.model_copy(update={"accounts": own})
    return [Check("settings", Result.OK, text), *checks, *_check_all(found, call=call, clock=clock)]


def _read_folders(settings: Settings) -> tuple[Settings, list[Check]]:
    """The settings with the accounts of FAXLINE_ACCOUNTS_DIR, and what is wrong with its folders."""
    if settings.accounts_dir is None:
        return settings, []
    found = AccountFolders(settings.accounts_dir, settings.accounts).look(at_once=True)
    checks = [
        Check(f"account folder {name}", Result.FAIL, error) for name, error in sorted(found.broken.items())
    ]
    text = f"{len(found.accounts)} in {settings.accounts_dir}"
    accounts = {**settings.accounts, **found.accounts}
    return settings.model_copy(update={"accounts": accounts}), [
        Check("account folders", Result.OK, text),
        *checks,
    ]


def _check_all(settings: Settings, *, call: bool, clock: Callable[[], float]) -> Iterator[Check]:
    yield _check_broker(settings)
    with ExitStack() as stack:
        state = stack.enter_context(state_client(settings.redis_url, name="faxline-doctor"))
        wait_once(state)
        yield from _check_stored(state, settings)
        client = stack.enter_context(
            httpx.Client(timeout=settings.http_timeout.total_seconds(), trust_env=False)
        )
        yield from check_route(settings, clock)
        yield from _check_tokens(stack, state, settings, call=call)
        yield from _check_webhooks(client, settings)


def _check_broker(settings: Settings) -> Check:
    try:
        client = broker_client(settings.broker)
        try:
            check_reachable(client, 0)
        finally:
            client.close()
    except (RedisUnreachable, redis.RedisError, ValueError, OSError) as error:
        return Check("broker", Result.FAIL, f"FAXLINE_BROKER_URL: {error}")
    return Check("broker", Result.OK, "it answers")


def _check_stored(state: Any, settings: Settings) -> Iterator[Check]:
    """Compare the layout and the keys that the dispatchers noted with this version and these settings."""
    for name in settings.accounts:
        try:
            layout, keys = state.hmget(RedisKeys(name).account_state, "layout", "keys")
        except redis.exceptions.NoPermissionError:
            text = "not checked: the Redis user may not read it. Use the dispatcher's FAXLINE_REDIS_URL"
            yield Check(f"layout of {name}", Result.WARN, text)
            continue
        except redis.RedisError as error:
            text = f"{trouble(error)}: look at FAXLINE_REDIS_URL"
            yield Check(f"layout of {name}", Result.FAIL, text)
            continue
        yield layout_check(f"layout of {name}", layout.decode() if layout else None)
        yield _check_sealing(f"sealing of {name}", settings, keys)


def _check_sealing(name: str, settings: Settings, noted: bytes | None) -> Check:
    """Compare FAXLINE_SEALING_KEYS with those of the dispatcher that started last."""
    ours = settings.keyring.ids if settings.keyring is not None else ()
    theirs = tuple(noted.decode().split()) if noted is not None else ours
    lacking = ", ".join(key_id for key_id in theirs if key_id not in ours)
    if lacking:
        text = f"FAXLINE_SEALING_KEYS lacks {lacking}, which the dispatchers use: add it (not to a webhook)"
        return Check(name, Result.FAIL, text)
    if not ours:
        text = (
            "no FAXLINE_SEALING_KEYS: Redis holds documents and requests unsealed (docs/data-protection.md)"
        )
        return Check(name, Result.SKIP, text)
    more = ", ".join(key_id for key_id in ours if key_id not in theirs)
    if more:
        text = f"the dispatcher that started last has no {more}: restart the dispatchers with the same keys"
        return Check(name, Result.WARN, text)
    if noted is not None and ours[0] != theirs[0]:
        text = f"{ours[0]} seals here, {theirs[0]} in the dispatchers: finish the rotation"
        return Check(name, Result.WARN, text)
    return Check(name, Result.OK, f"{ours[0]} seals, {len(ours)} open")


def _check_tokens(stack: ExitStack, state: redis.Redis, settings: Settings, *, call: bool) -> Iterator[Check]:
    if not call:
        yield from (
            Check(f"key of {name}", Result.SKIP, "not checked, as requested") for name in settings.accounts
        )
        return
    ifax = stack.enter_context(
        IfaxClient(
            settings.ifax_url,
            timeout=settings.http_timeout.total_seconds(),
            proxy=settings.proxy,
            trust=settings.trust,
        )
    )
    for name, account in settings.accounts.items():
        token = account.token.get_secret_value() if account.token is not None else PLACEHOLDER_TOKEN
        if token.startswith(PLACEHOLDER_TOKEN):
            text = "this process has none and needs none: run the check where the worker runs"
            yield Check(f"key of {name}", Result.SKIP, text)
            continue
        try:
            yield check_token(Store(state, settings, name, who=WHO), ifax, token)
        except redis.exceptions.NoPermissionError:
            text = "not checked: the Redis user may not take a permit. Use the worker's FAXLINE_REDIS_URL"
            yield Check(f"key of {name}", Result.WARN, text)
        except redis.RedisError as error:
            text = f"no permit, because {trouble(error)}: look at FAXLINE_REDIS_URL"
            yield Check(f"key of {name}", Result.FAIL, text)


def _check_webhooks(client: httpx.Client, settings: Settings) -> Iterator[Check]:
    if not settings.webhook.url and settings.results == "poll":
        yield Check("webhook", Result.SKIP, "not needed: results come by polling (FAXLINE_RESULTS=poll)")
        return
    if not settings.webhook.url:
        text = "not checked: set its public address by FAXLINE_WEBHOOK__URL or --webhook-url"
        yield Check("webhook", Result.SKIP, text)
        return
    for name, account in settings.accounts.items():
        yield from check_webhook(client, settings.webhook.url, name, account.webhook)
