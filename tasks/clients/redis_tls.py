"""TLS to Redis, for clients of ours, Celery and Flower alike."""

import ssl
from typing import Any

from tasks.settings import Settings
from tasks.settings.redis_url import RedisAddress


def tls_options(settings: Settings, address: RedisAddress) -> dict[str, Any]:
    """Return what redis-py's connections need for TLS; nothing for an `address` without TLS."""
    if not address.is_tls:
        return {}
    files = {
        "ssl_ca_certs": settings.redis_tls_ca,
        "ssl_certfile": settings.redis_tls_cert,
        "ssl_keyfile": settings.redis_tls_key,
    }
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED} | {name: path for name, path in files.items() if path}
