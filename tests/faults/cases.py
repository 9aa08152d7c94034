"""Every fault of the suite."""

from tests.faults import to_connections, to_layout, to_nats, to_processes, to_queue, to_redis

CASES = tuple(
    case for kind in (to_processes, to_redis, to_nats, to_connections, to_queue, to_layout) for case in kind.CASES
)
