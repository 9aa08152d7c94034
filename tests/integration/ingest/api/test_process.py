"""A running ingest serves the API beside its page, if it has a token; one that stands by does, too."""

import json
from pathlib import Path

import redis

from tasks.ledger import LedgerKeys
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tests.support.events import trade
from tests.support.servers.api import TOKEN, ApiCaller
from tests.support.service import ingest
from tests.support.waiting import wait_for

FILE = """
[pools.trade]
kinds = ["trade"]
[pools.trade.strategies.trade_momentum]
"""


def test_without_a_token_there_is_no_api(nats_url: str, redis_url: str, namespace: str):
    with ingest(nats_url, redis_url, namespace) as running:
        running.wait_ready()
        assert running.get("/api/v1/strategies")[0] == 404


def test_leader_and_standby_answer_and_a_change_is_in_force(
    nats_url: str, redis_url: str, namespace: str, tmp_path: Path, client: redis.Redis, keys: LedgerKeys
):
    file = tmp_path / "strategies.toml"
    file.write_text(FILE)
    more = {"API_TOKEN": TOKEN, "STRATEGIES_FILE": str(file)}
    with ingest(nats_url, redis_url, namespace, **more) as leader:
        leader.wait_ready()
        with ingest(nats_url, redis_url, namespace, **more) as standby:
            wait_for(lambda: standby.get("/ready")[0] == 200, "the standby")
            done = ApiCaller(standby.port).post("/strategies/trade_momentum/kill", {"reason": "why"})
            wait_for(lambda: leader.logged("another configuration is in force"), "the leader to know")
            [line] = leader.logged("another configuration is in force")
            assert line["version"] == done.data["config_version"]
            assert not ApiCaller(leader.port).get("/strategies/trade_momentum/config").data["enabled"]
        letter = DeadLetter("condemned", "", pool="trade", event=trade(id=1))
        client.xadd(keys.deadletters, {"letter": dead_letters.pack(letter)})
        api = ApiCaller(leader.port)
        [result] = api.post("/dead-letters/retry", {"reason": ["condemned"], "wait_s": 0.5}).data
        # No worker runs here: the frame came in again, and nothing applied it yet.
        assert result["verdict"] == "not yet"
        wait_for(lambda: json.loads(leader.get("/ready")[1])["held_events"] == 1, "the frame to be back")
        assert leader.logged("the API changed something")
        assert TOKEN not in leader.process.log.read_text()
