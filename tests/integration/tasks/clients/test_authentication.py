"""Logins, certificates and least rights, against servers that insist on them. No secret is in anything that we say."""

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from typing import Any

import pytest

from compose.local.processes import Instance
from compose.local.servers import free_port, start_nats
from tasks.clients.nats_client import NatsClient
from tasks.errors import SettingsError
from tasks.settings import Settings
from tests.support.feeds import envelope, trade, write_recording
from tests.support.servers.guarded_servers import environment, ran
from tests.support.servers.nats_logins import SECRET, Certificates, Login, of_keys, of_passwords
from tests.support.service import Ingest
from tests.support.waiting import HANGS_S, wait_for

LOGINS = of_passwords() | of_keys()
each_login = pytest.mark.parametrize("kind", LOGINS)


class Doors:
    """A NATS server for each text of a configuration file, started when it is first asked for."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._urls: dict[str, str] = {}

    def url(self, text: str) -> str:
        if text not in self._urls:
            name = f"nats-{len(self._urls)}"
            file = self._instance.directory / f"{name}.conf"
            file.write_text(text)
            self._urls[text] = start_nats(self._instance, name, jetstream=False, options=("--config", str(file)))[1]
        return self._urls[text]

    def settings(self, login: Login, given: Mapping[str, str]) -> Settings:
        url = self.url(login.server)
        host = url.partition("//")[2]
        return Settings(**{"nats_url": url} | {name: value.replace("{host}", host) for name, value in given.items()})  # type: ignore[arg-type]  # all of them text


@pytest.fixture(scope="module")
def doors(instance: Instance) -> Doors:
    return Doors(instance)


async def enter(settings: Settings) -> None:
    """Connect, be answered, and leave. Raises what the client raises."""
    client = NatsClient(settings)
    try:
        async with asyncio.timeout(HANGS_S):
            await client.open("test", _ignore, reconnect_time_wait=0)
            await client.flush(int(HANGS_S))
    finally:
        await client.close()


async def _ignore(_: Exception) -> None:
    """A server that resets a connection instead of saying why is asked again."""


async def refusal(settings: Settings) -> str:
    with pytest.raises(SettingsError) as raised:
        await enter(settings)
    return str(raised.value)


@each_login
async def test_nats_lets_us_in_with_each_kind_of_login(doors: Doors, kind: str):
    login = LOGINS[kind]
    await enter(doors.settings(login, login.right))


@each_login
async def test_a_login_that_nats_refuses_is_one_line_without_a_secret(doors: Doors, kind: str):
    login = LOGINS[kind]
    for given in (login.wrong, {}):
        said = await refusal(doors.settings(login, given))
        assert re.fullmatch(r"NATS at nats://\S+ refuses the login \(NATS_URL, or .+\)", said)
        assert SECRET not in said
        assert not [value for name, value in given.items() if name != "nats_user" and value in said]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nats_nkey": f"SU{SECRET}"}, "NATS_NKEY: not the seed of an nkey"),
        ({"nats_nkey": "é"}, "NATS_NKEY: not the seed of an nkey"),
        ({"nats_credentials": SECRET}, "NATS_CREDENTIALS: not the text of a credentials file"),
    ],
)
async def test_a_login_that_is_none_is_one_line_before_anything_is_sent(given: dict[str, str], said: str):
    settings = Settings(nats_url=f"nats://127.0.0.1:{free_port()}", **given)  # type: ignore[arg-type]  # all of them text
    assert (await refusal(settings)).startswith(said)
    assert SECRET not in await refusal(settings)


def with_tls(certificates: Certificates) -> str:
    server, ca = certificates.server, certificates.ca
    return f'tls {{ cert_file: "{server}", key_file: "{server}", ca_file: "{ca}", verify: true }}'


def of_ours(certificates: Certificates) -> dict[str, str]:
    return {
        "nats_tls_ca": certificates.ca,
        "nats_tls_cert": certificates.client,
        "nats_tls_key": certificates.client,
    }


async def test_nats_and_we_show_each_other_certificates(doors: Doors, certificates: Certificates):
    url = doors.url(with_tls(certificates))
    await enter(Settings(nats_url=url, **of_ours(certificates)))  # type: ignore[arg-type]  # all of them text
    await enter(Settings(nats_url=url.replace("tls:", "nats:"), **of_ours(certificates)))  # type: ignore[arg-type]  # the same


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nats_tls_ca": ""}, "shows a certificate that is not to be trusted: "),
        ({"nats_tls_name": "nats.example.org"}, "shows a certificate that is not to be trusted: Hostname mismatch"),
        ({"nats_tls_cert": "", "nats_tls_key": ""}, "does not take our certificate, or the lack of one: "),
    ],
)
async def test_a_certificate_that_is_wrong_or_lacks_is_one_line(doors: Doors, certificates: Certificates, change, said):
    given: dict[str, Any] = of_ours(certificates) | change
    assert said in await refusal(Settings(nats_url=doors.url(with_tls(certificates)), **given))


@pytest.mark.parametrize("asks", ["tls://", "nats_tls_ca"])
async def test_no_password_goes_to_a_server_without_tls_when_tls_is_asked_for(
    doors: Doors, certificates: Certificates, asks: str
):
    login = LOGINS["user"]
    ours: dict[str, Any] = {**login.right, "nats_url": doors.url(login.server)}
    if asks == "tls://":
        ours["nats_url"] = ours["nats_url"].replace("nats:", "tls:")
    else:
        ours["nats_tls_ca"] = certificates.ca
    assert "offers no TLS" in await refusal(Settings(**ours))


def test_a_wrong_password_ends_ingest_and_feeds_with_one_line(doors: Doors, redis_url: str, namespace: str):
    """The doctor has it as a finding, and none of them shows the password."""
    url = doors.url(LOGINS["user"].server).replace("//", f"//us:{SECRET}-another@")
    ours = environment(NATS_URL=url, REDIS_URL=redis_url, NAMESPACE=namespace, LOG_LEVEL="INFO")
    ended = {name: ran(ours, *name.split()) for name in ("ingest", "ingest simulate", "tasks doctor --json")}
    assert {name: done.returncode for name, done in ended.items()} == dict.fromkeys(ended, 1)
    refused = f"NATS at nats://***@{url.rpartition('@')[2]} refuses the login"
    [line] = [line for line in ended["ingest"].stderr.splitlines() if '"error"' in line]
    assert refused in line
    [line] = [line for line in ended["ingest simulate"].stderr.splitlines() if line.startswith("error: ")]
    assert refused in line
    assert re.search(r'"what":"NATS","says":"[^"]+refuses the login', ended["tasks doctor --json"].stdout)
    for done in ended.values():
        assert "Traceback" not in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr


def test_a_subject_we_may_not_read_ends_ingest_and_recorder_with_one_line(
    doors: Doors, redis_url: str, namespace: str, instance: Instance
):
    rights = '{ subscribe: ["_INBOX.>", "ours.>"], publish: ">" }'
    url = doors.url(f'authorization {{ users: [{{ user: us, password: "{SECRET}", permissions: {rights} }}] }}')
    ours = environment(
        NATS_URL=url, NATS_USER="us", NATS_PASSWORD=SECRET, NATS_SUBJECTS="ours.>, Theirs.>", REDIS_URL=redis_url,
        NAMESPACE=namespace, LOG_LEVEL="INFO",
    )  # fmt: skip
    file = instance.directory / "refused.jsonl"
    for program in (["ingest"], ["ingest", "record", str(file)]):
        done = ran(ours, *program)
        assert done.returncode == 1
        assert "NATS does not let this login read Theirs.> (NATS_SUBJECTS, or its rights)" in done.stderr
        assert "Traceback" not in done.stderr
    assert not file.exists()


@pytest.mark.parametrize(
    ("may", "feed", "refused"),
    [
        ('["_INBOX.>", "ingest.status"]', "simulate --symbols BTCUSDT", "binance.btcusdt@"),
        ('["_INBOX.>", "ingest.status"]', "replay", "binance.btcusdt@trade"),
        ('["_INBOX.>", "binance.>"]', "replay", "ingest.status"),
    ],
)
def test_a_subject_we_may_not_publish_ends_a_feed_with_one_line(
    doors: Doors, redis_url: str, namespace: str, instance: Instance, may: str, feed: str, refused: str
):
    url = doors.url(
        f'authorization {{ users: [{{ user: us, password: "{SECRET}", permissions: {{ publish: {may} }} }}] }}'
    )
    ours = environment(NATS_URL=url, NATS_USER="us", NATS_PASSWORD=SECRET, REDIS_URL=redis_url, NAMESPACE=namespace)
    files = (
        [str(write_recording(instance.directory / "one.jsonl", [envelope(trade(1), 1)]))] if feed == "replay" else []
    )
    done = ran(ours, "ingest", *feed.split(), *files)
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: NATS does not let this login publish {refused}")
    assert "permissions violation" not in done.stderr


def test_ingest_whose_login_is_withdrawn_says_so_and_waits_for_it(instance: Instance, redis_url: str, namespace: str):
    file = instance.directory / "rotated.conf"
    file.write_text(LOGINS["user"].server)
    server, url = start_nats(instance, "rotated", jetstream=False, options=("--config", str(file)))
    ours = environment(NATS_URL=url, NATS_USER="us", NATS_PASSWORD=SECRET, REDIS_URL=redis_url, NAMESPACE=namespace)
    with Instance("rotated") as its:
        ingest = Ingest(its, ours)
        ingest.wait_ready()
        file.write_text(LOGINS["user"].server.replace(SECRET, "new"))
        os.kill(server.pid, signal.SIGHUP)
        wait_for(lambda: ingest.get("/ready")[0] == 503, "/ready to say no")
        file.write_text(LOGINS["user"].server)
        os.kill(server.pid, signal.SIGHUP)
        wait_for(ingest.ready, "ingest to be ready again")
        [warning] = ingest.logged("connection lost, retrying")
        log = ingest.process.log.read_text()
    assert (warning["part"], warning["level"]) == ("nats", "warning")
    assert SECRET not in log
