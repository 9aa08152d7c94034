"""Writes the passwords of the Compose stack into a volume, once: `python -m compose.passwords DIRECTORY`.

Each service mounts that volume read-only, so that no password stands in a file of the project, in an environment or in
a command line. REDIS_PASSWORD, FLOWER_BASIC_AUTH (user:password) and GRAFANA_PASSWORD set them; what is not set is made
up at random the first time, and stays.

    redis           the password                  redis.conf    the same, for the server to include
    redis_url       for REDIS_URL_FILE            flower        user:password
    grafana         the password of its admin
"""

import argparse
import os
import re
import secrets
import sys
from pathlib import Path


def write(directory: Path, redis_password: str, flower_basic_auth: str, grafana_password: str = "") -> None:
    """Write every file. An empty value is made up, unless it was before. Raises ValueError for an unusable one."""
    redis_password = redis_password or _held(directory / "redis") or secrets.token_hex(32)
    flower_basic_auth = flower_basic_auth or _held(directory / "flower") or f"admin:{secrets.token_hex(16)}"
    grafana_password = grafana_password or _held(directory / "grafana") or secrets.token_hex(16)
    if not re.fullmatch(r"[\w.~-]+", redis_password, re.ASCII):
        raise ValueError("REDIS_PASSWORD: letters, digits and . _ ~ - only, because it becomes part of a URL")
    if not re.fullmatch(r"[^:,\s]+:[^:,\s]+", flower_basic_auth):
        raise ValueError("FLOWER_BASIC_AUTH: user:password, without blanks, commas and further colons")
    files = {
        "redis": redis_password,
        "redis.conf": f"requirepass {redis_password}\n",
        "redis_url": f"redis://:{redis_password}@redis:6379/0",
        "flower": flower_basic_auth,
        "grafana": grafana_password,
    }
    for name, text in files.items():
        _replace(directory / name, text)


def _held(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _replace(file: Path, text: str) -> None:
    """Write all of it or nothing: a half-written password would be kept."""
    draft = file.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)


def main() -> int:
    """Write into the directory that the command line names; 1 and one line when a given password can't be used."""
    parser = argparse.ArgumentParser(
        prog="passwords", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path, metavar="DIRECTORY")
    directory = parser.parse_args().directory
    try:
        write(
            directory,
            os.environ.get("REDIS_PASSWORD", "").strip(),
            os.environ.get("FLOWER_BASIC_AUTH", "").strip(),
            os.environ.get("GRAFANA_PASSWORD", "").strip(),
        )
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
