"""The parameter space of a sweep: what its file says, bound to the strategies file, as a grid or a search.

Only sweeps use it. It knows the configuration and the registry of strategies.
"""

__all__ = [
    "bound_space",
    "conditions",
    "dimensions",
    "optuna_search",
    "parameter_space",
    "set_check",
    "sweep_file",
]
