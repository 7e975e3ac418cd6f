"""What the doctor finds with the daemon's settings: they themselves, iFax, each account's key and webhook.

`faxline doctor` finds this by the entry point `faxline.doctor`: the producers' library need not know of it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import httpx
import redis

from faxline.contract.check import Check, Result
from faxline.contract.environment import PREFIX
from faxline.contract.redis_keys import RedisKeys
from faxline_worker.config.accounts import PLACEHOLDER_TOKEN
from faxline_worker.config.settings import Settings, read_settings
from faxline_worker.config.source import SettingsError
from faxline_worker.doctor.route_check import ifax_checks
from faxline_worker.doctor.token_check import key_check
from faxline_worker.doctor.webhook_check import webhook_checks
from faxline_worker.ifax import IfaxClient
from faxline_worker.maintenance.schema_version import layout_check
from faxline_worker.state.redis_clients import RedisUnreachable, broker_client, check_reachable, state_client
from faxline_worker.state.store import Store

WHO = "doctor"


def examine(
    environment: Mapping[str, str],
    *,
    webhook_url: str | None = None,
    call: bool = True,
    clock: Callable[[], float] = time.time,
) -> list[Check]:
    """Look at everything that needs the daemon's settings.

    Args:
        environment: the daemon's.
        webhook_url: where iFax reaches the webhook: what stands before /webhooks/ifax; that of the settings
            when None.
        call: ask iFax about each account's key, which costs a permit each.
        clock: ours, Unix seconds.
    """
    if not any(name.upper().startswith(f"{PREFIX}ACCOUNTS") for name in environment):
        text = (
            "no FAXLINE_ACCOUNTS__… here: run this beside the daemon, to have its key and webhook looked at"
        )
        return [Check("settings", Result.SKIP, text)]
    given = environment if webhook_url is None else {**environment, f"{PREFIX}WEBHOOK__URL": webhook_url}
    try:
        settings = read_settings(given)
    except SettingsError as error:
        return [Check("settings", Result.FAIL, str(error))]
    names = ", ".join(settings.accounts)
    return [Check("settings", Result.OK, f"accounts {names}"), *_looks(settings, call=call, clock=clock)]


def _looks(settings: Settings, *, call: bool, clock: Callable[[], float]) -> Iterator[Check]:
    yield _broker(settings)
    with ExitStack() as stack:
        yield from _stored(stack, settings)
        client = stack.enter_context(
            httpx.Client(timeout=settings.http_timeout.total_seconds(), trust_env=False)
        )
        yield from ifax_checks(settings, clock)
        yield from _keys(stack, settings, call=call)
        yield from _webhooks(client, settings)


def _broker(settings: Settings) -> Check:
    try:
        client = broker_client(settings.broker)
        try:
            check_reachable(client, 0)
        finally:
            client.close()
    except (RedisUnreachable, redis.RedisError, ValueError, OSError) as error:
        return Check("broker", Result.FAIL, f"FAXLINE_BROKER_URL: {error}")
    return Check("broker", Result.OK, "it answers")


def _stored(stack: ExitStack, settings: Settings) -> Iterator[Check]:
    """What the dispatchers noted of the layout and of their keys, against this version and these settings."""
    state = stack.enter_context(state_client(settings.redis_url, name="faxline-doctor"))
    for name in settings.accounts:
        try:
            layout, keys = state.hmget(RedisKeys(name).account_state, "layout", "keys")
        except redis.exceptions.NoPermissionError:
            text = "not allowed to look: use the dispatcher's FAXLINE_REDIS_URL"
            yield Check(f"layout of {name}", Result.WARN, text)
            continue
        except redis.RedisError as error:
            text = f"Redis does not tell it ({type(error).__name__}): look at FAXLINE_REDIS_URL"
            yield Check(f"layout of {name}", Result.FAIL, text)
            continue
        yield layout_check(f"layout of {name}", layout.decode() if layout else None)
        yield _sealing(f"sealing of {name}", settings, keys)


def _sealing(name: str, settings: Settings, noted: bytes | None) -> Check:
    """This part's FAXLINE_SEALING_KEYS against those of the dispatcher that started last."""
    ours = settings.keyring.ids if settings.keyring is not None else ()
    theirs = tuple(noted.decode().split()) if noted is not None else ours
    lacking = ", ".join(key_id for key_id in theirs if key_id not in ours)
    if lacking:
        text = f"FAXLINE_SEALING_KEYS here lacks {lacking}, which dispatchers use; a webhook needs none"
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
        text = f"{ours[0]} seals here, {theirs[0]} there: bring the rotation to its end"
        return Check(name, Result.WARN, text)
    return Check(name, Result.OK, f"{ours[0]} seals, {len(ours)} open")


def _keys(stack: ExitStack, settings: Settings, *, call: bool) -> Iterator[Check]:
    if not call:
        yield from (Check(f"key of {name}", Result.SKIP, "as was asked for") for name in settings.accounts)
        return
    ifax = stack.enter_context(
        IfaxClient(
            settings.ifax_url,
            timeout=settings.http_timeout.total_seconds(),
            proxy=settings.proxy,
            trust=settings.trust,
        )
    )
    state = stack.enter_context(state_client(settings.redis_url, name="faxline-doctor"))
    for name, account in settings.accounts.items():
        token = account.token.get_secret_value() if account.token is not None else PLACEHOLDER_TOKEN
        if token.startswith(PLACEHOLDER_TOKEN):
            text = "this part has none, as it should be: look where the worker runs"
            yield Check(f"key of {name}", Result.SKIP, text)
            continue
        try:
            yield key_check(Store(state, settings, name, who=WHO), ifax, token)
        except redis.exceptions.NoPermissionError:
            text = "not allowed to look, for it takes a permit: use the worker's FAXLINE_REDIS_URL"
            yield Check(f"key of {name}", Result.WARN, text)
        except redis.RedisError as error:
            text = f"Redis gave no permit ({type(error).__name__}): look at FAXLINE_REDIS_URL"
            yield Check(f"key of {name}", Result.FAIL, text)


def _webhooks(client: httpx.Client, settings: Settings) -> Iterator[Check]:
    if not settings.webhook.url and settings.results == "poll":
        yield Check("webhook", Result.SKIP, "none is needed: results come by polling (FAXLINE_RESULTS=poll)")
        return
    if not settings.webhook.url:
        text = "give its public address by FAXLINE_WEBHOOK__URL or --webhook-url to have it looked at"
        yield Check("webhook", Result.SKIP, text)
        return
    for name, account in settings.accounts.items():
        yield from webhook_checks(client, settings.webhook.url, name, account.webhook)
