"""What docs/feeds.md shows to people who publish a market of their own."""

import asyncio
import os
import re
import sys

import jsonschema  # type: ignore[import-untyped]  # it has no stubs here
import msgspec
import pytest
from typer.testing import CliRunner

from compose.local.processes import ROOT
from ingest.__main__ import app
from tasks.events import Depth, Trade
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tests.support.feeds import listening, until
from tests.support.waiting import HANGS_S

SECTION = (ROOT / "docs" / "feeds.md").read_text().partition("## Any other exchange")[2].partition("\n## ")[0]


def schema() -> dict[str, object]:
    printed = CliRunner().invoke(app, ["schema"])
    assert printed.exit_code == 0
    return msgspec.json.decode(printed.output, type=dict[str, object])


async def test_the_publisher_in_the_docs_publishes_events_of_its_venue(nats_url):
    [program] = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    async with listening(nats_url, "market.my-exchange.>") as listener:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, env=os.environ | {"NATS_URL": nats_url}
        )
        assert await asyncio.wait_for(started.wait(), HANGS_S) == 0
        await until(lambda: len(listener.messages) == 2, "both frames")
    for subject, raw in listener.messages:
        jsonschema.validate(msgspec.json.decode(raw), schema())
        event = parse(raw, FrameMetadata(subject, 1, 1))
        assert isinstance(event, Depth | Trade)
        assert (event.venue, event.symbol, event.exchange_id) == ("my-exchange", "BTC/USD", None)
        assert subject == f"market.my-exchange.{event.kind}.BTC%2FUSD"


def test_the_frame_in_the_docs_fits_the_printed_schema():
    [shown] = re.findall(r"^    (\{.*?\})$", SECTION, re.DOTALL | re.MULTILINE)
    frame = msgspec.json.decode(shown, type=dict[str, object])
    jsonschema.validate(frame, schema())
    assert isinstance(parse(shown.encode(), FrameMetadata("market.x", 1, 1)), Trade)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(frame | {"ident": 7}, schema())


def test_every_field_of_every_kind_is_in_the_docs():
    definitions = schema()["$defs"]
    assert isinstance(definitions, dict)
    fields = {name for each in definitions.values() for name in each.get("properties", {})}
    assert {name for name in fields - {"_otel_trace_context"} if f"`{name}`" not in SECTION} == set()
    kinds = {
        each["properties"]["kind"]["const"] for each in definitions.values() if "kind" in each.get("properties", {})
    }
    assert {kind for kind in kinds if f"`{kind}`" not in SECTION} == set()
