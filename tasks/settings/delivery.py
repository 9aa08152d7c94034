"""Validation of the settings of `./run tasks deliver`, whose errors hold no secret. Pure."""

import base64
import binascii
import re

from tasks.settings import values

#: Can be given as NAME_FILE; the URLs too, because they may hold tokens.
DELIVERY_SECRETS = (
    "deliver_webhook_url", "deliver_webhook_secret", "deliver_telegram_token", "deliver_discord_url",
)  # fmt: skip
#: Of a key of HMAC-SHA256, by standardwebhooks.com.
MIN_KEY_BYTES = 24
_KEY_PREFIX = "whsec_"
_TELEGRAM_TOKEN = re.compile(r"\d+:[\w-]+", re.ASCII)


def webhook_keys(value: str) -> list[bytes]:
    """Return the keys that stand in DELIVER_WEBHOOK_SECRET, with blanks between. Raises ValueError."""
    try:
        keys = [base64.b64decode(word.removeprefix(_KEY_PREFIX), validate=True) for word in value.split()]
    except binascii.Error:
        keys = [b""]
    if any(len(key) < MIN_KEY_BYTES for key in keys):
        raise ValueError(
            f"must be whsec_ and at least {MIN_KEY_BYTES} bytes in base64, as `openssl rand -base64 32` makes"
        )
    return keys


def webhook_secret(value: str) -> str:
    """Return keys to sign with, or nothing. Raises ValueError."""
    webhook_keys(value)
    return value


def telegram_token(value: str) -> str:
    """Return the token of a bot, or nothing. Raises ValueError."""
    if value and not _TELEGRAM_TOKEN.fullmatch(value):
        raise ValueError("must be the token of a bot, a number, a colon and letters, as BotFather gives it")
    return value


def subject(value: str) -> str:
    """Return a subject with fields, or nothing. Raises ValueError."""
    return values.signal_subject(value) if value else value
