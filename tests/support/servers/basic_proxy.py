"""A proxy that asks for a login by HTTP basic authentication, as nginx does, and hands all else over as it is."""

import socket
import threading
from base64 import b64encode
from contextlib import suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Self

_REFUSAL = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=proxy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BasicProxy(ThreadingTCPServer):
    """Serves from its start to its end, on a port of its own, what listens on another one."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behind: int, username: str, password: str) -> None:
        self.behind, self.login = behind, b"basic " + b64encode(f"{username}:{password}".encode())
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(StreamRequestHandler):
    """One request for each connection: so what follows its head needs no understanding."""

    server: BasicProxy

    def handle(self) -> None:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in {b"\r\n", b""}:
            lines.append(line)
        given = [
            value.strip() for name, _, value in (line.partition(b":") for line in lines) if _is(name, b"authorization")
        ]
        if [each[:6].lower() + each[6:] for each in given] != [self.server.login]:
            self.wfile.write(_REFUSAL)
            return
        kept = [line for line in lines if not _is(line.partition(b":")[0], b"connection")]
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.server.behind)) as behind:
            behind.sendall(b"".join([*kept, b"Connection: close\r\n\r\n"]))
            threading.Thread(target=self._send_on, args=(behind,), daemon=True).start()
            while block := behind.recv(65_536):
                self.wfile.write(block)

    def _send_on(self, behind: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while block := self.rfile.read1():
                behind.sendall(block)


def _is(name: bytes, wanted: bytes) -> bool:
    return name.strip().lower() == wanted
