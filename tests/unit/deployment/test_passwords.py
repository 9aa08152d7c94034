from collections.abc import Sequence
from pathlib import Path

import pytest

from compose import passwords
from tests.support.servers.guarded_servers import API_RIGHTS, RIGHTS

NONE: dict[str, str] = {}


@pytest.fixture
def roles(tmp_path: Path) -> Path:
    return folder(tmp_path / "roles")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return folder(tmp_path / "kept")


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def held(directory: Path) -> dict[str, str]:
    return {file.relative_to(directory).as_posix(): file.read_text() for file in directory.rglob("*") if file.is_file()}


def test_what_is_not_given_is_made_up_once_and_stays(kept: Path, roles: Path):
    passwords.write(kept, roles, NONE)
    first = held(kept), held(roles)
    passwords.write(kept, roles, NONE)
    assert (held(kept), held(roles)) == first
    assert len(first[0]["redis"]) == 64
    assert first[0]["flower"].startswith("admin:")


def test_two_stacks_have_different_passwords(kept: Path, roles: Path, tmp_path: Path):
    passwords.write(kept, roles, NONE)
    other = folder(tmp_path / "other")
    passwords.write(other, roles, NONE)
    assert not set(held(kept).values()) & set(held(other).values())


def test_a_given_password_replaces_the_one_that_was_made_up(kept: Path, roles: Path):
    passwords.write(kept, roles, NONE)
    passwords.write(kept, roles, {"redis": "given", "flower": "me:too", "grafana": "mine"})
    of_users = {role: held(kept)[f"{role}_redis"] for role in passwords.RIGHTS}
    users = [
        f"user rs-{role} on >{password} resetkeys resetchannels -@all {passwords.RIGHTS[role]}"
        for role, password in of_users.items()
    ]
    assert held(roles) == {
        "redis/redis": "given",
        "redis/redis.conf": "\n".join(["requirepass given", *users, ""]),
        **{f"{role}/redis_url": f"redis://rs-{role}:{of}@redis:6379/0" for role, of in of_users.items()},
        "flower/flower": "me:too",
        "grafana/grafana": "mine",
    }


def test_those_of_the_release_before_stay_and_each_role_gets_its_own(kept: Path, roles: Path):
    before = {"redis": "r", "redis_url": "redis://:r@redis:6379/0", "flower": "f:f", "grafana": "g"}
    for name, text in before.items():
        (kept / name).write_text(text)
    passwords.write(kept, roles, NONE)
    assert held(kept).items() >= before.items()
    assert held(roles)["redis/redis"] == before["redis"]


def test_no_role_learns_the_password_of_another(kept: Path, roles: Path):
    passwords.write(kept, roles, {"redis": "of-redis", "flower": "me:of-flower", "grafana": "of-grafana"})
    of_users = {f"rs-{role}": held(kept)[f"{role}_redis"] for role in passwords.RIGHTS}
    secrets = of_users | {each: each for each in ("of-redis", "of-flower", "of-grafana")}
    told = {
        role: {name for name, secret in secrets.items() if secret in str(held(roles / role))}
        for role in passwords.ROLES
    }
    assert told == {
        # The server has to know its users.
        "redis": {"of-redis", *of_users},
        "ingest": {"rs-ingest"},
        "worker": {"rs-worker"},
        "research": {"rs-research"},
        "deliver": {"rs-deliver"},
        "flower": {"rs-flower", "of-flower"},
        "grafana": {"of-grafana"},
    }
    assert len(set(secrets.values())) == len(secrets)


@pytest.mark.parametrize(
    ("role", "named"),
    [
        ("ingest", ("ingest", "operator")),
        ("worker", ("worker",)),
        ("research", ("worker", "research")),
        ("deliver", ("deliver",)),
        ("flower", ("flower",)),
    ],
)
def test_a_role_may_do_in_redis_what_the_docs_name(role: str, named: Sequence[str]):
    rights = set[str]().union(*(RIGHTS[each] for each in named)) - {"+client|setinfo"}
    if role == "ingest":
        # Pools may have any name here, and the pattern covers the queues of workers too.
        rights = rights - {f"~rs:celery:{pool}" for pool in ("depth", "trade", "basket", "worker.*")} | {
            "~rs:celery:*",
            *API_RIGHTS,
        }
    assert {"resetkeys", "resetchannels", "-@all", *passwords.RIGHTS[role].split()} == rights


def test_a_role_may_do_it_in_the_namespace_of_the_stack(kept: Path, roles: Path):
    passwords.write(kept, roles, {"namespace": "mine"})
    assert {each.partition(":")[0] for each in held(roles)["redis/redis.conf"].split() if ":" in each} == {
        "%R~mine", "~mine", "&mine",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"redis": "a@b"}, "REDIS_PASSWORD"),
        ({"redis": "a b"}, "REDIS_PASSWORD"),
        ({"redis": "a\n"}, "REDIS_PASSWORD"),
        ({"flower": "nobody"}, "FLOWER_BASIC_AUTH"),
        ({"flower": "me:"}, "FLOWER_BASIC_AUTH"),
        ({"flower": "me:too,him:too"}, "FLOWER_BASIC_AUTH"),
        ({"namespace": "a *"}, "NAMESPACE"),
    ],
)
def test_an_unusable_password_is_refused_by_name_and_writes_nothing(
    kept: Path, roles: Path, given: dict[str, str], names: str
):
    with pytest.raises(ValueError, match=names):
        passwords.write(kept, roles, given)
    assert held(kept) == held(roles) == {}


def test_the_program_tells_a_fault_in_one_line(kept: Path, roles: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "nobody")
    monkeypatch.setattr("sys.argv", ["passwords", str(kept), str(roles)])
    assert passwords.main() == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: FLOWER_BASIC_AUTH: user:password, without blanks, commas and further colons"
    ]
