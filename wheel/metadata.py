"""What the wheel says of its dependencies, for hatchling: that of the `.in` files, so that no list stands twice."""  # noqa: INP001 hatchling loads it by its path

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

#: By extra: the file of what it adds.
EXTRAS = {"demo": "requirements/demo.in", "extras": "requirements/extras.in"}


class RequirementsHook(MetadataHookInterface):  # type: ignore[misc]  # as mypy sees it where hatchling is not
    """Found by hatchling, because it is the only hook here."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called with the metadata of pyproject.toml, to complete it."""
        root = Path(self.root)
        metadata["dependencies"] = read(root / "requirements.in")
        metadata["optional-dependencies"] = {extra: read(root / name) for extra, name in EXTRAS.items()}


def read(file: Path) -> list[str]:
    """Return the requirements of a file, without comments, and without those of files that it names."""
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("-")]
