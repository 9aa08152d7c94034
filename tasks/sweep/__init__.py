"""Sweeps: many parameter sets of strategies over the same recordings, on workers or in processes of this machine.

Only the commands, the workers' research task and notebooks use it. It knows the backtest's engine, paper accounts and
recordings.
"""

from tasks.sweep.parameter_set import ParameterSet

__all__ = ["ParameterSet", "parameter_set"]
