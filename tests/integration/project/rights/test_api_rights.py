"""The HTTP API with a user of Redis that has the permissions which docs/security.md names for it."""

import asyncio
from contextlib import closing
from typing import Any

import redis

from ingest.dispatch.active_configuration import ActiveConfiguration
from tasks.configuration import check
from tasks.ledger import LedgerKeys
from tasks.ledger.configurations import ConfigurationStore
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tasks.settings import Settings
from tests.support.servers.api import TOKEN, ApiCaller, serving
from tests.support.servers.guarded_servers import API_RIGHTS, RIGHTS, give_rights
from tests.support.servers.nats_logins import SECRET

POOL = {"kinds": ["depth"], "strategies": {"iceberg": {}}, "shadow": {"iceberg": {"of": "iceberg"}}}
GET = (
    "/strategies", "/strategies/iceberg/config", "/strategies/iceberg/audit", "/configuration", "/configuration/history",
    "/shadows", "/states/resets", "/dead-letters?since=1h", "/signals?since=1h", "/positions", "/positions/open",
)  # fmt: skip
POST: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/strategies/iceberg/config", {"parameters": {"notional": 7}}), ("/strategies/iceberg/kill", {}),
    ("/strategies/iceberg/config/BTCUSDT", {"parameters": {"notional": 7}, "force": True}),
    ("/strategies/shadow~iceberg/promote", {}), ("/pools/depth/pause", {}), ("/strategies/iceberg/states/reset", {}),
    ("/configuration/rollback", {}), ("/strategies/iceberg/rollback", {}), ("/configuration/reset", {"everything": True}),
    ("/dead-letters/drop", {"reason": ["condemned"]}),
)  # fmt: skip


def test_the_rights_in_the_docs_are_all_that_the_api_needs(url: str):
    with redis.Redis.from_url(url) as admin:
        give_rights(admin, {"ingest": [*RIGHTS["ingest"], *API_RIGHTS]})
        admin.hset(LedgerKeys("rs").pool("depth"), "state:spot:BTCUSDT:iceberg", b"x")
        admin.xadd("rs:deadletters", {"letter": dead_letters.pack(DeadLetter("condemned", ""))})
        admin.acl_log_reset()
        mine = url.replace("//", f"//rs-ingest:{SECRET}-ingest@")
        settings = Settings(redis_url=mine, namespace="rs", api_token=TOKEN)
        file = check({"pools": {"depth": POOL}}, "the file")
        with closing(ActiveConfiguration(ConfigurationStore(settings), file)) as active, serving(settings) as port:
            asyncio.run(active.refresh())
            api = ApiCaller(port)
            assert {path: api.get(path).status for path in GET} == dict.fromkeys(GET, 200)
            done = {path: api.post(path, body, Idempotency_Key=path).status for path, body in POST}
            assert done == dict.fromkeys(done, 200)
        log: Any = admin.acl_log()
        assert [f"{entry['reason']} {entry['object']}" for entry in log] == []
