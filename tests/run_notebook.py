"""Runs the notebook of the docs and writes it with its outputs: python -m tests.run_notebook [TARGET].

Without TARGET it takes the notebook's own place. A test runs it and compares.
"""

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from compose.local.processes import ROOT

NOTEBOOK = ROOT / "docs" / "notebooks" / "research.ipynb"
#: Ends what hangs and says nothing about speed.
HANGS_S = 150


def run(target: Path) -> None:
    """Run every cell, from the notebook's own folder, as Jupyter does."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=HANGS_S,
        record_timing=False,
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    )
    client.execute()
    # What differs from one machine to the next says nothing.
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(notebook, target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", type=Path, default=NOTEBOOK)
    run(parser.parse_args().target)
