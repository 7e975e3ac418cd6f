"""The units of systemd."""

from faxline.contract.environment import PREFIX
from tests.stage.deployments import DEFAULTS, EACH_ROLE, OPS, Unit, unit


def test_the_consoles_unit_keeps_its_database_in_a_folder_of_its_own() -> None:
    own = unit("console")
    pairs = dict(text.split("=", 1) for text in own.all("Environment"))
    folder = pairs[f"{PREFIX}CONSOLE__DATABASE"].removeprefix("sqlite:///").rpartition("/")[0]
    assert folder == f"/var/lib/{own.one('StateDirectory')}"


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


@EACH_ROLE
def test_systemd_restarts_a_part_whose_loop_stands_still(role: str) -> None:
    assert float(unit(role).one("WatchdogSec")) > DEFAULTS.stall.total_seconds()
    assert unit(role).one("NotifyAccess") == "main"
    assert unit(role).one("Restart") == "on-failure"
