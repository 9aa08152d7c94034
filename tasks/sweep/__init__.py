"""Sweeps: many parameter sets of strategies over the same recordings, on workers or in processes of this machine.

    Sweep (space) ──► parameter sets ─┐
    recordings ──► datasets ──────────┴─► WorkPlan ──► blocks ──► SweepRun ──► executor: slices ──► results ──► rows

Only the command, the workers' research task and notebooks use it. It knows the engine, paper accounts and recordings.
"""

from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.sweep import Sweep, SweepPlan

__all__ = [
    "ParameterSet",
    "Sweep",
    "SweepPlan",
    "block",
    "celery_executor",
    "datasets",
    "figures",
    "hang_limit",
    "local_executor",
    "page",
    "parameter_set",
    "results",
    "slice_run",
    "slice_task",
    "space",
    "store",
    "sweep",
    "sweep_run",
    "variants",
    "walk_forward",
    "work_plan",
]
