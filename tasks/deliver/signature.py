"""Signatures of webhooks by standardwebhooks.com: the receiver's library checks them, and the id drops repeats. Pure."""

import base64
import hashlib
import hmac
from collections.abc import Iterable


def headers(message_id: str, timestamp_s: int, body: bytes, keys: Iterable[bytes]) -> dict[str, str]:
    """Return the headers of a message: its id, when it is sent, and a signature with each of the keys."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    signatures = (f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}" for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signatures),
    }
