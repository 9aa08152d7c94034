"""Addresses of servers, looked at before anybody uses them. Pure; no error says more of an address than that it is none."""

from urllib.parse import SplitResult, urlsplit

from tasks.redis_address import NO_ADDRESS, RedisAddress


def nats(urls: str) -> str:
    """Give what nats-py takes: addresses with commas between. Raises ValueError."""
    for url in urls.split(","):
        parts = _parts(url.strip() if "://" in url else f"nats://{url.strip()}")
        if parts is None or parts.scheme not in {"nats", "tls", "ws", "wss"} or not parts.hostname:
            raise ValueError(NO_ADDRESS)
    return urls


def redis(url: str) -> str:
    """Return `url`. Raises ValueError: it can't be used."""
    RedisAddress.parse(url)
    return url


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        # Only asking for the port looks at it.
        usable = parts.port != 0
    except ValueError:
        return None
    return parts if usable else None
