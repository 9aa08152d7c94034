"""The configuration: which strategies run in which pool, with which parameters, and behind which gate; and its changes.

Pure but for `registry`, which imports strategies, `named_strategies` and `catalog`, which ask it, `import_path`, and
`toml_file` and `model.read`, which read a file. Engine, ledger and commands use it.
"""

from tasks.configuration.model import Configuration, PoolConfiguration, StrategyConfiguration, check, read

__all__ = [
    "Configuration",
    "PoolConfiguration",
    "StrategyConfiguration",
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
    "shadows",
    "stored",
    "toml_file",
]
