"""An operator's day by curl alone, on a pipeline that runs: with the ids that the calls before it answered."""

from collections.abc import Iterator

import pytest

from compose.local.stack import Stack
from tests.support.servers import curl
from tests.support.servers.api import TOKEN, ApiCaller
from tests.support.stacks.letters import add_condemned
from tests.support.stacks.pipeline import in_simulated_market
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

#: Ids as the page has them.
LETTER, SIGNAL, VERSION = "1723161600000-0", "0c35cde6-573d-5a10-a495-a12bfbd031eb", "5c1f0e9a3b7d2468"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with in_simulated_market(1, 50, {"API_TOKEN": f"desk:{TOKEN}", "INGEST_SOURCE": "jetstream"}) as stack:
        yield stack


def test_a_letter_is_applied_and_a_signal_explained_by_what_lists_answer(stack: Stack):
    add_condemned(stack, "ADAUSDT")
    api, calls = ApiCaller(stack.http_port), curl.operators_day()
    wait_for(lambda: api.get("/signals?strategy=orderbook_skew&symbol=BTCUSDT").data, "a signal")
    listed = {each.call: each.json["data"] for each in curl.run(stack.http_port, calls[:-4]) if each.status == 200}
    [letters] = [data for call, data in listed.items() if "reason=condemned" in call]
    [signals] = [data for call, data in listed.items() if "/signals?" in call]
    fired = signals[0]["signal"]
    ids = {LETTER: letters[0]["id"], SIGNAL: fired["id"], VERSION: fired["config_version"]}
    retry = next(call for call in calls if "retry" in call)
    retried, version, signal, why, _ = curl.run(stack.http_port, [retry, *calls[-4:]], ids)
    assert (retried.status, retried.json["data"][0]["verdict"]) == (200, "applied")
    assert api.get("/dead-letters?reason=condemned").data == []
    assert signal.json["data"]["signal"]["id"] == fired["id"]
    assert version.json["data"]["config_version"] == fired["config_version"]
    assert (why.json["data"]["verdict"], why.json["data"]["status"]) == ("equal", "sent"), why.json["data"]
    assert why.json["data"]["decision"]["numbers"]
