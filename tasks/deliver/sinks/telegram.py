"""Signals as messages of a Telegram bot: plain text, in which nothing is markup."""

import msgspec

from tasks.deliver.answers import BLOCKED_WAIT_S, HeldUpError, RefusedError
from tasks.deliver.signal_fields import SignalFields
from tasks.deliver.sinks.http_client import HttpClient
from tasks.deliver.template import Template, shortened
from tasks.errors import SettingsError
from tasks.settings import Settings

MAX_CHARACTERS = 4_096
#: Answers 400 that say nothing about the one message.
_ABOUT_THE_CHAT = ("chat not found", "upgraded to a supergroup", "peer_id_invalid", "chat_write_forbidden")


class TelegramSink:
    """Sends a message about each signal to one chat."""

    def __init__(self, settings: Settings, template: Template, timeout_s: float) -> None:
        """Raises SettingsError: a setting is missing."""
        if not settings.deliver_telegram_token or not settings.deliver_telegram_chat:
            raise SettingsError("deliver telegram needs DELIVER_TELEGRAM_TOKEN (or ..._FILE) and DELIVER_TELEGRAM_CHAT")
        self._url = f"{settings.deliver_telegram_url.rstrip('/')}/bot{settings.deliver_telegram_token}/sendMessage"
        self._chat, self._template = settings.deliver_telegram_chat, template
        self._client = HttpClient(timeout_s)

    async def open(self) -> None:
        """Nothing is opened before the first signal."""

    async def send(self, signal: SignalFields, packed: bytes) -> None:  # noqa: ARG002 as every sink
        """Send a message. Raises HeldUpError, RefusedError."""
        text = shortened(self._template.render(signal), MAX_CHARACTERS)
        message = {"chat_id": self._chat, "text": text, "link_preview_options": {"is_disabled": True}}
        try:
            await self._client.post(self._url, msgspec.json.encode(message), {})
        except RefusedError as error:
            if any(words in str(error).lower() for words in _ABOUT_THE_CHAT):
                raise HeldUpError(str(error), BLOCKED_WAIT_S) from None
            raise

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()
