"""What each deployment gives a part: settings, secrets, ports and time to end, held against the code."""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faxline.contract.environment import PREFIX
from faxline_sandbox.command import sandbox
from faxline_worker.config.requirements import check_requirements
from faxline_worker.config.source import SettingsError
from tests.stage.deployments import (
    COMPOSE,
    DEFAULTS,
    EACH_ROLE,
    KUBERNETES,
    KUSTOMIZATIONS,
    OPS,
    ROLES,
    SECRETS,
    Process,
    patched,
    pod,
    settings_of,
    unit,
)


def literals(generators: list[dict[str, Any]]) -> dict[str, str]:
    return dict(text.split("=", 1) for generator in generators for text in generator["literals"])


BASE = literals(KUSTOMIZATIONS[KUBERNETES / "base/kustomization.yaml"]["configMapGenerator"])
EXAMPLE = literals(KUSTOMIZATIONS[KUBERNETES / "overlays/example/kustomization.yaml"]["configMapGenerator"])


def seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)s", text)
    assert match is not None, text
    return float(match[1])


def processes() -> Iterator[Process]:
    for role in ROLES:
        for manner, settings, spec in (
            ("base", BASE, pod(role)),
            ("example", BASE | EXAMPLE, patched(role)),
        ):
            own = {entry["name"]: entry["value"] for entry in spec["containers"][0]["env"]}
            yield Process(role, settings | own, spec["terminationGracePeriodSeconds"], manner)
        service = COMPOSE["services"][role]
        yield Process(role, service["environment"], seconds(service["stop_grace_period"]), "compose")
        pairs = dict(text.split("=", 1) for text in unit(role).all("Environment"))
        yield Process(role, pairs, float(unit(role).one("TimeoutStopSec")), "systemd")


PROCESSES = list(processes())
EACH = pytest.mark.parametrize("process", PROCESSES, ids=str)


@EACH
def test_every_variable_that_a_part_is_given_is_a_setting_and_it_reads_them(
    process: Process, tmp_path: Path
) -> None:
    settings = settings_of(process, tmp_path)
    assert settings.redis_url == SECRETS["redis"].replace("ROLE", process.role)
    check_requirements(settings, process.role)
    assert set(settings.accounts) == {"default"}


def test_a_mistyped_variable_would_be_noticed(tmp_path: Path) -> None:
    right = PROCESSES[0]
    wrong = replace(right, environment=right.environment | {f"{PREFIX}HTTP_TIMEOUTS": "30"})
    with pytest.raises(SettingsError, match="HTTP_TIMEOUTS is not a setting"):
        settings_of(wrong, tmp_path)


@EACH
def test_only_the_worker_holds_the_token_and_only_the_webhook_its_secrets(
    process: Process, tmp_path: Path
) -> None:
    account = settings_of(process, tmp_path).accounts["default"]
    assert (account.token is not None) is (process.role == "worker")
    assert [s.get_secret_value() for s in account.webhook_secrets] == (
        json.loads(SECRETS["secrets"]) if process.role == "webhook" else []
    )


@EACH
def test_no_secret_stands_in_an_environment(process: Process) -> None:
    for name, value in process.environment.items():
        if name.endswith(("KEYS", "REDIS_URL", "BROKER_URL", "WEBHOOK_SECRETS", "TOKEN")):
            pytest.fail(f"{process}: {name} is no file, but {value}")


@EACH
def test_all_but_webhooks_hold_the_sealing_keys(process: Process, tmp_path: Path) -> None:
    keyring = settings_of(process, tmp_path).keyring
    given = process.role != "webhook" and process.manner != "base"  # in Kubernetes they are a component
    assert (keyring.ids if keyring is not None else ()) == (("first",) if given else ())


@EACH
def test_a_part_whose_file_of_keys_is_empty_seals_nothing(
    process: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SECRETS, "keys", "\n")
    assert settings_of(process, tmp_path).keyring is None


@EACH_ROLE
def test_each_part_is_given_the_url_of_its_own_redis_user(role: str) -> None:
    own = f"{role}.url"
    (credential,) = (text for text in unit(role).all("LoadCredential") if text.startswith("redis-url:"))
    assert Path(credential.partition(":")[2]).name == own
    secret = COMPOSE["services"][role]["environment"][f"{PREFIX}REDIS_URL_FILE"].rpartition("/")[2]
    assert secret in COMPOSE["services"][role]["secrets"]
    assert COMPOSE["secrets"][secret] == {"file": f"./secrets/{own}"}
    (secrets,) = (volume["projected"] for volume in pod(role)["volumes"] if "projected" in volume)
    items = [item for source in secrets["sources"] for item in source["secret"]["items"]]
    assert {"key": own, "path": "redis-url"} in items
    assert role in set(re.findall(r"^user (\w+) ", (OPS / "redis/users.acl").read_text(), re.MULTILINE))


@EACH
def test_whoever_stops_a_part_waits_for_its_calls(process: Process, tmp_path: Path) -> None:
    settings = settings_of(process, tmp_path)
    longest = settings.longest_call if "worker" in process.role else settings.http_timeout
    assert process.grace >= (longest + settings.lease_grace).total_seconds() + 10


@EACH
def test_a_part_listens_on_the_port_that_its_manifest_names(process: Process, tmp_path: Path) -> None:
    settings = settings_of(process, tmp_path)
    assert settings.metrics == DEFAULTS.metrics
    assert settings.webhook.port == DEFAULTS.webhook.port


def test_all_that_runs_on_one_machine_has_a_port_of_its_own_by_default() -> None:
    metrics = [port for name, port in DEFAULTS.metrics if name.endswith("_port")]
    ports = [
        DEFAULTS.webhook.port,
        DEFAULTS.console.port,
        inspect.signature(sandbox).parameters["port"].default,
        *metrics,
    ]
    assert len(metrics) > 4
    assert len(set(ports)) == len(ports)
