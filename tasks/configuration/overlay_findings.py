"""Values set at run time that conflict with the strategies file: reported at every start, until somebody decides."""

from collections.abc import Iterator

from tasks.configuration import overlay, registry
from tasks.configuration.model import Configuration
from tasks.configuration.overlay import Overlay, format_value
from tasks.protocol.findings import Finding


def runtime_values(file: Configuration, values: Overlay) -> Iterator[Finding]:
    """Yield a warning for each value that is not used, or whose value in the file was changed."""
    for value, says in overlay.overtaken(file, values):
        instead = " or ".join(map(format_value, says))
        yield Finding(
            "warning",
            f"configuration {value.label}",
            f"{format_value(value.value)} was set at run time and stays, though the strategies file says {instead} by now",
            f"`./run tasks strategies reset {value.label}` takes the file's; set it again to keep it",
            "configuration_overlay",
        )
    for value, why in overlay.merge(file, values, registry.build).unused:
        yield Finding(
            "warning",
            f"configuration {value.label}",
            f"{format_value(value.value)} was set at run time and is not used: {why}",
            f"`./run tasks strategies reset {value.label}` forgets it",
            "configuration_overlay",
        )
