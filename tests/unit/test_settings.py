"""Settings from the environment."""

import os
from typing import Any

import pytest
from structlog.testing import capture_logs

from tasks import settings
from tasks.doctor_commands import examine
from tasks.errors import SettingsError
from tasks.settings import Settings, load, mask
from tasks.telemetry import tell_hints


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in os.environ:
        monkeypatch.delenv(name)
    load.cache_clear()
    yield
    load.cache_clear()


def refusal() -> list[str]:
    """Give the headline, and the faults in a line each; one fault stands in the headline's line."""
    with pytest.raises(SettingsError) as raised:
        load()
    if not raised.value.faults:
        return str(raised.value).splitlines()
    text = str(raised.value)
    if len(raised.value.faults) == 1:
        text = text.replace(": ", ":\n  ", 1)
    return text.splitlines()


def test_an_empty_environment_gives_the_defaults():
    assert load() == Settings()
    assert load().nats_url == "nats://127.0.0.1:4222"


def test_an_empty_value_counts_as_not_given(monkeypatch):
    monkeypatch.setenv("HTTP_PORT", "")
    assert load().http_port == 8080


def test_a_value_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("HTTP_PORT", "0")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    monkeypatch.setenv("METRICS_STRICT_PORT", "1")
    assert (load().http_port, load().log_level, load().metrics_strict_port) == (0, "DEBUG", True)


def test_the_number_of_a_streams_replicas_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("INGEST_STREAM_REPLICAS", "3")
    assert load().ingest_stream_replicas == 3
    load.cache_clear()
    monkeypatch.setenv("INGEST_STREAM_REPLICAS", "2")
    assert refusal()[1] == "  INGEST_STREAM_REPLICAS: must be 1, 3 or 5, not 2"


@pytest.mark.parametrize("name", ["CELERY_BROKER_URL", "RESULT_BACKEND"])
def test_what_celery_alone_would_read_is_named(monkeypatch, name):
    monkeypatch.setenv(name, "redis://127.0.0.1:6379/15")
    [hint] = load().hints()
    assert hint.startswith(f"{name} (or Celery's command line): not used")
    finding = next(examine())
    assert (finding.sign, finding.says) == ("warning", hint)


def test_every_fault_is_in_one_message(monkeypatch):
    monkeypatch.setenv("HTTP_PORT", "70000")
    monkeypatch.setenv("SIGNAL_MAX_AGE_S", "old")
    monkeypatch.setenv("INGEST_SORCE", "core")
    monkeypatch.setenv("INGEST_COLOUR_OF_THE_SKY", "blue")
    first, *faults = refusal()
    assert first == "the settings can't be used:"
    assert sorted(fault.strip().partition(":")[0] for fault in faults) == [
        "HTTP_PORT",
        "INGEST_COLOUR_OF_THE_SKY",
        "INGEST_SORCE",
        "SIGNAL_MAX_AGE_S",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("INGEST_SORCE", "INGEST_SORCE: there is no such setting; did you mean INGEST_SOURCE?"),
        ("INGEST_COLOUR_OF_THE_SKY", "INGEST_COLOUR_OF_THE_SKY: there is no such setting"),
    ],
)
def test_an_unknown_name_that_begins_with_ingest_is_refused(monkeypatch, name, said):
    monkeypatch.setenv(name, "1")
    assert refusal()[1:] == [f"  {said}"]


@pytest.mark.parametrize(
    ("name", "hints"),
    [
        ("REDIS_ULR", ["REDIS_ULR is not a setting; did you mean REDIS_URL?"]),
        ("SIGNALS_KEPT", ["SIGNALS_KEPT is not a setting; did you mean SIGNALS_KEEP?"]),
        ("EDITOR", []),
        ("HTTP_PROXY", []),
        ("REDIS_URL_FILE", []),
    ],
)
def test_a_near_miss_of_a_name_warns(monkeypatch, tmp_path, name, hints):
    (tmp_path / "secret").write_text("redis://:5")
    monkeypatch.setenv(name, str(tmp_path / "secret"))
    with capture_logs() as logs:
        tell_hints(load())
    assert [(log["log_level"], log["hint"]) for log in logs] == [("warning", hint) for hint in hints]


@pytest.mark.parametrize(
    "value",
    ["signals", "signals.{strategy}.{symbol}", "s.{venue}.{action}"],
)
def test_a_subject_template_of_known_fields_is_taken(monkeypatch, value):
    monkeypatch.setenv("SIGNAL_SUBJECT", value)
    assert load().signal_subject == value


@pytest.mark.parametrize(
    "value",
    [
        "signals.{price}",
        "signals.{}",
        "signals.>",
        "signals..x",
        "signals.*",
        "a b",
        "{strategy",
        "{strategy.x}",
        "{strategy[0]}",
        "{strategy:>9}",
        "{symbol!r}",
    ],
)
def test_a_subject_template_that_makes_no_subject_is_refused(monkeypatch, value):
    monkeypatch.setenv("SIGNAL_SUBJECT", value)
    assert "SIGNAL_SUBJECT" in refusal()[1]


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


@pytest.mark.parametrize(
    "option",
    [
        "socket_timeout=3",
        "socket_connect_timeout=3",
        "protocol=2",
        "health_check_interval=1",
        "ssl_cert_reqs=none",
        "ssl_ca_certs=/x",
        "max_connections=5",
        "password=hunter2",
    ],
)
@pytest.mark.parametrize("url", ["redis://h/0", "rediss://h", "unix:///run/redis.sock", "sentinel://h"])
def test_an_option_that_libraries_read_differently_is_refused(monkeypatch, url, option):
    monkeypatch.setenv("REDIS_URL", f"{url}?{option}")
    assert refusal()[1].startswith(f"  REDIS_URL: takes no option {option.partition('=')[0]}: ")
    assert "hunter2" not in refusal()[1]


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


@pytest.mark.parametrize("value", ["binance.>", ">", "a", "a.*.b", "*", "a.>, b.c"])
def test_subjects_to_listen_to_are_taken(monkeypatch, value):
    monkeypatch.setenv("NATS_SUBJECTS", value)
    assert load().nats_subjects == value


@pytest.mark.parametrize("value", [" ", "a b", "a..b", ".a", "a.", "a.>.b", "a*", "a,", ",", "a.b>"])
def test_subjects_that_nats_does_not_know_are_refused(monkeypatch, value):
    monkeypatch.setenv("NATS_SUBJECTS", value)
    assert refusal()[1].startswith("  NATS_SUBJECTS: must be NATS subjects such as")


@pytest.mark.parametrize(
    "value", ["http://h/stream", "wss://", "wss://h:99999/", "wss://h:0", "wss://h/?streams=x", "h"]
)
def test_an_address_of_the_exchange_that_is_no_websocket_is_refused(monkeypatch, value):
    monkeypatch.setenv("BINANCE_SPOT_URL", value)
    assert refusal()[1].startswith("  BINANCE_SPOT_URL: must be ws://HOST/PATH or wss://HOST/PATH")


def test_a_login_is_read_from_the_file_that_name_file_names(monkeypatch, tmp_path):
    (tmp_path / "seed").write_text("SUSEED\n")
    monkeypatch.setenv("NATS_NKEY_FILE", str(tmp_path / "seed"))
    assert load().nats_nkey == "SUSEED"


@pytest.mark.parametrize("value", ["a:b", "", "x" * 65])
def test_a_namespace_is_a_short_word(monkeypatch, value):
    monkeypatch.setenv("NAMESPACE", value)
    if value:
        assert "NAMESPACE" in refusal()[1]
    else:
        assert load().namespace == "rs"


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


def test_one_redis_serves_for_all_three_unless_it_is_split(monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://one")
    monkeypatch.setenv("LEDGER_URL", "redis://two")
    assert (load().broker, load().results, load().ledger) == ("redis://one", "redis://one", "redis://two")


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


def test_what_is_shown_names_every_setting_and_no_password(monkeypatch):
    for name in settings.SECRETS:
        scheme = "nats" if name.startswith("nats") else "redis"
        monkeypatch.setenv(name.upper(), f"{scheme}://:hunter2@h/0" if name.endswith("_url") else "hunter2")
    secrets: dict[str, Any] = {name: os.environ[name.upper()] for name in settings.SECRETS}
    secret = Settings.model_construct(**secrets)
    shown = secret.shown()
    assert shown.keys() == {name.upper() for name in Settings.model_fields}
    assert "hunter2" not in str(shown)


def test_every_setting_is_described():
    assert all(field.description for field in Settings.model_fields.values())
