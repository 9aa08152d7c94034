"""Addresses of servers, looked at before anybody uses them. Pure; no error says more of an address than that it is none."""

from urllib.parse import SplitResult, urlsplit

from tasks.sentinels import Sentinels, is_sentinel

_NONE = "not an address; in a password, signs such as / @ : , are written as %2F %40 %3A %2C"


def nats(urls: str) -> str:
    """Give what nats-py takes: addresses with commas between. Raises ValueError."""
    for url in urls.split(","):
        parts = _parts(url.strip() if "://" in url else f"nats://{url.strip()}")
        if parts is None or parts.scheme not in {"nats", "tls", "ws", "wss"} or not parts.hostname:
            raise ValueError(_NONE)
    return urls


def redis(url: str) -> str:
    """Give what redis-py and kombu take. Raises ValueError."""
    if is_sentinel(url):
        return _sentinels(url)
    parts = _parts(url)
    if parts is None or parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError(_NONE)
    return url


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        # Only asking for the port looks at it.
        usable = parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _sentinels(url: str) -> str:
    try:
        return Sentinels.parse(url).url
    except ValueError:
        raise ValueError(_NONE) from None
