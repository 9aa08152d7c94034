"""Variables in the environment that look like settings of ours, or conflict with one. Pure."""

import difflib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from tasks.settings.redis_url import RedisAddress

#: Names of other software that look like one of ours.
_NOT_OURS = frozenset({"HTTP_PROXY", "HTTPS_PROXY"})

#: Of Celery and its command line, which writes its options, and BROKER_URL, into the second of each.
_BROKER = ("CELERY_BROKER", "CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")
_RESULTS = ("RESULT_BACKEND", "CELERY_RESULT_BACKEND")


def unknown(environ: Mapping[str, str], known: AbstractSet[str]) -> tuple[list[str], list[str]]:
    """Return what is named like a setting and is none: faults, and warnings."""
    faults, warnings = [], []
    for name in sorted(environ.keys() - known - _NOT_OURS):
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        hint = f"; did you mean {close[0]}?" if close else ""
        if name.startswith("INGEST_"):
            faults.append(f"{name}: there is no such setting{hint}")
        elif close:
            warnings.append(f"{name} is not a setting{hint}")
    return faults, warnings


def overruled(environ: Mapping[str, str], broker: str, results: str) -> list[str]:
    """Return a warning for Celery's own variables that say something else than our settings: these are not used."""
    told = [
        ("broker", "BROKER_URL or REDIS_URL", _others(environ, _BROKER, broker)),
        ("result store", "RESULT_URL or REDIS_URL", _others(environ, _RESULTS, results)),
    ]
    return [
        f"{' and '.join(names)} (or Celery's command line): not used; the {what} is that of {settings}"
        for what, settings, names in told
        if names
    ]


def _others(environ: Mapping[str, str], names: Iterable[str], ours: str) -> list[str]:
    return [name for name in names if environ.get(name) and not _same(environ[name], ours)]


def _same(url: str, ours: str) -> bool:
    try:
        return RedisAddress.parse(url) == RedisAddress.parse(ours)
    except ValueError:
        return False
