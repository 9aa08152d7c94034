"""Posts to a receiver over HTTP. No error and no line of log has the address: it may hold a token."""

import asyncio
import logging
import time
from collections.abc import Mapping

import httpx2

from tasks.deliver import answers
from tasks.deliver.answers import HeldUpError

#: So much of an answer is read.
_ANSWER_BYTES = 4_096
#: They log each request, with its address.
_LOGGERS = ("httpx2", "httpcore2")


class HttpClient:
    """Keeps a connection to a receiver."""

    def __init__(self, timeout_s: float) -> None:
        """An answer may take `timeout_s`, from the request's start to its end."""
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._timeout_s = timeout_s
        self._client = httpx2.AsyncClient(timeout=timeout_s, follow_redirects=False)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Return once the receiver has taken the body, which is JSON. Raises HeldUpError, RefusedError."""
        sent = {"content-type": "application/json", "user-agent": "realtime-strategies", **headers}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream("POST", url, content=body, headers=sent) as answer,
            ):
                said = b""
                async for part in answer.aiter_raw():
                    said = (said + part)[:_ANSWER_BYTES]
                    if len(said) == _ANSWER_BYTES:
                        break
        except (TimeoutError, httpx2.TimeoutException):
            raise HeldUpError(f"the receiver does not answer within {self._timeout_s:g} s") from None
        except httpx2.ConnectError:
            raise HeldUpError("the receiver can't be reached") from None
        except httpx2.HTTPError as error:
            raise HeldUpError(f"the connection to the receiver failed ({type(error).__name__})") from None
        answers.check(answer.status_code, answer.headers, said, time.time())

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()
