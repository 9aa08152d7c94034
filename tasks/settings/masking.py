"""URLs without their passwords."""

import re
from urllib.parse import urlsplit

#: Elsewhere, a comma or a semicolon may be part of a password.
_BETWEEN = re.compile(r"([,;\s])(?=\s*\w+://)")


def mask(urls: str) -> str:
    """Return `urls`, with commas, semicolons or blanks between, without logins: all before an @, whatever it is."""

    def masked(url: str) -> str:
        return re.sub(r"(password=)[^&]*", r"\1***", re.sub(r"^(\s*\w+://)?.*@", r"\1***@", url, flags=re.DOTALL))

    return "".join(masked(part) for part in _BETWEEN.split(urls))


def without_login(url: str) -> str:
    """Return the URL of a web server without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
