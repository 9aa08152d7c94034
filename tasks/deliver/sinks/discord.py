"""Signals as messages of a Discord webhook: what others wrote in them is no markup, and mentions nobody."""

import re

import msgspec

from tasks.deliver.signal_fields import SignalFields
from tasks.deliver.sinks.http_client import HttpClient
from tasks.deliver.template import Template, shortened
from tasks.errors import SettingsError
from tasks.settings import Settings

MAX_CHARACTERS = 2_000
_MARKUP = re.compile(r"([\\*_~`|>#\[\]()<@:.+-])")


def escape(text: str) -> str:
    """Return a text that Discord shows as it is."""
    return _MARKUP.sub(r"\\\1", text)


class DiscordSink:
    """Sends a message about each signal to one channel."""

    def __init__(self, settings: Settings, template: Template, timeout_s: float) -> None:
        """Raises SettingsError: a setting is missing."""
        if not settings.deliver_discord_url:
            raise SettingsError("deliver discord needs DELIVER_DISCORD_URL (or ..._FILE)")
        url = settings.deliver_discord_url
        # Answered once the message is kept, not before.
        self._url = f"{url}{'&' if '?' in url else '?'}wait=true"
        self._template, self._client = template, HttpClient(timeout_s)

    async def open(self) -> None:
        """Nothing is opened before the first signal."""

    async def send(self, signal: SignalFields, packed: bytes) -> None:  # noqa: ARG002 as every sink
        """Send a message. Raises HeldUpError, RefusedError."""
        text = shortened(self._template.render(signal, escape), MAX_CHARACTERS)
        message = {"content": text, "allowed_mentions": {"parse": []}}
        await self._client.post(self._url, msgspec.json.encode(message), {})

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()
