"""Addresses of Sentinels, and the clients that are made of them."""

import ssl

import pytest

from tasks.redis_clients import connect, connect_async
from tasks.sentinels import Sentinels, for_celery
from tasks.settings import Settings


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
def test_each_part_is_given_the_password_and_the_database_of_the_one_that_has_them(url: str, whole: str):
    assert Sentinels.parse(url).url == whole
    assert Sentinels.parse(whole).url == whole


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
    ],
)
def test_what_celery_would_read_otherwise_is_refused(url: str):
    with pytest.raises(ValueError, match=r"Sentinels|number|[Pp]ort") as raised:
        Sentinels.parse(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("make", [connect, connect_async])
def test_a_client_asks_for_the_named_master_and_logs_in_there_and_not_at_the_sentinels(make):
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
def test_over_tls_sentinels_and_master_show_certificates_of_our_ca_and_else_nobody_does(make, *, tls: bool):
    scheme = "sentinels" if tls else "sentinel"
    settings = Settings.model_validate({"redis_url": f"{scheme}://a;{scheme}://b", "redis_tls_ca": __file__})
    pool = make(settings, settings.ledger).connection_pool
    for each in (pool, *(sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels)):
        assert ("SSL" in each.connection_class.__name__) == tls
        assert each.connection_kwargs.get("ssl_ca_certs") == (__file__ if tls else None)
        assert each.connection_kwargs.get("ssl_cert_reqs") == (ssl.CERT_REQUIRED if tls else None)


def test_celery_reads_addresses_of_sentinels_without_tls_and_those_of_servers_as_they_are():
    assert for_celery("sentinels://:pw@a:1/3;sentinels://:pw@b:2/3") == "sentinel://:pw@a:1/3;sentinel://:pw@b:2/3"
    assert [for_celery(url) for url in ("sentinel://a:1/0", "rediss://a/0")] == ["sentinel://a:1/0", "rediss://a/0"]
