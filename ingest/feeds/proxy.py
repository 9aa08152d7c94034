"""The proxy that HTTPS_PROXY and its like put before the exchange: checked before use, and told from it in errors."""

import ssl
from importlib.util import find_spec

from websockets.exceptions import InvalidProxy, InvalidProxyStatus, InvalidURI, ProxyError
from websockets.proxy import Proxy, get_proxy, parse_proxy
from websockets.uri import parse_uri

from tasks.errors import ServerUnavailableError, SettingsError
from tasks.optional import install_command

_NAMES = "HTTPS_PROXY or its like"


def before(url: str) -> str:
    """Return host and port of the proxy through which `url` is reached; empty without one. Raises what `find` raises."""
    proxy = find(url)
    return f"{proxy.host}:{proxy.port}" if proxy else ""


def find(url: str) -> Proxy | None:
    """Return the proxy through which a websocket's `url` is reached, if there is one.

    Raises ServerUnavailableError: `url` is no websocket's. Raises SettingsError: the proxy can't be used.
    """
    try:
        found = get_proxy(parse_uri(url))
    except InvalidURI as error:
        raise ServerUnavailableError(f"not a websocket address: {error}") from None
    if found is None:
        return None
    try:
        proxy = parse_proxy(found)
    except InvalidProxy as error:
        # Its own text holds the password.
        raise SettingsError(f"{_NAMES}: not the address of a proxy: {error.msg}") from None
    except ValueError:
        raise SettingsError(f"{_NAMES}: not the address of a proxy") from None
    if proxy.scheme.startswith("socks") and find_spec("python_socks") is None:
        raise SettingsError(f"{_NAMES}: a SOCKS proxy needs python-socks: {install_command('extras')}")
    return proxy


def fault(error: Exception) -> str:
    """Return the proxy's fault according to `error`; empty where it may be the exchange's."""
    if isinstance(error, InvalidProxyStatus):
        return f"the proxy does not let us through: HTTP {error.response.status_code}"
    if isinstance(error, ProxyError):
        return "the proxy does not let us through"
    # Only the proxy is connected to and looked up. What comes later, such as a reset, may be the exchange's.
    early = isinstance(error, OSError) and not isinstance(error, ConnectionResetError | TimeoutError | ssl.SSLError)
    return "the proxy can't be reached" if early else ""
