"""`python -m tests.bench`: what `./run bench` calls."""

from tasks import invocation
from tasks.telemetry.terminal import accept_any_text
from tests.bench.commands import app

if __name__ == "__main__":
    accept_any_text()
    app(prog_name=invocation.run())
