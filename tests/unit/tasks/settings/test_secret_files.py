"""Addresses with passwords, logins and certificates among the settings: where they come from, and that nobody sees them."""

import os
from typing import Any

import pytest

from tasks import settings
from tasks.settings import Settings, load, mask, without_login
from tests.support.refused_settings import refusal

pytestmark = pytest.mark.usefixtures("empty_environment")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis://:hunter/2@h/0"),
        ("REDIS_URL", "http://:hunter2@h"),
        ("REDIS_URL", "redis://me:hunter?2@h/0"),
        ("REDIS_URL", "redis://me:hunter#2@h/0"),
        ("REDIS_URL", "redis://hunter?2=@h/0"),
        ("LEDGER_URL", "sentinel://:hunter/2@h:1"),
        ("NATS_URL", "nats://me:hunter/2@h:4222"),
        ("NATS_URL", "nats://me:hunter,2@h:4222"),
    ],
)
def test_what_is_no_address_is_refused_without_a_word_of_its_password(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    [fault] = refusal()[1:]
    assert fault.startswith(f"  {name}: not an address")
    assert "hunter" not in fault


SEVERAL = "NATS_TOKEN and NATS_NKEY are logins of different kinds: give one"


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"NATS_TOKEN": "a", "NATS_NKEY": "b"}, SEVERAL),
        (
            {"NATS_URL": "nats://a:b@h", "NATS_TOKEN": "c"},
            "NATS_TOKEN and NATS_URL are logins of different kinds: give one",
        ),
        ({"NATS_USER": "a"}, "NATS_USER and NATS_PASSWORD go together"),
        ({"NATS_PASSWORD": "a"}, "NATS_USER and NATS_PASSWORD go together"),
        ({"NATS_TLS_CERT": __file__}, "NATS_TLS_CERT and NATS_TLS_KEY go together"),
        ({"REDIS_TLS_KEY": __file__}, "REDIS_TLS_CERT and REDIS_TLS_KEY go together"),
        (
            {"LEDGER_URLS": "redis://a redis://b", "NATS_PARTITIONS": "64", "LEDGER_URL": "redis://a"},
            "LEDGER_URL and LEDGER_URLS both say where the ledger is: give one",
        ),
        (
            {"LEDGER_URLS": "redis://a redis://b"},
            "LEDGER_URLS needs NATS_PARTITIONS: a shard with a ledger of its own reads its own frames only",
        ),
        (
            {"LEDGER_URLS": "redis://a:6379 redis://a/0", "NATS_PARTITIONS": "64"},
            "LEDGER_URLS: names one database of a Redis twice: each shard needs one of its own",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_one_line(monkeypatch, given, fault):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert refusal()[1:] == [f"  {fault}"]


def test_a_certificate_that_cant_be_read_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("REDIS_TLS_CA", "/nowhere")
    assert refusal()[1:] == ["  REDIS_TLS_CA: can't read the file: No such file or directory, not '/nowhere'"]


@pytest.mark.parametrize("kind", ["NATS", "REDIS"])
@pytest.mark.parametrize("given", [("CA",), ("CERT", "KEY")])
def test_a_certificate_that_is_none_is_one_clear_line(monkeypatch, kind, given):
    for name in given:
        monkeypatch.setenv(f"{kind}_TLS_{name}", __file__)
    assert refusal()[1].startswith(f"  {kind}_TLS_CA, {kind}_TLS_CERT, {kind}_TLS_KEY: can't be used: ")


def test_a_login_is_read_from_the_file_that_name_file_names(monkeypatch, tmp_path):
    (tmp_path / "seed").write_text("SUSEED\n")
    monkeypatch.setenv("NATS_NKEY_FILE", str(tmp_path / "seed"))
    assert load().nats_nkey == "SUSEED"


def test_a_secret_is_read_from_the_file_that_name_file_names(monkeypatch, tmp_path):
    (tmp_path / "url").write_text("redis://:hunter2@redis:6379/1\n")
    monkeypatch.setenv("BROKER_URL_FILE", str(tmp_path / "url"))
    assert load().broker == "redis://:hunter2@redis:6379/1"


def test_a_secret_in_the_environment_goes_before_its_file(monkeypatch, tmp_path):
    (tmp_path / "url").write_text("redis://from-file")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("REDIS_URL", "redis://from-environment")
    assert load().redis_url == "redis://from-environment"


def test_a_secrets_file_that_is_not_there_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setenv("NATS_URL_FILE", str(tmp_path / "nowhere"))
    assert refusal() == [f"NATS_URL_FILE: can't read {tmp_path / 'nowhere'}: No such file or directory"]


def test_a_secrets_file_that_is_not_text_is_one_clear_line(monkeypatch, tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("NATS_TOKEN_FILE", str(tmp_path / "binary"))
    assert refusal() == [f"NATS_TOKEN_FILE: can't read {tmp_path / 'binary'}: it is not text"]


@pytest.mark.parametrize(
    ("urls", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:hunter2@h:6379/0", "redis://***@h:6379/0"),
        ("rediss://me:hunter2@h/0?ssl_cert_reqs=none", "rediss://***@h/0?ssl_cert_reqs=none"),
        ("nats://token@h:4222", "nats://***@h:4222"),  # a user without a password is a token
        ("nats://a:hunter2@h1:4222,nats://h2:4222", "nats://***@h1:4222,nats://h2:4222"),
        ("redis://:p@ss@h/0", "redis://***@h/0"),
        ("redis://:p/ss@h/0", "redis://***@h/0"),
        ("redis://h/0?password=hunter2&db=1", "redis://h/0?password=***&db=1"),
        ("tls://token@h:4222", "tls://***@h:4222"),
        ("me:hunter2@h:4222,h2:4222", "***@h:4222,h2:4222"),
        ("nats://a:p,w@h1,nats://h2", "nats://***@h1,nats://h2"),
        ("sentinel://:p@h1:1/0;sentinel://:p@h2:2/0", "sentinel://***@h1:1/0;sentinel://***@h2:2/0"),
        ("", ""),
    ],
)
def test_passwords_and_tokens_are_masked(urls, shown):
    assert mask(urls) == shown


LINKS = ("FLOWER_URL", "GRAFANA_URL", "BINANCE_SPOT_REST_URL")


@pytest.mark.parametrize("name", LINKS)
def test_a_password_in_an_address_that_is_no_secret_is_not_shown(monkeypatch, name: str):
    monkeypatch.setenv(name, "https://me:hunter2@h:3000/path")
    assert load().shown()[name] == "https://***@h:3000/path"


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("unusable", ["ftp://me:hunter2@h", "https://me:hunt/er2@h", "https://me:hunter2@h:0", "h"])
def test_an_unusable_address_is_refused_without_its_password(monkeypatch, name: str, unusable: str):
    monkeypatch.setenv(name, unusable)
    [said] = [line for line in refusal() if name in line]
    assert "hunt" not in said
    assert "must be " in said


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://me:hunter2@h:3000/d/a?b=c@d#e", "https://h:3000/d/a?b=c@d#e"),
        ("http://127.0.0.1:5555", "http://127.0.0.1:5555"),
        ("http://h/@", "http://h/@"),
        ("", ""),
    ],
)
def test_a_link_leads_where_it_did_without_its_login(url: str, link: str):
    assert without_login(url) == link


def test_what_is_shown_names_every_setting_and_no_password(monkeypatch):
    for name in settings.SECRETS:
        scheme = "nats" if name.startswith("nats") else "redis"
        monkeypatch.setenv(
            name.upper(), f"{scheme}://:hunter2@h/0" if name.endswith(("_url", "_urls", "_from")) else "hunter2"
        )
    secrets: dict[str, Any] = {name: os.environ[name.upper()] for name in settings.SECRETS}
    secret = Settings.model_construct(**secrets)
    shown = secret.shown()
    assert shown.keys() == {name.upper() for name in Settings.model_fields}
    assert "hunter2" not in str(shown)
