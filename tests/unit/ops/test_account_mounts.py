"""Every role mounts the directory of the accounts: as kustomize renders it, and with Compose."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from faxline_worker.config import account_files
from faxline_worker.config.settings import read_settings
from tests.npm import do_without
from tests.yaml_files import read_yaml

OPS = Path(__file__).parents[3] / "ops"
ROLES = ("dispatcher", "worker", "webhook", "archive", "console")
SECRET_FILES = {"worker": {"token"}, "webhook": {"webhook_secrets"}}
VARIABLE, PLACE = "FAXLINE_ACCOUNTS_DIR", "/run/accounts"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The objects of the example with the component of the accounts, by kustomize itself."""
    if shutil.which("kubectl") is None:
        do_without("kubectl is not on this machine")
    folder = tmp_path_factory.mktemp("overlay").resolve()
    here = Path(os.path.relpath(OPS / "kubernetes", folder))
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [str(here / "overlays/example")],
        "components": [str(here / "components/accounts")],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)],  # noqa: S607 - found on the PATH above
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return list(yaml.safe_load_all(done.stdout))


def deployment(rendered: list[dict[str, Any]], role: str) -> dict[str, Any]:
    (found,) = (
        one for one in rendered if (one["kind"], one["metadata"]["name"]) == ("Deployment", f"faxline-{role}")
    )
    return found


@pytest.mark.parametrize("role", ROLES)
def test_kustomize_gives_each_role_the_directory_with_the_files_that_it_needs(
    rendered: list[dict[str, Any]], role: str
) -> None:
    found = deployment(rendered, role)
    kubernetes_validate.validate(found, "1.32", strict=True)
    spec = found["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert {"name": VARIABLE, "value": PLACE} in container["env"]
    namespace = {"fieldRef": {"fieldPath": "metadata.namespace"}}
    assert {"name": "FAXLINE_DEPLOYMENT", "valueFrom": namespace} in container["env"]
    (mount,) = (mount for mount in container["volumeMounts"] if mount["mountPath"] == PLACE)
    assert mount["readOnly"]
    assert "subPath" not in mount  # such a file would not change
    (volume,) = (volume for volume in spec["volumes"] if volume["name"] == mount["name"])
    sources = [source for one in volume["projected"]["sources"] for source in one.values()]
    files = {item["path"].partition("/")[2] for source in sources for item in source["items"]}
    assert files == {"settings.json"} | SECRET_FILES.get(role, set())
    assert files <= set(account_files.FILES)


def test_what_kustomize_renders_besides_follows_its_schema(rendered: list[dict[str, Any]]) -> None:
    operators = {"monitoring.coreos.com", "keda.sh"}  # whose kinds have no schema here
    own = [one for one in rendered if one["apiVersion"].split("/")[0] not in operators]
    assert len(own) > 10
    for one in own:
        kubernetes_validate.validate(one, "1.32", strict=True)


@pytest.mark.parametrize("role", ROLES)
def test_compose_gives_each_role_the_directory_which_is_a_setting(role: str, tmp_path: Path) -> None:
    more = read_yaml(OPS / "compose.accounts.yaml")
    assert set(more["services"]) == set(ROLES)
    assert set(more["services"]) <= set(read_yaml(OPS / "compose.yaml")["services"])
    service = more["services"][role]
    source, place, mode = service["volumes"][0].split(":")
    assert (source, place, mode) == ("./accounts", PLACE, "ro")
    assert service["environment"] == {VARIABLE: PLACE}
    assert read_settings({VARIABLE: str(tmp_path)}).accounts_dir == tmp_path
