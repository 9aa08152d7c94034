"""Datasets: recordings that were parsed once and packed by symbol, so that a sweep reads any part of them cheaply.

    RESEARCH_DIR/data/<key>/    made by `writer`, kept small by `cache`, sent by `upload`, read by `reader`

Sweeps, their command and the workers' research task use it. It knows recordings, frames and settings.
"""

from tasks.sweep.datasets.dataset import Dataset, SymbolEvents

__all__ = [
    "Dataset",
    "SymbolEvents",
    "cache",
    "dataset",
    "event_files",
    "folder",
    "reader",
    "sources",
    "upload",
    "writer",
]
