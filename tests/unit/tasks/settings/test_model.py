"""Settings from the environment."""

import re

import pytest
from structlog.testing import capture_logs

from tasks.cli.doctor import examine
from tasks.errors import SettingsError
from tasks.settings import Settings, load
from tasks.telemetry.logs import log_hints
from tests.support.refused_settings import refusal

pytestmark = pytest.mark.usefixtures("empty_environment")


def test_an_empty_environment_gives_the_defaults():
    assert load() == Settings()
    assert load().nats_url == "nats://127.0.0.1:4222"


def test_names_of_hosts_are_read_and_anything_else_is_refused(monkeypatch):
    monkeypatch.setenv("HTTP_ALLOWED_HOSTS", " Ingest , *.example.com,")
    assert load().http_allowed_hosts == "ingest,*.example.com"
    for unusable in ("ingest:8080", "http://ingest", "a.*.b", "*.", "a b"):
        load.cache_clear()
        monkeypatch.setenv("HTTP_ALLOWED_HOSTS", unusable)
        [said] = refusal()[1:]
        assert said.startswith("  HTTP_ALLOWED_HOSTS: must be names such as ingest or *.example.com, without ports")
        assert said.endswith(f", not {unusable!r}")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("short", "a token must have at least 16 of the signs"), ("a:" + "x" * 15, "a token must have at least 16"),
        ("x" * 15 + "ü" * 5, "a token must have at least 16"), (f"{'x' * 16} {'y' * 16}", "NAME:TOKEN for each caller"),
        (f"a b:{'x' * 16}", "a token must have"), (f"a:{'x' * 16}\na:{'y' * 16}", "gives one name two tokens"),
        (f"ü:{'x' * 16}", "NAME:TOKEN for each caller"),
    ],
)  # fmt: skip
def test_a_token_of_the_api_that_is_short_or_odd_is_refused_and_not_told(monkeypatch, value, said):
    monkeypatch.setenv("API_TOKEN", value)
    with pytest.raises(SettingsError, match=said) as raised:
        load()
    assert value not in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_tokens_of_the_api_come_from_a_file_a_line_each_and_are_not_shown(monkeypatch, tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"ann:{'x' * 16}\n  bob:{'y' * 16}==\n")
    monkeypatch.setenv("API_TOKEN_FILE", str(file))
    assert load().api_token == f"ann:{'x' * 16} bob:{'y' * 16}=="
    assert "x" * 16 not in str(load().shown())


@pytest.mark.parametrize(
    ("header", "proxies", "said"),
    [
        ("X-User", "", "API_IDENTITY_HEADER and API_TRUSTED_PROXIES go together"),
        ("X User", "10.0.0.0/8", "must be the name of a header"), ("Authorization", "10.0.0.0/8", "every client may send"),
        ("X-User", "10.0.0.1/8", "must be networks"), ("X-User", "proxy", "must be networks"),
    ],
)  # fmt: skip
def test_a_proxy_is_named_by_a_header_and_networks(monkeypatch, header, proxies, said):
    monkeypatch.setenv("API_IDENTITY_HEADER", header)
    monkeypatch.setenv("API_TRUSTED_PROXIES", proxies)
    with pytest.raises(SettingsError, match=said):
        load()


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
        log_hints(load())
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


@pytest.mark.parametrize("value", ["wss://h/depth", "https://", "https://h:0", "https://h/?symbol=x", "h"])
def test_an_address_of_snapshots_that_is_no_web_servers_is_refused(monkeypatch, value):
    monkeypatch.setenv("BINANCE_USDM_REST_URL", value)
    assert refusal()[1].startswith("  BINANCE_USDM_REST_URL: must be http://HOST/PATH or https://HOST/PATH")


@pytest.mark.parametrize("value", ["a:b", "x" * 65, "rs\n"])
@pytest.mark.parametrize(("name", "pattern"), [("NAMESPACE", r"^[\w.-]{1,64}$"), ("INGEST_STREAM", r"^[\w-]{1,64}$")])
def test_a_namespace_and_a_stream_have_short_names(monkeypatch, name, pattern, value):
    monkeypatch.setenv(name, value)
    assert refusal()[1:] == [f"  {name}: must match {pattern}, not {value!r}"]


def test_an_empty_namespace_is_the_default_and_a_long_one_is_taken(monkeypatch):
    monkeypatch.setenv("NAMESPACE", "")
    assert load().namespace == "rs"
    load.cache_clear()
    monkeypatch.setenv("NAMESPACE", "é.-_" * 16)
    assert load().namespace == "é.-_" * 16


def test_no_pattern_counts_letters_of_all_languages():
    """To make the automaton of one takes 20 ms, at each start of each process."""
    rules = [rule for field in Settings.model_fields.values() for rule in field.metadata]
    patterns = [pattern for rule in rules if (pattern := getattr(rule, "pattern", None))]
    assert patterns
    assert [pattern for pattern in patterns if re.search(r"\\w[^\]]*\]\{", pattern)] == []


def test_one_redis_serves_for_all_three_unless_it_is_split(monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://one")
    monkeypatch.setenv("LEDGER_URL", "redis://two")
    assert (load().broker, load().results, load().ledger) == ("redis://one", "redis://one", "redis://two")


def test_every_setting_is_described():
    assert all(field.description for field in Settings.model_fields.values())
