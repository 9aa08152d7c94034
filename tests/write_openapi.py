"""Writes the OpenAPI document of ingest's API into docs/api/openapi.json: python -m tests.write_openapi.

A test holds it current.
"""

import argparse
import json

from compose.local.processes import ROOT
from ingest.api import openapi

FILE = ROOT / "docs" / "api" / "openapi.json"


def text() -> str:
    """Return the document as it stands in the docs."""
    return json.dumps(openapi.document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text(), encoding="utf-8")
