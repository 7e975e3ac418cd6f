"""Compose and the image."""

import json
import re
import shlex
from pathlib import Path

import pytest

from faxline_worker.config.requirements import check_requirements
from tests.stage.deployments import (
    COMPOSE,
    DEFAULTS,
    EACH_ROLE,
    OPS,
    PORTS,
    ROLES,
    ROOT,
    SERVED,
    USER,
    Process,
    settings_of,
)
from tests.yaml_files import read_yaml


def test_redis_in_compose_has_the_users_and_no_password_of_all() -> None:
    redis = COMPOSE["services"]["redis"]
    text = " ".join(redis["command"])
    assert "aclfile /run/secrets/redis_users" in text
    assert "requirepass" not in text
    assert COMPOSE["secrets"]["redis_users"] == {"file": "./secrets/users.acl"}


@EACH_ROLE
def test_compose_asks_each_part_on_its_port_whether_it_lives(role: str) -> None:
    service = COMPOSE["services"][role]
    assert service["command"] == [role]
    port = SERVED.get(role, PORTS[role])
    assert f"http://127.0.0.1:{port}/healthz" in " ".join(service["healthcheck"]["test"])


def test_the_console_of_compose_has_its_own_redis_user_and_listens_where_compose_asks_it(
    tmp_path: Path,
) -> None:
    service = COMPOSE["services"]["console"]
    settings = settings_of(Process("console", service["environment"], 60, "compose"), tmp_path)
    check_requirements(settings, "console")
    assert COMPOSE["secrets"]["redis_console"] == {"file": "./secrets/console.url"}
    port = settings.console.port
    assert f"http://127.0.0.1:{port}/healthz" in " ".join(service["healthcheck"]["test"])
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    folder = settings.console.database.removeprefix("sqlite:///").rpartition("/")[0]
    archive = settings.archive.url.removeprefix("sqlite:///").rpartition("/")[0]
    assert service["volumes"] == [f"console:{folder}", f"archive:{archive}"]
    assert archive in COMPOSE["services"]["archive"]["volumes"][0]


def test_compose_publishes_nothing_to_other_machines() -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert f"127.0.0.1:{DEFAULTS.webhook.port}:{DEFAULTS.webhook.port}" in published
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_container_of_compose_is_not_root_writes_nothing_and_may_nothing(name: str) -> None:
    service = COMPOSE["services"][name]
    assert int(service["user"].split(":")[0]) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    assert "healthcheck" in service


def test_compose_keeps_redis_and_the_dispatcher_away_from_the_outside() -> None:
    reach = {
        name
        for name, service in COMPOSE["services"].items()
        if any(not (COMPOSE["networks"][network] or {}).get("internal") for network in service["networks"])
    }
    assert reach == {"worker", "webhook", "console", "grafana"}


def test_every_file_that_compose_mounts_is_there() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (OPS / source).exists(), source
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])


def test_a_part_waits_until_redis_is_healthy() -> None:
    for role in ROLES:
        assert COMPOSE["services"][role]["depends_on"] == {"redis": {"condition": "service_healthy"}}


def test_prometheus_in_compose_scrapes_every_part_under_the_name_that_the_rules_know() -> None:
    config = read_yaml(OPS / "prometheus/compose.yml")
    found = {
        job["job_name"]: (job["dns_sd_configs"][0]["names"], job["dns_sd_configs"][0]["port"])
        for job in config["scrape_configs"]
    }
    assert found == {f"faxline-{role}": ([role], PORTS[role]) for role in ROLES}


def stages() -> list[list[tuple[str, str]]]:
    """The Dockerfile's instructions, stage by stage."""
    text = re.sub(r"^#.*\n", "", (OPS / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    instructions = [(word.upper(), rest.strip()) for word, rest in (line.split(None, 1) for line in lines)]
    starts = [place for place, (word, _) in enumerate(instructions) if word == "FROM"]
    return [instructions[a:b] for a, b in zip(starts, [*starts[1:], len(instructions)], strict=True)]


def test_the_final_image_is_no_root_and_has_nothing_that_builds() -> None:
    first, last = stages()
    assert first[0][1].endswith(" AS build")
    words = [word for word, _ in last]
    assert words.index("USER") > max(place for place, word in enumerate(words) if word in {"RUN", "COPY"})
    assert dict(last)["USER"] == f"{USER}:{USER}"
    assert json.loads(dict(last)["ENTRYPOINT"]) == ["faxline-worker"]
    assert "PYTHONDONTWRITEBYTECODE=1" in dict(last)["ENV"]
    assert not any("pip" in rest or "apt" in rest for word, rest in last if word == "RUN")
    assert [rest for word, rest in last if word == "COPY"] == ["--from=build /opt/faxline /opt/faxline"]
    assert {int(port) for port in dict(last)["EXPOSE"].split()} == {
        *PORTS.values(),
        DEFAULTS.webhook.port,
        DEFAULTS.console.port,
    }


def test_everything_in_the_image_that_comes_from_an_index_is_hashed() -> None:
    installs = [
        step
        for word, rest in stages()[0]
        if word == "RUN"
        for step in rest.split("&&")
        if " install " in step
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in step or "--no-index" in step for step in installs)


def test_what_the_image_is_made_of_is_there_and_is_let_through() -> None:
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = {source for word, rest in stages()[0] if word == "COPY" for source in shlex.split(rest)[:-1]}
    assert copied == let_through
    assert all((ROOT / source).exists() for source in copied)
