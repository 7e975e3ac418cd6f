"""The manifests, the units and the image as their files have them."""

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from faxline.contract.sealing.keyring import new_key
from faxline_worker.config.settings import Settings, read_settings
from tests.yaml_files import read_documents, read_yaml

ROOT = Path(__file__).parents[2]
OPS = ROOT / "ops"
KUBERNETES = OPS / "kubernetes"
ROLES = ("dispatcher", "worker", "webhook", "archive", "console")
DEFAULTS = read_settings({"FAXLINE_ACCOUNTS": "default"})
PORTS = {
    "dispatcher": DEFAULTS.metrics.dispatcher_port,
    "worker": DEFAULTS.metrics.worker_port,
    "webhook": DEFAULTS.metrics.webhook_port,
    "archive": DEFAULTS.metrics.archive_port,
    "console": DEFAULTS.metrics.console_port,
}
SERVED = {"webhook": DEFAULTS.webhook.port, "console": DEFAULTS.console.port}
"""What a part serves besides. There its event loop answers the probes; no traffic comes before it listens."""
USER = 10001
SECRETS = {
    "redis": "redis://ROLE:password@redis:6379/0",
    "token": "the token",
    "secrets": '["the secret"]',
    "keys": new_key("first"),
    "archive-url": "postgresql+psycopg://faxline:password@postgresql/faxline",
    "console-database": "postgresql+psycopg://faxline:password@postgresql/console",
    "signing": "a key in PEM",
}
"""What the files hold, by a part of their names."""
MANIFESTS = {path: read_documents(path) for path in sorted(KUBERNETES.rglob("*.yaml"))}
KUSTOMIZATIONS = {path: found[0] for path, found in MANIFESTS.items() if path.name == "kustomization.yaml"}
OBJECTS = [
    document
    for path, found in MANIFESTS.items()
    for document in found
    if path.name not in {"kustomization.yaml", "prometheus-adapter.yaml"}
]
COMPOSE = read_yaml(OPS / "compose.yaml")


class Unit:
    """A unit of systemd, in which a name may come several times."""

    def __init__(self, path: Path) -> None:
        self.lines = [line for line in path.read_text().splitlines() if "=" in line and line[0] != "#"]

    def all(self, name: str) -> list[str]:
        return [line.split("=", 1)[1] for line in self.lines if line.split("=", 1)[0] == name]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value


def unit(role: str) -> Unit:
    return Unit(OPS / f"systemd/faxline-{role}.service")


@dataclass(frozen=True)
class Process:
    """How one manner of deployment runs one part."""

    role: str
    environment: dict[str, str]
    grace: float
    manner: str

    def __str__(self) -> str:
        return f"{self.manner}-{self.role}"


def of_kind(kind: str) -> dict[str, Any]:
    return {document["metadata"]["name"]: document for document in OBJECTS if document["kind"] == kind}


def pod(role: str) -> dict[str, Any]:
    spec: dict[str, Any] = of_kind("Deployment")[f"faxline-{role}"]["spec"]["template"]["spec"]
    return spec


def patched(role: str, component: str = "keys") -> dict[str, Any]:
    """A pod with a component whose patches only add, such as that of the sealing keys."""
    spec = copy.deepcopy(pod(role))
    for patch in KUSTOMIZATIONS[KUBERNETES / f"components/{component}/kustomization.yaml"]["patches"]:
        if re.fullmatch(patch["target"]["name"], f"faxline-{role}"):
            for step in yaml.safe_load(patch["patch"]):
                *way, last = step["path"].removeprefix("/spec/template/spec/").split("/")
                assert (step["op"], last) == ("add", "-")
                place: Any = spec
                for name in way:
                    place = place[int(name) if isinstance(place, list) else name]
                place.append(step["value"])
    return spec


EACH_ROLE = pytest.mark.parametrize("role", ROLES)


def settings_of(process: Process, folder: Path) -> Settings:
    """The settings that a process reads, its secret files being in the folder."""
    environment = dict(process.environment)
    for name, path in environment.items():
        if name.endswith("_FILE"):
            (text,) = (text for part, text in SECRETS.items() if part in Path(path).name)
            file = folder / Path(path).name
            file.write_text(text.replace("ROLE", process.role))
            environment[name] = str(file)
    return read_settings(environment)
