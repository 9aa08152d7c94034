"""Three NATS servers that share their JetStream."""

from compose.local.processes import Instance, Process
from compose.local.servers import HOST, free_port, start_nats


def cluster(instance: Instance) -> list[tuple[Process, str]]:
    """Start them; return each, whose name is its own in the cluster too, with its URL."""
    ports = [free_port() for _ in range(3)]
    routes = ",".join(f"nats://{HOST}:{port}" for port in ports)
    return [
        start_nats(
            instance,
            f"nats-{number}",
            options=(
                *("--server_name", f"nats-{number}", "--cluster_name", "three"),
                *("--cluster", f"nats://{HOST}:{port}", "--routes", routes),
            ),
        )
        for number, port in enumerate(ports)
    ]
