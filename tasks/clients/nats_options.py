"""What the settings say of NATS, as nats-py takes it: where it is, the login, and TLS."""

import re
import ssl
from importlib.util import find_spec
from typing import Any

import nkeys
from nats.aio.client import RawCredentials

from tasks.errors import SettingsError
from tasks.optional import install_command
from tasks.settings import Settings
from tasks.settings.nats_url import NatsAddress

#: The text of a credentials file: a token, and the seed behind it.
_CREDENTIALS = re.compile(
    r"-----BEGIN NATS USER JWT-----\s+\S+\s+-----+END NATS USER JWT-----.*?"
    r"-----BEGIN USER NKEY SEED-----\s+(\S+)\s+-----+END USER NKEY SEED-----",
    re.DOTALL,
)


def address(settings: Settings) -> NatsAddress:
    """Return the servers. Raises SettingsError: they can't be reached in the way that the settings require."""
    parsed = NatsAddress.parse(settings.nats_url)
    if parsed.over_websockets and find_spec("aiohttp") is None:
        raise SettingsError(f"NATS_URL: ws:// and wss:// need aiohttp: {install_command('extras')}")
    if parsed.over_websockets and settings.nats_tls_name:
        raise SettingsError("NATS_TLS_NAME: over wss:// the server's certificate must be for the host in NATS_URL")
    return parsed


def login(settings: Settings) -> dict[str, Any]:
    """Return nats-py's options for the login; none where it stands in NATS_URL. Raises SettingsError."""
    if settings.nats_credentials:
        text = settings.nats_credentials
        # What nats-py can't read of them, it looks for endlessly, or fails on in a task of its own.
        found = _CREDENTIALS.search(text)
        if not found or not _is_seed(found[1]):
            raise SettingsError(
                "NATS_CREDENTIALS: not the text of a credentials file (NATS_CREDENTIALS_FILE takes its path)"
            )
        return {"user_credentials": RawCredentials(text)}
    if settings.nats_nkey:
        if not _is_seed(settings.nats_nkey):
            raise SettingsError("NATS_NKEY: not the seed of an nkey (NATS_NKEY_FILE takes its path)")
        return {"nkeys_seed_str": settings.nats_nkey}
    if settings.nats_token:
        return {"token": settings.nats_token}
    return {"user": settings.nats_user, "password": settings.nats_password} if settings.nats_user else {}


def _is_seed(text: str) -> bool:
    try:
        nkeys.from_seed(bytearray(text.strip(), "ascii"))
    except (nkeys.NkeysError, ValueError):
        return False
    return True


def tls(settings: Settings) -> dict[str, Any]:
    """Return nats-py's options for TLS. Raises SettingsError: a file can't be used."""
    name = {"tls_hostname": settings.nats_tls_name} if settings.nats_tls_name else {}
    try:
        context = ssl.create_default_context(cafile=settings.nats_tls_ca or None)
        if settings.nats_tls_cert:
            context.load_cert_chain(settings.nats_tls_cert, settings.nats_tls_key)
    except (OSError, ValueError) as error:
        raise SettingsError(f"NATS_TLS_CA, NATS_TLS_CERT, NATS_TLS_KEY: can't be used: {error}") from None
    return {"tls": context, **name}
