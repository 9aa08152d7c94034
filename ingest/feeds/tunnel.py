"""TCP connections of Tornado's HTTP client through the same proxies as the websockets; it knows none itself."""

import asyncio
import base64
import socket
import ssl
from importlib import import_module
from typing import Any

from tornado.iostream import IOStream, StreamClosedError
from tornado.tcpclient import TCPClient
from websockets.exceptions import ProxyError
from websockets.proxy import Proxy

#: What a proxy may answer.
_MAX_ANSWER_BYTES = 16_384


class TunnelClient(TCPClient):
    """Connects through a proxy: HTTP with CONNECT, or SOCKS."""

    def __init__(self, proxy: Proxy) -> None:
        """Connect through `proxy`."""
        super().__init__()
        self._proxy = proxy

    async def connect(  # noqa: PLR0913, PLR0917 Tornado's signature
        self,
        host: str,
        port: int,
        af: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 the proxy's business
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        max_buffer_size: int | None = None,
        source_ip: str | None = None,  # noqa: ARG002 the same
        source_port: int | None = None,  # noqa: ARG002 the same
        timeout: float | None = None,  # type: ignore[override] # noqa: ASYNC109 Tornado's
    ) -> IOStream:
        """Return a connection to the host. Raises OSError, TimeoutError and ProxyError."""
        async with asyncio.timeout(timeout):
            if self._proxy.scheme.startswith("socks"):
                stream = IOStream(await self._through_socks(host, port), max_buffer_size=max_buffer_size)
            else:
                stream = await self._through_http(host, port, max_buffer_size)
            if ssl_options is None:
                return stream
            return await stream.start_tls(server_side=False, ssl_options=ssl_options, server_hostname=host)

    async def _through_http(self, host: str, port: int, max_buffer_size: int | None) -> IOStream:
        tls = ssl.create_default_context() if self._proxy.scheme == "https" else None
        stream = await super().connect(
            self._proxy.host, self._proxy.port, ssl_options=tls, max_buffer_size=max_buffer_size
        )
        try:
            target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
            if self._proxy.user_info:
                login = base64.b64encode(":".join(self._proxy.user_info).encode()).decode()
                head += f"Proxy-Authorization: Basic {login}\r\n"
            await stream.write(f"{head}\r\n".encode())
            answer = await stream.read_until(b"\r\n\r\n", max_bytes=_MAX_ANSWER_BYTES)
        except StreamClosedError:
            raise ProxyError("the proxy closed the connection") from None
        status = answer.split(None, 2)[1:2]
        if status != [b"200"]:
            stream.close()
            raise ProxyError(f"the proxy answers HTTP {b' '.join(status).decode(errors='replace')}")
        return stream

    async def _through_socks(self, host: str, port: int) -> socket.socket:
        # Optional: `proxy.find` has checked that it is installed.
        socks = import_module("python_socks")
        asynchronous = import_module("python_socks.async_.asyncio")
        scheme = self._proxy.scheme
        through = asynchronous.Proxy(
            socks.ProxyType.SOCKS5 if scheme.startswith("socks5") else socks.ProxyType.SOCKS4,
            self._proxy.host,
            self._proxy.port,
            self._proxy.username,
            self._proxy.password,
            scheme in {"socks5h", "socks4a"},
        )
        try:
            connected: socket.socket = await through.connect(host, port)
        except socks.ProxyError as error:
            raise ProxyError(str(error)) from None
        return connected
