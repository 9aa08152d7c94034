"""Pages of one HTML file that holds everything, opens without a network, and is dark where the reader's system is.

Their charts are plotly's, which is an optional dependency: it is imported here, when a page is written.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from tasks.errors import SettingsError
from tasks.optional import optional_module

#: Of plotly's charts.
CONFIG = {"displaylogo": False, "responsive": True, "plotlyServerURL": ""}
STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


def plotly() -> Any:
    """Import the plotting library. Raises SettingsError when it is not installed."""
    return optional_module("plotly", "demo", wanted_by="--html")


def document(library: Any, title: str, body: str, *, style: str = "", script: str = "") -> str:
    """Return the page around a body of HTML; `style` and `script` follow those that every page has."""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}{style}</style>
<script>{library.offline.get_plotlyjs()}</script></head>
<body>{body}
<script>{SCRIPT}{script}</script></body></html>
"""


def chart(library: Any, drawn: Mapping[str, Any], name: str) -> str:
    """Return a chart; `name` is read to those who can't see it."""
    made = library.io.to_html(drawn, config=CONFIG, include_plotlyjs=False, full_html=False)
    return f'<div class="chart" role="group" aria-label="{escape(name)}">{made}</div>'


def save(path: Path, page: str) -> int:
    """Write a page; return its size in bytes. Raises SettingsError: the file can't be written."""
    packed = page.encode()
    try:
        path.write_bytes(packed)
    except OSError as error:
        raise SettingsError(f"can't write {path}: {error.strerror or error}") from None
    return len(packed)
