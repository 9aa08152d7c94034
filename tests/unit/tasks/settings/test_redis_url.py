"""Addresses of Sentinels, and the clients that are made of them."""

import ssl
from typing import Any

import pytest
import trustme
from celery import Celery
from celery.backends.redis import RedisBackend
from kombu import Connection
from kombu.transport.redis import Channel

from tasks.clients.redis_client import connect, connect_async, connection_options
from tasks.clients.redis_tls import tls_options
from tasks.settings import Settings
from tasks.settings.redis_url import RedisAddress


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("sentinel://a", "sentinel://a:26379/0"),
        ("sentinel://a:1;sentinel://b:2/3", "sentinel://a:1/3;sentinel://b:2/3"),
        ("sentinel://:p%40w@a;sentinel://b/1", "sentinel://:p%40w@a:26379/1;sentinel://:p%40w@b:26379/1"),
        ("sentinel://me:pw@a/0;sentinel://me:pw@b/0", "sentinel://me:pw@a:26379/0;sentinel://me:pw@b:26379/0"),
        ("sentinel://[::1]:5", "sentinel://[::1]:5/0"),
        ("sentinels://:p%40w@a;sentinels://b/1", "sentinels://:p%40w@a:26379/1;sentinels://:p%40w@b:26379/1"),
    ],
)
def test_each_sentinels_url_gets_the_one_login_and_database(url: str, whole: str):
    assert RedisAddress.parse(url).for_celery() == whole.replace("sentinels://", "sentinel://")
    assert RedisAddress.parse(whole) == RedisAddress.parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://",
        "sentinel://a;b:26379",
        "sentinel://a;redis://b",
        "sentinel://a;sentinels://b",
        "sentinel://:secret-1@a;sentinel://:secret-2@b",
        "sentinel://a/1;sentinel://b/2",
        "sentinel://a/x",
        "sentinel://a:port",
        "sentinel://a?master=x",
        "redis://h/x",
        "redis://h/1?db=2",
        "redis://h/-1",
        "unix://run/redis.sock",
        "unix://",
        "unix:///run/redis.sock?db=x",
        "redis+socket:///run/redis.sock",
    ],
)
def test_what_libraries_would_read_differently_is_refused(url: str):
    with pytest.raises(ValueError, match=r"Sentinels|number|address|option|socket") as raised:
        RedisAddress.parse(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://:secret@h", "redis+socket:///run/redis.sock", "secret@h:6379", "secret"])
def test_what_is_no_address_is_told_which_ones_are(url: str):
    with pytest.raises(ValueError, match="with redis://, rediss://, unix://, sentinel:// or sentinels://") as raised:
        RedisAddress.parse(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("make", [connect, connect_async])
def test_a_client_logs_in_at_the_named_master_and_not_at_the_sentinels(make):
    own = {"redis_sentinel_master": "m", "redis_sentinel_password": "of s"}
    settings = Settings.model_validate({"redis_url": "sentinel://me:p%40w@a:1/4;sentinel://b", **own})
    pool = make(settings, settings.ledger, socket_timeout=5).connection_pool
    mine = pool.connection_kwargs
    assert (pool.service_name, mine["username"], mine["password"], mine["db"]) == ("m", "me", "p@w", 4)
    assert mine["socket_timeout"] == 5
    asked = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"], each["password"]) for each in asked] == [
        ("a", 1, "of s"),
        ("b", 26379, "of s"),
    ]


@pytest.mark.parametrize("make", [connect, connect_async])
@pytest.mark.parametrize("tls", [True, False])
def test_with_tls_sentinels_and_master_need_certificates_of_our_ca(tmp_path, make, *, tls: bool):
    """Without TLS no certificate is asked for."""
    ca = str(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(ca)
    scheme = "sentinels" if tls else "sentinel"
    settings = Settings.model_validate({"redis_url": f"{scheme}://a;{scheme}://b", "redis_tls_ca": ca})
    pool = make(settings, settings.ledger).connection_pool
    for each in (pool, *(sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels)):
        assert ("SSL" in each.connection_class.__name__) == tls
        assert each.connection_kwargs.get("ssl_ca_certs") == (ca if tls else None)
        assert each.connection_kwargs.get("ssl_cert_reqs") == (ssl.CERT_REQUIRED if tls else None)


@pytest.mark.parametrize(
    ("url", "celery"),
    [
        ("redis://h", "redis://h:6379/0"),
        ("redis://", "redis://localhost:6379/0"),
        ("redis://h?db=3", "redis://h:6379/3"),
        ("redis://me:p%40s%2Fw@h:1/2", "redis://me:p%40s%2Fw@h:1/2"),
        ("redis://me@h", "redis://me@h:6379/0"),
        ("rediss://:p@[::1]:5/1", "rediss://:p@[::1]:5/1"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix://me:p%40w@/run/a%20b.sock?db=4", "redis+socket://me:p%40w@/run/a%20b.sock?virtual_host=4"),
    ],
)
def test_celery_and_redis_py_are_told_the_same_of_a_url(url: str, celery: str):
    address = RedisAddress.parse(url)
    assert address.for_celery() == celery
    channel: Any = Channel.__new__(Channel)  # made as it should be, it would connect
    channel.connection = Connection(celery).transport
    of_broker = channel._connparams()
    app = Celery(set_as_current=False)
    app.conf.redis_backend_use_ssl = tls_options(Settings(), address) or None
    of_results: Any = RedisBackend(url=celery.removeprefix("redis+"), app=app)
    ours = connect(Settings(redis_url=url), url).connection_pool.connection_kwargs
    for name in ("host", "port", "path", "db", "username", "password"):
        mine = ours.get(name)
        assert of_broker.get(name) == mine, name
        assert of_results.connparams.get(name) == mine, name


@pytest.mark.parametrize("make", [connect, connect_async])
def test_a_client_of_a_socket_is_made_with_what_every_client_is_told(make):
    settings = Settings(redis_url="unix:///run/redis.sock?db=2")
    pool = make(settings, settings.ledger, **connection_options()).connection_pool
    connection = pool.make_connection()
    assert (connection.path, connection.db, connection.socket_timeout) == ("/run/redis.sock", 2, 5)
