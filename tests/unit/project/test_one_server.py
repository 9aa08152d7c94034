"""Every HTTP server of ours is the one whose connections, bodies and names are bounded."""

import re

from compose.local.processes import ROOT

SERVING = re.compile(
    r"\b(HTTPServer|TCPServer|start_server|create_server|bind_sockets|http\.server)\(|import.*HTTPServer"
)
#: What makes and uses it.
KNOWN = {"tasks/telemetry/bounded_server.py", "tasks/telemetry/http_server.py", "tasks/ops/flower_server.py"}


def test_nothing_else_listens():
    listening = {
        str(path.relative_to(ROOT))
        for top in ("tasks", "ingest")
        for path in (ROOT / top).rglob("*.py")
        if SERVING.search(path.read_text())
    }
    assert listening - KNOWN == set()
    assert listening, "the pattern finds those that there are"
