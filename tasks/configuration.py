"""Pools, strategies and parameters: read from a file by ingest, carried to the workers by content hash.

The version names what strategies do, not how it is spread: partitions do not count.
"""

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.errors import SettingsError
from tasks.events import Kind
from tasks.routing import Pool


class PoolConfiguration(BaseModel):
    """One pool of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    key: Literal["symbol", "all"] = "symbol"
    partitions: Annotated[int, Field(ge=1, le=1024)] = 8
    symbols: frozenset[str] = frozenset()
    #: Parameters by strategy: a name from the registry, or an import path `module:Class`.
    strategies: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]


class Configuration(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pools: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")], PoolConfiguration], Field(min_length=1)
    ]

    def routes(self) -> tuple[Pool, ...]:
        """Give the pools as routing sees them."""
        return tuple(
            Pool(name, pool.kinds, pool.key, pool.partitions, pool.symbols) for name, pool in self.pools.items()
        )

    def canonical(self) -> bytes:
        """Give the JSON that is hashed and stored; `parse` reads it."""
        pools = {
            name: {**pool.model_dump(exclude={"partitions", "symbols"}), "symbols": sorted(pool.symbols)}
            for name, pool in self.pools.items()
        }
        return msgspec.json.encode({"pools": pools}, order="sorted")

    @property
    def version(self) -> str:
        """The content hash: 16 hexadecimal digits."""
        return hashlib.sha256(self.canonical()).hexdigest()[:16]

    @classmethod
    def parse(cls, canonical: bytes) -> "Configuration":
        """Read what `canonical` gave."""
        return cls.model_validate_json(canonical)


def read(path: Path) -> Configuration:
    """Read a strategies file. Raises SettingsError, one message with every fault."""
    try:
        return Configuration.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        message = f"can't read the strategies file {path}: {error.strerror}"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path} is not TOML: {error}"
    except ValidationError as error:
        faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        message = f"{path} can't be used:\n  " + "\n  ".join(faults)
    raise SettingsError(message)
