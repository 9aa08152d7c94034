"""Sweeps: many parameter sets of strategies over the same recordings, on workers or in processes of this machine.

Only the commands, the workers' research task and notebooks use it. It knows the backtest's engine, paper accounts and
recordings.
"""

from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.sweep import Sweep, SweepPlan

__all__ = [
    "ParameterSet",
    "Sweep",
    "SweepPlan",
    "bound_space",
    "conditions",
    "dataset",
    "dataset_cache",
    "dataset_folder",
    "dataset_reader",
    "dataset_upload",
    "dataset_writer",
    "dimensions",
    "event_files",
    "optuna_search",
    "page",
    "parameter_set",
    "parameter_space",
    "set_check",
    "sweep",
    "sweep_file",
]
