"""Tells requests that a page of another site has a browser send."""

from collections.abc import Mapping
from urllib.parse import urlsplit


def is_cross_site(headers: Mapping[str, str], host: str) -> bool:
    """Return whether a request with these headers, to this host, was sent by another site's page.

    A program that is no browser sends neither header, and is taken for none.
    """
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    return site != "same-origin" if site else bool(origin) and urlsplit(origin).netloc != host
