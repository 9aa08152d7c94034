"""Signals to a webhook: posted as they are, with the headers of standardwebhooks.com."""

import time

from tasks.deliver import signature
from tasks.deliver.signal_fields import SignalFields
from tasks.deliver.sinks.http_client import HttpClient
from tasks.errors import SettingsError
from tasks.settings import Settings
from tasks.settings.delivery import webhook_keys


class WebhookSink:
    """Posts each signal, signed."""

    def __init__(self, settings: Settings, timeout_s: float) -> None:
        """Raises SettingsError: a setting is missing."""
        if not settings.deliver_webhook_url or not settings.deliver_webhook_secret:
            raise SettingsError("deliver webhook needs DELIVER_WEBHOOK_URL and DELIVER_WEBHOOK_SECRET (or ..._FILE)")
        self._url, self._keys = settings.deliver_webhook_url, webhook_keys(settings.deliver_webhook_secret)
        self._client = HttpClient(timeout_s)

    async def open(self) -> None:
        """Nothing is opened before the first signal."""

    async def send(self, signal: SignalFields, packed: bytes) -> None:
        """Post a signal. Raises HeldUpError, RefusedError."""
        signed = signature.headers(signal.id, int(time.time()), packed, self._keys)
        await self._client.post(self._url, packed, signed)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()
