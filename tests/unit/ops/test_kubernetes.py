"""The manifests of Kubernetes, held against its schemas and against each other."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from faxline.contract.environment import PREFIX
from faxline_worker.config import account_files
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError
from tests.stage.deployments import (
    EACH_ROLE,
    KUBERNETES,
    KUSTOMIZATIONS,
    OBJECTS,
    OPS,
    PORTS,
    ROLES,
    SERVED,
    USER,
    of_kind,
    patched,
    pod,
)
from tests.yaml_files import read_yaml


def container(role: str) -> dict[str, Any]:
    (only,) = pod(role)["containers"]
    assert isinstance(only, dict)
    return only


@EACH_ROLE
def test_kubernetes_probes_the_right_endpoints_of_the_right_port(role: str) -> None:
    only = container(role)
    assert only["args"] == [role]
    ports = {port["name"]: port["containerPort"] for port in only["ports"]}
    assert ports["metrics"] == PORTS[role]
    for probe, path in (
        ("startupProbe", "/healthz"),
        ("livenessProbe", "/healthz"),
        ("readinessProbe", "/readyz"),
    ):
        port = "http" if role in SERVED else "metrics"
        assert only[probe]["httpGet"] == {"path": path, "port": port}
    service = of_kind("Service")[f"faxline-{role}"]["spec"]
    assert {port["name"]: port["port"] for port in service["ports"]} == ports
    if role in SERVED:
        assert ports["http"] == SERVED[role]


@EACH_ROLE
def test_a_pod_is_not_root_writes_nothing_and_may_nothing(role: str) -> None:
    spec, only = pod(role), container(role)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == USER
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"]["readOnlyRootFilesystem"] is True
    assert only["securityContext"]["allowPrivilegeEscalation"] is False
    assert only["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)


@EACH_ROLE
def test_kubernetes_puts_no_variable_of_its_own_among_the_settings(role: str) -> None:
    own = {f"{PREFIX}WEBHOOK_PORT": "tcp://10.0.0.1:8080"}  # what a Service named faxline-webhook makes
    with pytest.raises(SettingsError, match="WEBHOOK_PORT is not a setting"):
        read_settings({f"{PREFIX}ACCOUNTS__DEFAULT__TOKEN": "t"} | own)
    assert pod(role)["enableServiceLinks"] is False


@pytest.mark.parametrize("made", [pod, patched])
@EACH_ROLE
def test_a_pod_finds_its_secrets_where_its_variables_point(
    role: str, made: Callable[[str], dict[str, Any]]
) -> None:
    spec = made(role)
    (only,) = spec["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in only["volumeMounts"]}
    (secrets,) = (volume["projected"] for volume in spec["volumes"] if "projected" in volume)
    assert secrets["defaultMode"] == 0o440
    files = {
        f"{mounts['secrets']}/{item['path']}"
        for source in secrets["sources"]
        for item in source["secret"]["items"]
    }
    named = {entry["value"] for entry in only["env"] if entry["name"].endswith("_FILE")}
    assert named == files


@EACH_ROLE
def test_a_drain_takes_one_pod_of_a_part_at_a_time(role: str) -> None:
    budget = of_kind("PodDisruptionBudget")[f"faxline-{role}"]["spec"]
    labels = of_kind("Deployment")[f"faxline-{role}"]["spec"]["template"]["metadata"]["labels"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"].items() <= labels.items()


def test_three_dispatchers_never_run_at_once() -> None:
    spec = of_kind("Deployment")["faxline-dispatcher"]["spec"]
    assert spec["replicas"] + spec["strategy"]["rollingUpdate"]["maxSurge"] == 2


def test_only_the_worker_may_reach_the_internet_and_only_the_ingress_what_is_served() -> None:
    policies = of_kind("NetworkPolicy")
    (outside,) = (
        policy
        for policy in policies.values()
        if any("ipBlock" in to for rule in policy["spec"].get("egress", ()) for to in rule["to"])
    )
    assert outside["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "worker"
    for role, port in SERVED.items():
        (inside,) = (
            policy
            for policy in policies.values()
            if any(one.get("port") == port for r in policy["spec"].get("ingress", ()) for one in r["ports"])
        )
        assert inside["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == role
    nothing = policies["faxline-nothing-else"]["spec"]
    assert nothing["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(nothing)
    (metrics,) = policies["faxline-monitoring-to-metrics"]["spec"]["ingress"]
    (ports,) = metrics["ports"]
    assert set(range(ports["port"], ports["endPort"] + 1)) == set(PORTS.values())


@pytest.mark.parametrize("document", OBJECTS, ids=lambda d: f"{d['kind']}-{d['metadata']['name']}")
def test_every_object_of_kubernetes_itself_follows_its_schema_strictly(document: dict[str, Any]) -> None:
    group = document["apiVersion"].split("/")[0]
    if group in {"monitoring.coreos.com", "keda.sh"}:  # kinds of operators, which have no schema here
        assert document["kind"] in {"ServiceMonitor", "PrometheusRule", "ScaledObject"}
    else:
        kubernetes_validate.validate(document, "1.32", strict=True)


def test_a_misspelt_member_of_a_manifest_would_be_noticed() -> None:
    document = json.loads(json.dumps(of_kind("Deployment")["faxline-worker"]))
    document["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(document, "1.32", strict=True)


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: str(path.relative_to(KUBERNETES).parent))
def test_a_kustomization_names_every_manifest_beside_it_and_all_that_it_names_is_there(path: Path) -> None:
    content = KUSTOMIZATIONS[path]
    named = {*content.get("resources", ()), *content.get("components", ())}
    assert all((path.parent / name).exists() for name in named)
    beside = {other.name for other in path.parent.glob("*.yaml")}
    assert beside - {"kustomization.yaml", "prometheus-adapter.yaml"} == {n for n in named if "/" not in n}


@pytest.mark.parametrize(
    ("role", "file"), [("dispatcher", None), ("worker", "token"), ("webhook", "webhook_secrets")]
)
def test_the_component_of_the_accounts_gives_each_role_the_files_that_it_needs(
    role: str, file: str | None
) -> None:
    spec = patched(role, "accounts")
    (only,) = spec["containers"]
    assert {"name": "FAXLINE_ACCOUNTS_DIR", "value": "/run/accounts"} in only["env"]
    (mount,) = [mount for mount in only["volumeMounts"] if mount["mountPath"] == "/run/accounts"]
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == mount["name"]]
    sources = [source for one in volume["projected"]["sources"] for source in one.values()]
    paths = {item["path"] for source in sources for item in source["items"]}
    files = {"settings.json", *([file] if file else [])}
    assert paths == {f"{account}/{name}" for account in ("acme", "beta") for name in files}
    assert {path.partition("/")[2] for path in paths} <= set(account_files.FILES)


def test_the_rules_in_kubernetes_are_those_of_prometheus() -> None:
    rules = {f"faxline-{path.stem}": read_yaml(path) for path in (OPS / "prometheus/rules").glob("*.yaml")}
    assert {name: rule["spec"] for name, rule in of_kind("PrometheusRule").items()} == rules


def test_the_service_monitor_gives_each_part_the_job_that_the_rules_know() -> None:
    spec = of_kind("ServiceMonitor")["faxline"]["spec"]
    (endpoint,) = spec["endpoints"]
    (rule,) = endpoint["relabelings"]
    assert (endpoint["port"], rule["targetLabel"]) == ("metrics", "job")
    assert rule["sourceLabels"] == ["__meta_kubernetes_service_label_app_kubernetes_io_component"]
    for role in ROLES:
        labels = of_kind("Service")[f"faxline-{role}"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        job = re.sub(
            rule["regex"], rule["replacement"].replace("$1", r"\1"), labels["app.kubernetes.io/component"]
        )
        assert job == f"faxline-{role}"


def test_both_autoscalers_go_by_the_same_and_stop_at_the_same() -> None:
    keda = of_kind("ScaledObject")["faxline-worker"]["spec"]
    hpa = of_kind("HorizontalPodAutoscaler")["faxline-worker"]["spec"]
    (trigger,) = keda["triggers"]
    (metric,) = hpa["metrics"]
    adapter = read_yaml(KUBERNETES / "components/hpa/prometheus-adapter.yaml")
    (rule,) = adapter["rules"]["external"]
    assert rule["metricsQuery"] == trigger["metadata"]["query"]
    assert rule["name"]["as"] == metric["external"]["metric"]["name"]
    assert metric["external"]["target"]["averageValue"] == trigger["metadata"]["threshold"]
    assert (hpa["minReplicas"], hpa["maxReplicas"]) == (keda["minReplicaCount"], keda["maxReplicaCount"])
    assert hpa["minReplicas"] >= 1  # receipts are applied by workers
