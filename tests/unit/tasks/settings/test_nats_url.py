"""What NATS_URL says: servers and a login."""

import pytest

from tasks.clients.nats_client import NatsClient
from tasks.errors import SettingsError
from tasks.settings import Settings
from tasks.settings.nats_url import NatsAddress


@pytest.mark.parametrize(
    ("urls", "servers", "login"),
    [
        ("nats://h", ["nats://h:4222"], {}),
        ("h", ["nats://h:4222"], {}),
        ("a:1, b", ["nats://a:1", "nats://b:4222"], {}),
        ("nats://[::1]:5", ["nats://[::1]:5"], {}),
        ("tls://tok%2Fen@h:1", ["tls://h:1"], {"token": "tok/en"}),
        (
            "nats://feed%20er:p%40ss%3Aw%2Frd@127.0.0.1:4222",
            ["nats://127.0.0.1:4222"],
            {"user": "feed er", "password": "p@ss:w/rd"},
        ),
        ("nats://me:a%25b@one:1,nats://two:2", ["nats://one:1", "nats://two:2"], {"user": "me", "password": "a%b"}),
        ("nats://me:x@one,nats://me:x@two", ["nats://one:4222", "nats://two:4222"], {"user": "me", "password": "x"}),
        ("nats://me:@h", ["nats://h:4222"], {"user": "me", "password": ""}),
        ("ws://me:x@h:80/nats", ["ws://h:80/nats"], {"user": "me", "password": "x"}),
        ("ws://a,wss://b", ["ws://a", "wss://b"], {}),
    ],
)
def test_servers_and_login_of_a_url_are_told_apart_and_decoded(urls, servers, login):
    assert NatsAddress.parse(urls) == (tuple(servers), login)


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        ("nats://a,ws://b", "ws:// and wss:// stand together"),
        ("wss://a,b", "ws:// and wss:// stand together"),
        ("nats://a:hunter2@one,nats://b:hunter2@two", "servers of one NATS take one login"),
        ("nats://me:hunter/2@h", "not an address"),
        ("nats://me:hunter?2@h", "not an address"),
        ("nats://me:hunter#2@h", "not an address"),
        ("nats://1?hunter2@h", "not an address"),
        ("http://h", "not an address with nats://, tls://, ws:// or wss://;"),
        ("nats://", "not an address"),
        ("nats://h:0", "not an address"),
    ],
)
def test_what_no_client_could_use_is_refused_without_a_login(urls, said):
    with pytest.raises(ValueError, match=said) as raised:
        NatsAddress.parse(urls)
    assert "hunter" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"nats_url": "ws://h"},
            "NATS_URL: ws:// and wss:// need aiohttp: pip install --require-hashes -r requirements/extras.txt",
        ),
        ({"nats_credentials": "/etc/nats/user.creds"}, "NATS_CREDENTIALS: not the text of a credentials file"),
        (
            {
                "nats_credentials": "-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n"
                "-----BEGIN USER NKEY SEED-----\nSUnone\n------END USER NKEY SEED------"
            },
            "NATS_CREDENTIALS: not the text of a credentials file",
        ),
        ({"nats_nkey": "/etc/nats/seed"}, "NATS_NKEY: not the seed of an nkey (NATS_NKEY_FILE takes its path)"),
    ],
)
def test_what_cant_be_used_is_found_before_anything_is_opened(monkeypatch, given, said):
    monkeypatch.setattr("tasks.clients.nats_options.find_spec", lambda _: None)
    with pytest.raises(SettingsError) as raised:
        NatsClient(Settings(**given))
    assert str(raised.value).startswith(said)


def test_over_websockets_tls_knows_no_other_name(monkeypatch):
    monkeypatch.setattr("tasks.clients.nats_options.find_spec", lambda _: object())
    with pytest.raises(SettingsError, match="NATS_TLS_NAME: over wss://"):
        NatsClient(Settings(nats_url="wss://h", nats_tls_name="other"))
