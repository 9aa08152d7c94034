from collections.abc import Iterator

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import start_redis
from tests.support.servers.guarded_servers import RIGHTS, give_rights


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Yield the address of a Redis with the users of the docs, without one."""
    with Instance("rights") as instance:
        address = start_redis(instance)[1]
        with redis.Redis.from_url(address) as admin:
            give_rights(admin, RIGHTS)
        yield address
