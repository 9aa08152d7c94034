"""The releases of which tests have the code, or what they left behind."""

import tarfile
from pathlib import Path

from compose.local.processes import Instance
from compose.local.stack import Plan, Stack
from tests.data.make_release import FOLDER

#: All of them, and those whose code is there.
RELEASES = sorted(folder.name for folder in FOLDER.iterdir())
RUNNABLE = [release for release in RELEASES if (FOLDER / release / "code.tar.gz").exists()]


def unpack(release: str, name: str, directory: Path) -> Path:
    """Unpack what a release left, or its code, into a new directory; return that."""
    directory.mkdir()
    with tarfile.open(FOLDER / release / f"{name}.tar.gz") as archive:
        archive.extractall(directory, filter="data")
    return directory


def left_behind(release: str, instance: Instance, plan: Plan) -> Stack:
    """Start a stack with what a release left behind."""
    for server in ("redis", "nats"):
        unpack(release, server, instance.directory / server)
    return Stack(instance, plan)
