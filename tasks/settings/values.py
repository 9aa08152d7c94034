"""Validation of single settings. Each function returns the value, or raises ValueError, whose text holds no secret."""

import re
import ssl
import string
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from tasks.settings.nats_url import NatsAddress
from tasks.settings.redis_url import RedisAddress

#: A name, `*.` and what it ends in, or `*` for all.
_HOST_NAME = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.ASCII)
#: Of `Bearer`, by RFC 6750.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_CALLER = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_NO_IDENTITY = ("authorization", "host", "origin", "cookie", "x-changed-by", "x-petrosa-internal-token")
MIN_TOKEN_CHARACTERS = 16
#: More would leave less than a lane for each in most setups.
MAX_SHARDS = 64


def told_as(pattern: str) -> Callable[[Any, Callable[[Any], str]], str]:
    r"""Return a validator that says of what the constraints before it refuse that it must match `pattern`.

    pydantic's own check of `[\w-]{1,64}` is an automaton that takes 20 ms to make, at each start of a process; a class
    and a length take nothing.
    """

    def check(value: Any, constrained: Callable[[Any], str]) -> str:
        try:
            return constrained(value)
        except ValidationError:
            raise ValueError(f"must match {pattern}") from None

    return check


def upper(value: Any) -> Any:
    """Return a word in upper case; anything else as it is."""
    return value.upper() if isinstance(value, str) else value


def digit(value: Any) -> Any:
    """Return text of one digit, as it stands in the environment, as a number; anything else as it is."""
    return int(value) if isinstance(value, str) and value in set(string.digits) else value


def nats_url(value: str) -> str:
    """Return URLs of NATS servers, with commas between. Raises ValueError."""
    NatsAddress.parse(value)
    return value


def redis_url(value: str) -> str:
    """Return the URL of a Redis, or nothing. Raises ValueError."""
    if value:
        RedisAddress.parse(value)
    return value


def redis_urls(value: str) -> str:
    """Return the URLs of different Redis servers or databases, with blanks between. Raises ValueError."""
    urls = value.split()
    addresses = [RedisAddress.parse(each) for each in urls]
    if len(set(addresses)) < len(addresses):
        raise ValueError("names one database of a Redis twice: each shard needs one of its own")
    if len(urls) > MAX_SHARDS:
        raise ValueError(f"names {len(urls)} ledgers; there are at most {MAX_SHARDS} shards")
    return " ".join(urls)


def websocket_url(value: str) -> str:
    """Return the address of a websocket, to which a query can be added. Raises ValueError."""
    return _url(value, "ws", "wss")


def http_url(value: str) -> str:
    """Return an address of a web server, to which a query can be added. Raises ValueError."""
    return _url(value, "http", "https")


def link_url(value: str) -> str:
    """Return an address for a browser, or nothing. Raises ValueError."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if value and not usable:
        raise ValueError("must be http://HOST/PATH or https://HOST/PATH")
    return value


def _url(value: str, *schemes: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise ValueError("must be " + " or ".join(f"{scheme}://HOST/PATH" for scheme in schemes))
    return value


def names(value: str) -> str:
    """Return names with commas between, without blanks and without what is empty."""
    return ",".join(filter(None, map(str.strip, value.split(","))))


def host_names(value: str) -> str:
    """Return names of hosts with commas between, in lower case, without blanks. Raises ValueError."""
    names = [each for each in (part.strip().lower() for part in value.split(",")) if each]
    if not all(_HOST_NAME.fullmatch(each) for each in names):
        raise ValueError("must be names such as ingest or *.example.com, without ports, with commas between")
    return ",".join(names)


def api_tokens(value: str) -> str:
    """Return words `NAME:TOKEN`, or one TOKEN without a name, a blank between two. Raises ValueError."""
    words, seen = value.split(), set[str]()
    for word in words:
        name, colon, token = word.rpartition(":")
        if len(token) < MIN_TOKEN_CHARACTERS or not _TOKEN.fullmatch(token):
            raise ValueError(
                f"a token must have at least {MIN_TOKEN_CHARACTERS} of the signs A-Z a-z 0-9 - . _ ~ + / ="
            )
        if (colon and not _CALLER.fullmatch(name)) or (not colon and len(words) > 1):
            raise ValueError("must be one token, or NAME:TOKEN for each caller, with blanks or lines between")
        if name in seen:
            raise ValueError("gives one name two tokens")
        seen.add(name)
    return " ".join(words)


def networks(value: str) -> str:
    """Return addresses of networks, such as 10.0.0.0/8, with commas between. Raises ValueError."""
    found = names(value)
    try:
        for each in filter(None, found.split(",")):
            ip_network(each)
    except ValueError:
        raise ValueError("must be networks such as 10.1.0.0/16 or 10.1.2.3, with commas between") from None
    return found


def header_name(value: str) -> str:
    """Return the name of an HTTP header, or nothing. Raises ValueError."""
    if value and not _HEADER.fullmatch(value):
        raise ValueError("must be the name of a header such as X-Forwarded-User")
    if value.lower() in _NO_IDENTITY:
        raise ValueError("is a header that every client may send: name one that the proxy sets")
    return value


def nats_subjects(value: str) -> str:
    """Return the subjects to subscribe to, checked: separated by commas."""
    for subject in value.split(","):
        *before, last = subject.strip().split(".")
        named = [*before, *([last] if last != ">" else [])]
        if not all(each == "*" or _is_token(each) for each in named):
            raise ValueError("must be NATS subjects such as binance.> or a.*.b, with commas between")
    return value


def signal_subject(value: str) -> str:
    """Return a subject with fields such as {strategy}, to be filled from a signal. Raises ValueError."""
    return _subject(value, ("strategy", "symbol", "action", "venue"))


def alert_subject(value: str) -> str:
    """Return a subject with the field {name}, to be filled from a finding, or nothing. Raises ValueError."""
    return _subject(value, ("name",)) if value else value


def verdict_subject(value: str) -> str:
    """Return a subject, or nothing. Raises ValueError."""
    return _subject(value, ()) if value else value


def _subject(value: str, names: Sequence[str]) -> str:
    try:
        fields = {(name, spec, how) for _, name, spec, how in string.Formatter().parse(value) if name is not None}
        plain = fields <= {(name, "", None) for name in names}
        subject = value.format(**dict.fromkeys(names, "x")) if plain else ""
    except ValueError:
        subject = ""
    if not subject or not all(map(_is_token, subject.split("."))):
        *most, last = [f"{{{name}}}" for name in names] or [""]
        made = f" made of {', '.join(most)} and {last}" if most else f", with {last} in it" if last else ""
        raise ValueError(f"not a NATS subject{made}")
    return value


def _is_token(text: str) -> bool:
    return bool(text) and not set(text) & set("*> \t\r\n")


def shard(value: str) -> str:
    """Return a shard as `NUMBER/COUNT`: 0 <= NUMBER < COUNT <= MAX_SHARDS. Raises ValueError."""
    number, _, count = value.partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count) <= MAX_SHARDS):
        raise ValueError(f"not a number and how many, such as 0/2 and 1/2 (at most {MAX_SHARDS})")
    return value


def readable(value: str) -> str:
    """Return the path of a file that can be read, or nothing. Raises ValueError."""
    try:
        if value:
            Path(value).open("rb").close()
    except OSError as error:
        raise ValueError(f"can't read the file: {error.strerror}") from None
    return value


def tls_files(names: str, authority: str, certificate: str, key: str) -> None:
    """Check the files of TLS that are given; `names` are their settings. Raises ValueError: one can't be used."""
    try:
        if authority:
            ssl.create_default_context(cafile=authority)
        if certificate:
            ssl.create_default_context().load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        raise ValueError(f"{names}: can't be used: {error}") from None
