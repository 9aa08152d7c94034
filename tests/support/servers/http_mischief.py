"""Requests that nobody means well with, from a seed, and how they are sent."""

import random
import socket
from collections.abc import Callable
from contextlib import suppress

PATHS = (b"/", b"/events", b"/healthz", b"/ready", b"/metrics", b"/web/page.js", b"/nothing", b"/../..", b"/%00%ff?a=%")
METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"TRACE", b"CONNECT", b"get", b"", b"\x16\x03\x01")
HEADERS = (
    b"Host: localhost", b"Host: rebound.example", b"Host: [::", b"Host: a, b", b"Content-Length: 5", b"Connection: close",
    b"Content-Length: 99999999999999999999", b"Content-Length: -1", b"Content-Length: 1, 2", b"Expect: 100-continue",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Content-Type: multipart/form-data; boundary=x",
    b"Content-Type: application/x-www-form-urlencoded", b"Content-Encoding: gzip", b'Cookie: a="\\', b"If-None-Match: *",
    b"Range: bytes=0-", b"X-Forwarded-For: 1.2.3.4", b"Upgrade: websocket", b": empty", b" folded", b"\xff\xfe: \x00",
)  # fmt: skip
BODIES = (b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffff\r\n", b"--x\r\n" * 50, b"a=b&" * 300)
MOST_OPEN = 60


def request(dice: random.Random) -> bytes:
    """Return some bytes that resemble a request, more or less."""
    path = dice.choice(PATHS) + b"x" * dice.choice((0, 0, 0, 100, 20_000))
    version = dice.choice((b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b""))
    headers = dice.choices(HEADERS, k=dice.randrange(6)) + [b"X-%d: y" % each for each in range(dice.choice((0, 500)))]
    lines = [b" ".join((dice.choice(METHODS), path, version)), *headers]
    raw = bytearray(b"\r\n".join(lines) + b"\r\n\r\n" + dice.choice(BODIES))
    for _ in range(dice.choice((0, 0, 1, 5))):
        raw[dice.randrange(len(raw))] = dice.randrange(256)
    return bytes(raw[: dice.choice((len(raw), dice.randrange(1, len(raw) + 1)))]) * dice.choice((1, 1, 1, 30))


def attack(port: int, seed: int, going_on: Callable[[], bool]) -> int:
    """Send such requests to 127.0.0.1 while `going_on` says so; return how many. Some connections stay, unread."""
    dice, open_ones, sent = random.Random(seed), [], 0
    while going_on():
        connection = socket.socket()
        connection.settimeout(0.2)
        # A server may have enough of it at any time.
        with suppress(OSError):
            connection.connect(("127.0.0.1", port))
            connection.sendall(request(dice))
            if dice.random() < 0.05:
                connection.sendall(bytes(2**20))
            if dice.random() < 0.3:
                connection.recv(2**16)
        sent += 1
        open_ones.append(connection)
        if len(open_ones) > MOST_OPEN:
            open_ones.pop(dice.randrange(len(open_ones))).close()
    for connection in open_ones:
        connection.close()
    return sent
