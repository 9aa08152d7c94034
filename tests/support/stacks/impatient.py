"""Runs ingest as `python -m ingest` does, but it soon sends again what nobody committed: `-m tests.support.stacks.impatient`."""

import runpy

from ingest.lanes import rtt_estimator

rtt_estimator.MIN_TIMEOUT_S = rtt_estimator.MAX_TIMEOUT_S = 0.3
runpy.run_module("ingest", run_name="__main__", alter_sys=True)
