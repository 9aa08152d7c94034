"""Runs ingest as `python -m ingest` does, but it soon sends again what nobody committed: `-m tests.support.stacks.impatient`."""

import sys

from ingest.lanes.rtt_estimator import TimeoutBounds
from ingest.service import run
from tasks.settings import load

if __name__ == "__main__":
    sys.exit(run(load(), TimeoutBounds(min_s=0.3, max_s=0.3)))
