"""TLS to Redis, for clients of ours, Celery and Flower alike."""

import ssl
from typing import Any

from tasks.sentinels import TLS_SCHEME
from tasks.settings import Settings


def tls_options(settings: Settings, url: str) -> dict[str, Any]:
    """Give what redis-py's connections need for `url`; nothing where it is no `rediss://` or `sentinels://`."""
    if not url.startswith(("rediss://", f"{TLS_SCHEME}://")):
        return {}
    files = {
        "ssl_ca_certs": settings.redis_tls_ca,
        "ssl_certfile": settings.redis_tls_cert,
        "ssl_keyfile": settings.redis_tls_key,
    }
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED} | {name: path for name, path in files.items() if path}
