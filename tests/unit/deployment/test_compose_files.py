"""What the Compose files promise, read from them as they stand."""

import re
from typing import Any

import pytest
import yaml

from compose import passwords
from compose.local.processes import ROOT
from tasks.settings import SECRETS, Settings

TEXT = (ROOT / "compose" / "stack.yaml").read_text()
STACK: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
SETTINGS = {name.upper() for name in Settings.model_fields} | {f"{name.upper()}_FILE" for name in SECRETS}
#: Read by what is not ours, or by compose/passwords.py.
OTHERS = {"GOMEMLIMIT", "REDIS_PASSWORD", "FLOWER_BASIC_AUTH", "GRAFANA_PASSWORD", "OTEL_EXPORTER_OTLP_ENDPOINT"}
#: Settings that the containers get from the files, not from who starts them.
#: Workers keep the port of the default: it is not published.
FIXED = {
    # The stack's own servers want no login or certificate but what the addresses hold.
    *(
        name.upper()
        for name in Settings.model_fields
        if name.startswith(("nats_", "redis_")) and name != "nats_subjects"
    ),
    # A server alone, which `REDIS_APPENDFSYNC` has keep everything.
    "LEDGER_DURABILITY",
    "BROKER_URL",
    "RESULT_URL",
    "LEDGER_URL",
    "LEDGER_URLS",
    "LEDGER_FROM",
    "HTTP_HOST",
    "METRICS_STRICT_PORT",
    "WORKER_HTTP_PORT",
    # An image that brings strategies of its own sets them, with where they are.
    "STRATEGIES_PATH",
    "STRATEGIES_MODULES",
    # A file that would have to be mounted: a file of one's own beside these sets both.
    "EXPECTED_RETURNS_FILE",
    # It is not published either.
    "DELIVER_HTTP_PORT",
}
each_service = pytest.mark.parametrize("name", SERVICES)


def after(name: str) -> set[str]:
    """Return every service that `name` waits for, directly or not."""
    direct = set(SERVICES[name].get("depends_on", ()))
    return direct.union(*map(after, direct))


def test_the_file_at_the_root_only_includes():
    root = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert root.keys() == {"name", "include"}
    assert all((ROOT / each["path"]).is_file() for each in root["include"])


@each_service
def test_a_service_can_do_and_use_no_more_than_it_needs(name: str):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert not service.keys() & {"privileged", "cap_add", "container_name", "pid"}
    assert service.get("user") not in {"root", "0"}


@each_service
def test_a_service_comes_back_and_gets_time_to_stop(name: str):
    restart = "unless-stopped" if name not in {"passwords", "simulate"} else "on-failure"
    assert SERVICES[name]["restart"].partition(":")[0] == restart
    assert SERVICES[name]["stop_grace_period"]


@each_service
def test_a_port_is_published_on_the_loopback_of_the_host_or_not_at_all(name: str):
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+", port)


@pytest.mark.parametrize("name", ["worker", "worker-research"])
def test_workers_can_be_many(name: str):
    assert not SERVICES[name].keys() & {"ports", "container_name", "hostname", "network_mode"}


def test_sweeps_give_way_and_have_a_volume_that_the_image_knows():
    service = SERVICES["worker-research"]
    assert service["profiles"] == ["research"]
    assert "--queues=research" in service["command"]
    assert service["cpu_shares"] < 1024
    directory = service["environment"]["RESEARCH_DIR"]
    assert f"research:{directory}" in service["volumes"]
    assert re.search(rf"^    && install .* {directory}$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_sweeps_read_the_strategies_file_of_ingest():
    for part in ("environment", "volumes"):
        ours = [each for each in SERVICES["worker-research"][part] if "source" in each or each == "STRATEGIES_FILE"]
        assert [each for each in SERVICES["ingest"][part] if each in ours] == ours
        assert len(ours) == 1


@each_service
def test_a_service_says_how_its_health_is_asked_or_that_it_is_not(name: str):
    check = SERVICES[name]["healthcheck"]
    assert check.get("disable") is True or check["test"][0] in {"CMD", "CMD-SHELL"}
    assert "curl" not in str(check)


@each_service
def test_nobody_waits_for_the_health_of_a_service_that_is_never_asked(name: str):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] != "service_healthy" or "test" in SERVICES[other]["healthcheck"]


def test_feed_ingest_workers_and_servers_stop_in_this_order():
    assert "ingest" in after("simulate") & after("live")
    assert {"worker", "nats", "redis"} <= after("ingest")
    assert "redis" in after("worker") & after("flower")
    assert not after("redis") & {"worker", "ingest", "simulate", "live"}


@each_service
def test_every_variable_of_a_container_is_a_setting_or_known_to_its_reader(name: str):
    assert set(SERVICES[name].get("environment", ())) <= SETTINGS | OTHERS


def test_every_setting_reaches_the_process_that_reads_it():
    given = set().union(*(service.get("environment", ()) for service in SERVICES.values())) & SETTINGS
    passed = {name if name.lower() in Settings.model_fields else name.removesuffix("_FILE") for name in given}
    # HTTP_PORT becomes the port on the host.
    assert set(Settings.model_fields) == {name.lower() for name in passed | FIXED | {"HTTP_PORT"}}


@each_service
def test_no_secret_stands_in_the_files(name: str):
    for variable, value in SERVICES[name].get("environment", {}).items():
        assert value is None or variable.endswith("_FILE") or not re.search(r"PASSWORD|AUTH|SECRET", variable)
        assert "@" not in str(value)


def test_each_role_mounts_its_own_passwords_and_no_other():
    mounted = {
        name: [each for each in map(str, service.get("volumes", ())) if each.startswith("passwords")]
        for name, service in SERVICES.items()
    }
    stored = {f"passwords-{role}:/run/passwords-of/{role}" for role in passwords.ROLES}
    assert set(mounted.pop("passwords")) == {"passwords:/run/passwords", *stored}
    assert {name: volumes for name, volumes in mounted.items() if volumes} == {
        name: [f"passwords-{role}:/run/passwords:ro"]
        for name, role in {
            "redis": "redis", "ingest": "ingest", "worker": "worker", "worker-research": "research",
            "deliver": "deliver", "flower": "flower", "grafana": "grafana",
        }.items()
    }  # fmt: skip


def test_the_image_of_passwords_has_every_folder_that_is_mounted_there():
    """A volume takes its owner from the image's folder: else nothing can be written into it."""
    made = re.search(r"install -d -o app .*?(?=\nENV)", (ROOT / "Dockerfile").read_text(), re.DOTALL)
    assert made
    mounted = {each.partition(":")[2] for each in SERVICES["passwords"]["volumes"]}
    assert mounted <= set(made[0].split())


def test_each_of_the_applications_roles_runs_the_same_image():
    others = {"passwords", "redis", "nats", "prometheus", "grafana", "collector"}
    ours = {name for name in SERVICES if name not in others}
    assert {SERVICES[name]["image"] for name in ours} == {"${IMAGE:-realtime-strategies}"}
    assert {SERVICES[name]["pull_policy"] for name in ours} == {"never"}
    assert [SERVICES[name]["build"]["target"] for name in ours if "build" in SERVICES[name]] == ["production"]


def test_redis_and_nats_wait_for_nothing_that_an_upgrade_makes_again():
    for name in ("redis", "nats"):
        for other in after(name):
            assert "IMAGE:-realtime-strategies}" not in SERVICES[other]["image"]
            assert other == "passwords"
    dockerfile = (ROOT / "Dockerfile").read_text()
    stage = dockerfile.partition(" AS passwords\n")[2].partition("\nFROM ")[0]
    assert re.findall(r"^COPY (.+)$", stage, re.MULTILINE) == ["compose/passwords.py /app/passwords.py"]
    assert "VERSION" not in stage


def test_every_variable_of_the_files_has_its_default_in_the_example():
    example = dict(re.findall(r"^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    for name, default in re.findall(r"\$\{([A-Z_]+)(?::-([^}]*))?\}", TEXT):
        assert example[name] == default, name
    for service in SERVICES.values():
        assert {name for name, value in service.get("environment", {}).items() if value is None} <= example.keys()


def test_what_the_images_build_copies_is_there():
    names = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert names
    assert all((ROOT / name).exists() for name in names)


def test_the_image_is_built_from_what_is_locked_and_runs_as_nobody_special():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes --build-constraints requirements/build.txt" in dockerfile
    assert "--hash=sha256:" in (ROOT / "requirements/build.txt").read_text()
    assert re.findall(r"^FROM .* AS (\w+)$", dockerfile, re.MULTILINE)[-1] == "production"
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE)[-1] == "10001:10001"
    assert not re.search(r"^#\s*syntax", dockerfile, re.MULTILINE)
    assert all(command.startswith("[") for command in re.findall(r"^\s*CMD (.+)$", dockerfile, re.MULTILINE))


def test_flower_keeps_what_it_has_seen_behind_its_password():
    command = " ".join(SERVICES["flower"]["command"])
    assert "FLOWER_BASIC_AUTH=" in command
    (kept,) = re.findall(r"--persistent --db=(/\w+)/", command)
    assert f"flower:{kept}" in SERVICES["flower"]["volumes"]
    assert kept in (ROOT / "Dockerfile").read_text()
