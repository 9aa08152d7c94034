"""The configuration: which strategies run in which pool, with which parameters, and behind which gate; and its changes.

Pure but for `registry`, which imports strategies, `named_strategies`, `catalog` and `shared_values`, which ask it, `import_path`, and
`toml_file` and `model.read`, which read a file. Engine, ledger and commands use it.
"""

from tasks.configuration.model import Configuration, PoolConfiguration, check, read
from tasks.configuration.strategy_tables import StrategyConfiguration

__all__ = [
    "Configuration",
    "PoolConfiguration",
    "StrategyConfiguration",
    "aliases",
    "audit",
    "bound_strategy",
    "catalog",
    "check",
    "edits",
    "file_schema",
    "gate",
    "history",
    "import_path",
    "model",
    "named_strategies",
    "overlay",
    "overlay_derived",
    "overlay_findings",
    "read",
    "registry",
    "revisions",
    "shadows",
    "shared_values",
    "stored",
    "strategy_tables",
    "toml_file",
]
