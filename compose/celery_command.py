"""Celery's own command line: `python -m compose.celery_command` is what `./run celery` calls."""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from celery.bin.celery import celery

# Celery looks for modules in the current folder first; ours are there already then. This one ends the process in one line
# where the settings can't be used, so celeryconfig comes after it.
import tasks.celery  # noqa: F401 for that alone
from tasks import invocation
from tasks.cli import command_line

_FLOWER = "flowerconfig"


def main() -> None:
    """Run it with the arguments of the process."""
    import_module("celeryconfig")
    # Flower asks the current folder only.
    ours = find_spec(_FLOWER)
    if ours and ours.origin and not Path(f"{_FLOWER}.py").exists():
        os.environ.setdefault("FLOWER_CONF", ours.origin)
    celery.context_settings.update(command_line.HELP_OPTIONS)
    sys.exit(celery(prog_name=invocation.command("celery"), auto_envvar_prefix="CELERY"))


if __name__ == "__main__":
    main()
