"""Settings that go together, or exclude each other."""

from collections.abc import Callable

from tasks.settings import values

_LOGINS = ("nats_user", "nats_token", "nats_nkey", "nats_credentials")
_TOGETHER = (
    ("nats_user", "nats_password"),
    ("nats_tls_cert", "nats_tls_key"),
    ("redis_tls_cert", "redis_tls_key"),
    ("api_identity_header", "api_trusted_proxies"),
)


def check(setting: Callable[[str], str]) -> None:
    """Check the settings, of which `setting` returns one by its name. Raises ValueError."""
    named = [name.upper() for name in _LOGINS if setting(name)] + ["NATS_URL"] * ("@" in setting("nats_url"))
    if len(named) > 1:
        raise ValueError(f"{' and '.join(named)} are logins of different kinds: give one")
    for one, other in _TOGETHER:
        if bool(setting(one)) != bool(setting(other)):
            raise ValueError(f"{one.upper()} and {other.upper()} go together")
    if setting("ledger_urls") and setting("ledger_url"):
        raise ValueError("LEDGER_URL and LEDGER_URLS both say where the ledger is: give one")
    if setting("ledger_urls") and setting("nats_partitions") == "0":
        raise ValueError(
            "LEDGER_URLS needs NATS_PARTITIONS: a shard with a ledger of its own reads its own frames only"
        )
    for kind in ("nats", "redis"):
        names = [f"{kind}_tls_{what}" for what in ("ca", "cert", "key")]
        values.tls_files(", ".join(names).upper(), *map(setting, names))
