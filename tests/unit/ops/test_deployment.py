"""The image, the manifests and the units, held against the code, against schemas, and against each other."""

import copy
import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from faxline.contract.environment import PREFIX
from faxline.contract.sealing.keyring import new_key
from faxline_worker.config import account_files
from faxline_worker.config.requirements import check_requirements
from faxline_worker.config.settings import Settings, read_settings
from faxline_worker.config.source import SettingsError
from tests.yaml_files import read_documents, read_yaml

ROOT = Path(__file__).parents[3]
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


def literals(generators: list[dict[str, Any]]) -> dict[str, str]:
    return dict(text.split("=", 1) for generator in generators for text in generator["literals"])


MANIFESTS = {path: read_documents(path) for path in sorted(KUBERNETES.rglob("*.yaml"))}
KUSTOMIZATIONS = {path: found[0] for path, found in MANIFESTS.items() if path.name == "kustomization.yaml"}
OBJECTS = [
    document
    for path, found in MANIFESTS.items()
    for document in found
    if path.name not in {"kustomization.yaml", "prometheus-adapter.yaml"}
]
BASE = literals(KUSTOMIZATIONS[KUBERNETES / "base/kustomization.yaml"]["configMapGenerator"])
EXAMPLE = literals(KUSTOMIZATIONS[KUBERNETES / "overlays/example/kustomization.yaml"]["configMapGenerator"])
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


def container(role: str) -> dict[str, Any]:
    (only,) = pod(role)["containers"]
    assert isinstance(only, dict)
    return only


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


def test_redis_in_compose_has_the_users_and_no_password_of_all() -> None:
    redis = COMPOSE["services"]["redis"]
    text = " ".join(redis["command"])
    assert "aclfile /run/secrets/redis_users" in text
    assert "requirepass" not in text
    assert COMPOSE["secrets"]["redis_users"] == {"file": "./secrets/users.acl"}


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


def test_the_consoles_unit_keeps_its_database_in_a_folder_of_its_own() -> None:
    own = unit("console")
    pairs = dict(text.split("=", 1) for text in own.all("Environment"))
    folder = pairs[f"{PREFIX}CONSOLE__DATABASE"].removeprefix("sqlite:///").rpartition("/")[0]
    assert folder == f"/var/lib/{own.one('StateDirectory')}"


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


@EACH_ROLE
def test_a_unit_runs_its_part_and_loads_the_secrets_that_its_variables_point_to(role: str) -> None:
    own = unit(role)
    assert own.one("ExecStart") == f"/opt/faxline/bin/faxline-worker {role}"
    loaded = {f"%d/{text.split(':')[0]}" for text in own.all("LoadCredential")}
    pairs = dict(text.split("=", 1) for text in own.all("Environment"))
    assert {value for name, value in pairs.items() if name.endswith("_FILE")} == loaded
    wanted = Unit(OPS / "systemd/faxline.target").one("Wants").split()
    assert (f"faxline-{role}.service" in wanted) is (role != "console")  # enabled where people need it
    assert own.one("PartOf") == own.one("WantedBy") == "faxline.target"


@EACH_ROLE
def test_a_unit_is_hardened_and_signals_the_main_process_alone(role: str) -> None:
    own = unit(role)
    assert own.one("KillMode") == "mixed"  # a dispatcher ends its readers of PDFs itself
    assert own.one("Restart") == "on-failure"
    assert own.one("ProtectSystem") == "strict"
    assert own.one("CapabilityBoundingSet") == ""
    for name in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome"):
        assert own.one(name) == "yes"


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


@EACH_ROLE
def test_systemd_restarts_a_part_whose_loop_stands_still(role: str) -> None:
    assert float(unit(role).one("WatchdogSec")) > DEFAULTS.stall.total_seconds()
    assert unit(role).one("NotifyAccess") == "main"
    assert unit(role).one("Restart") == "on-failure"
