"""Sinks, against a receiver that answers as Telegram and Discord do, and NATS."""

import json
from contextlib import closing

import msgspec
import nats
import pytest
import redis
from nats.js.api import StreamConfig

from ingest.transport.flush import confirm_published
from tasks.configuration import check
from tasks.deliver.answers import BLOCKED_WAIT_S, HeldUpError, RefusedError
from tasks.deliver.signal_fields import decode
from tasks.deliver.sinks.discord import DiscordSink
from tasks.deliver.sinks.nats import NatsSink
from tasks.deliver.sinks.telegram import TelegramSink
from tasks.deliver.template import Template
from tasks.errors import SettingsError
from tasks.ledger import LedgerKeys
from tasks.ledger.aliases import AliasStore
from tasks.settings import Settings
from tests.support.servers.receiver import Reaction, identified, receiver

TEMPLATE = Template("{action} {symbol}: {rationale}")
WAIT_S = 10.0
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def send(sink, **fields: object) -> None:
    packed = identified(7, **fields)
    try:
        await sink.send(decode(packed), packed)
    finally:
        await sink.close()


def keep_aliases(redis_url: str, namespace: str, **strategies: str) -> None:
    """Have the ledger know strategies by aliases, as ingest does that has read them in its file."""
    tables = {
        "trade": {"kinds": ["trade"], "strategies": {name: {"alias": alias} for alias, name in strategies.items()}}
    }
    with closing(redis.Redis.from_url(redis_url)) as client:
        AliasStore(client, LedgerKeys(namespace).configuration).keep(check({"pools": tables}, "the file"), b"")


def telegram(url: str) -> TelegramSink:
    settings = Settings(
        deliver_telegram_url=url,
        deliver_telegram_token="12:secret",  # noqa: S106 none
        deliver_telegram_chat="-100",
    )
    return TelegramSink(settings, TEMPLATE, WAIT_S)


def discord(url: str) -> DiscordSink:
    return DiscordSink(Settings(deliver_discord_url=f"{url}/api/webhooks/1/secret?thread_id=2"), TEMPLATE, WAIT_S)


async def test_telegram_gets_plain_text_of_a_length_that_it_takes():
    with receiver() as listening:
        await send(telegram(listening.url), rationale="*_[" + "\N{MONEY BAG}" * 5_000)
    [request] = listening.requests
    said = json.loads(request.body)
    assert (request.path, said["chat_id"], "parse_mode" in said) == ("/bot12:secret/sendMessage", "-100", False)
    assert said["text"].startswith("buy BTCUSDT: *_[")
    assert 4_090 <= len(said["text"].encode("utf-16-le")) / 2 <= 4_096


@pytest.mark.parametrize(
    ("status", "description", "error", "wait_s"),
    [
        (429, "Too Many Requests: retry after 3", HeldUpError, 3),
        (400, "Bad Request: chat not found", HeldUpError, BLOCKED_WAIT_S),
        (401, "Unauthorized", HeldUpError, BLOCKED_WAIT_S),
        (403, "Forbidden: bot was kicked", HeldUpError, BLOCKED_WAIT_S),
        (400, "Bad Request: message text is empty", RefusedError, None),
        (502, "Bad Gateway", HeldUpError, None),
    ],
)
async def test_answers_of_telegram_are_understood(status, description, error, wait_s):
    said = {"ok": False, "error_code": status, "description": description}
    said |= {"parameters": {"retry_after": 3}} if status == 429 else {}
    with receiver() as listening:
        listening.always = Reaction(str(status), body=json.dumps(said).encode())
        with pytest.raises(error, match=description) as raised:
            await send(telegram(listening.url))
    assert getattr(raised.value, "wait_s", None) == wait_s
    assert "secret" not in str(raised.value)


async def test_discord_gets_text_without_markup_or_mentions_and_confirms_it():
    with receiver() as listening:
        await send(discord(listening.url), rationale="@everyone [a](https://b) **c** " + "d" * 5_000)
    [request] = listening.requests
    said = json.loads(request.body)
    assert request.path == "/api/webhooks/1/secret?thread_id=2&wait=true"
    assert said["allowed_mentions"] == {"parse": []}
    assert said["content"].startswith(r"buy BTCUSDT: \@everyone \[a\]\(https\://b\) \*\*c\*\* d")
    assert len(said["content"]) == 2_000


async def test_discord_says_to_the_millisecond_how_long_to_wait():
    with receiver() as listening:
        said = b'{"message": "You are being rate limited.", "retry_after": 0.65, "global": false}'
        listening.always = Reaction("429", {"retry-after": "1"}, said)
        with pytest.raises(HeldUpError) as raised:
            await send(discord(listening.url))
    assert raised.value.wait_s == 0.65


async def test_a_receiver_that_is_not_there_holds_signals_up():
    with receiver() as listening:
        url = listening.url
    with pytest.raises(HeldUpError, match="can't be reached"):
        await send(discord(url))


async def test_nats_gets_a_signal_with_its_id_where_no_stream_takes_it(nats_url, namespace):
    client = await nats.connect(nats_url)
    subscription = await client.subscribe(f"{namespace}.>")
    await confirm_published(client)
    settings = Settings(nats_url=nats_url, deliver_nats_subject=f"{namespace}.{{strategy}}.{{symbol}}")
    await send(NatsSink(settings, WAIT_S), symbol="BTC/USD")
    message = await subscription.next_msg(timeout=WAIT_S)
    assert (message.subject, message.data) == (
        f"{namespace}.orderbook_skew.BTC%2FUSD",
        identified(7, symbol="BTC/USD"),
    )
    assert message.headers == {"Nats-Msg-Id": "7"}
    await client.close()


async def test_petrosas_dialect_has_aliases_in_subject_and_intent(nats_url, redis_url, namespace):
    keep_aliases(redis_url, namespace, ticker_velocity="price_velocity")
    client = await nats.connect(nats_url)
    subscription = await client.subscribe(f"{namespace}.>")
    await confirm_published(client)
    settings = Settings(
        nats_url=nats_url,
        redis_url=redis_url,
        namespace=namespace,
        deliver_nats_subject=f"{namespace}.{{strategy}}",
    )
    await send(NatsSink(settings, WAIT_S, "petrosa"), strategy="price_velocity")
    message = await subscription.next_msg(timeout=WAIT_S)
    intent = json.loads(message.data)
    assert message.subject == f"{namespace}.ticker_velocity"
    assert (intent["strategy"], intent["intent_id"]) == ("ticker_velocity", "7")
    assert message.headers == {"Nats-Msg-Id": "7"}
    await client.close()


@pytest.mark.parametrize("revisions", [False, True])
async def test_petrosas_dialect_names_traces_and_if_asked_revisions(nats_url, redis_url, namespace, revisions):
    client = await nats.connect(nats_url)
    subscription = await client.subscribe(f"{namespace}.>")
    await confirm_published(client)
    subject = f"{namespace}.{{strategy}}"
    settings = Settings(nats_url=nats_url, redis_url=redis_url, namespace=namespace, deliver_nats_subject=subject)
    sink = NatsSink(settings, WAIT_S, "petrosa", revisions=revisions)
    packed, beside = identified(7), {"trace": f"{PARENT} a=b", "revision": "srev_a_b"}
    await sink.send(msgspec.structs.replace(decode(packed), **beside), packed)
    await sink.close()
    intent = json.loads((await subscription.next_msg(timeout=WAIT_S)).data)
    assert intent["_otel_trace_context"] == {"traceparent": PARENT, "tracestate": "a=b"}
    assert intent.get("strategy_revision_id") == ("srev_a_b" if revisions else None)
    await client.close()


def test_revisions_go_with_petrosas_dialect_alone():
    with pytest.raises(SettingsError, match="--revisions goes with --dialect petrosa"):
        NatsSink(Settings(deliver_nats_subject="x"), WAIT_S, revisions=True)


async def test_petrosas_dialect_waits_for_aliases_that_cannot_be_read(nats_url, redis_url, namespace):
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.hset(LedgerKeys(namespace).configuration, "aliases", "{broken")
    settings = Settings(
        nats_url=nats_url, redis_url=redis_url, namespace=namespace, deliver_nats_subject="x.{strategy}"
    )
    with pytest.raises(HeldUpError, match="the ledger's aliases can't be read"):
        await send(NatsSink(settings, WAIT_S, "petrosa"))


async def test_a_stream_confirms_a_signal_and_drops_its_repeats(nats_url, namespace):
    client = await nats.connect(nats_url)
    stream = client.jetstream()
    await stream.add_stream(StreamConfig(name=namespace, subjects=[f"{namespace}.>"], max_msg_size=1_000))
    settings = Settings(nats_url=nats_url, deliver_nats_subject=f"{namespace}.{{symbol}}")
    for _ in range(2):
        await send(NatsSink(settings, WAIT_S))
    assert (await stream.stream_info(namespace)).state.messages == 1
    with pytest.raises(RefusedError):
        await send(NatsSink(settings, WAIT_S), rationale="long" * 1_000)
    await stream.delete_stream(namespace)
    await client.close()


async def test_a_nats_that_is_not_there_holds_signals_up():
    settings = Settings(nats_url="nats://127.0.0.1:1", deliver_nats_subject="a.{symbol}")
    with pytest.raises(HeldUpError, match="NATS_URL"):
        await send(NatsSink(settings, WAIT_S))


@pytest.mark.parametrize(
    ("make", "missing"),
    [
        (lambda: TelegramSink(Settings(), TEMPLATE, WAIT_S), "DELIVER_TELEGRAM_TOKEN"),
        (lambda: DiscordSink(Settings(), TEMPLATE, WAIT_S), "DELIVER_DISCORD_URL"),
        (lambda: NatsSink(Settings(), WAIT_S), "DELIVER_NATS_SUBJECT"),
    ],
)
def test_a_setting_that_is_missing_is_named(make, missing):
    with pytest.raises(SettingsError, match=missing):
        make()
