"""Which names a request may call this machine by."""

import socket

import pytest

from tasks.telemetry.allowed_hosts import AllowedHosts

NAMES = ("ingest", "*.example.com", "")


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:8080", "LOCALHOST.", "page.localhost:1", "127.0.0.1", "127.0.0.1:8080", "10.1.2.3:80",
        "[::1]:8080", "[::1]", "ingest", "ingest:8080", "Ingest.:8080", "a.example.com", "a.b.example.com:443",
        "box", "BOX:8080",
    ],
)  # fmt: skip
def test_loopback_addresses_the_own_name_and_given_names_are_ours(host: str):
    assert AllowedHosts(NAMES, "box").allow(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "example.com",
        "notexample.com", "evil.example:8080:80", "ingest.evil.example", "box.evil.example", "", ":8080",
        "user@evil.example", "localhost@evil.example", "[evil.example]", "1.2.3", "worker",
    ],
)  # fmt: skip
def test_every_other_name_is_foreign(host: str):
    assert not AllowedHosts(NAMES, "box").allow(host)


def test_an_asterisk_allows_all_and_the_machine_knows_its_name():
    assert AllowedHosts(("*",)).allow("evil.example")
    assert AllowedHosts().allow(f"{socket.gethostname()}:8080")
