from pathlib import Path

import pytest

from compose import passwords


def held(directory: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in directory.iterdir()}


def test_what_is_not_given_is_made_up_once_and_stays(tmp_path: Path):
    passwords.write(tmp_path, "", "")
    first = held(tmp_path)
    passwords.write(tmp_path, "", "")
    assert held(tmp_path) == first
    assert len(first["redis"]) == 64
    assert first["flower"].startswith("admin:")


def test_two_stacks_have_different_passwords(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        passwords.write(tmp_path / name, "", "")
    one, two = held(tmp_path / "one"), held(tmp_path / "two")
    assert not set(one.values()) & set(two.values())


def test_a_given_password_replaces_the_one_that_was_made_up(tmp_path: Path):
    passwords.write(tmp_path, "", "")
    passwords.write(tmp_path, "given", "me:too", "mine")
    assert held(tmp_path) == {
        "redis": "given",
        "redis.conf": "requirepass given\n",
        "redis_url": "redis://:given@redis:6379/0",
        "flower": "me:too",
        "grafana": "mine",
    }


@pytest.mark.parametrize(
    ("redis_password", "flower_basic_auth", "names"),
    [
        ("a@b", "", "REDIS_PASSWORD"),
        ("a b", "", "REDIS_PASSWORD"),
        ("a\n", "", "REDIS_PASSWORD"),
        ("", "nobody", "FLOWER_BASIC_AUTH"),
        ("", "me:", "FLOWER_BASIC_AUTH"),
        ("", "me:too,him:too", "FLOWER_BASIC_AUTH"),
    ],
)
def test_an_unusable_password_is_refused_by_name_and_writes_nothing(
    tmp_path: Path, redis_password: str, flower_basic_auth: str, names: str
):
    with pytest.raises(ValueError, match=names):
        passwords.write(tmp_path, redis_password, flower_basic_auth)
    assert held(tmp_path) == {}


def test_the_program_tells_a_fault_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "nobody")
    monkeypatch.setattr("sys.argv", ["passwords", str(tmp_path)])
    assert passwords.main() == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: FLOWER_BASIC_AUTH: user:password, without blanks, commas and further colons"
    ]
