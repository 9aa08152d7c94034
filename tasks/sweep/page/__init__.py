"""The HTML page of a sweep: what it shows, its figures and parameters, its walk-forward, and the scripts of its charts.

The sweep's command uses it. It knows the look and the tables of the backtest's page.
"""

from tasks.sweep.page.content import SweepPage, WalkForwardPage, WalkForwardWindow

__all__ = [
    "SweepPage",
    "WalkForwardPage",
    "WalkForwardWindow",
    "columns",
    "content",
    "html_page",
    "script_data",
    "walk_forward",
]
