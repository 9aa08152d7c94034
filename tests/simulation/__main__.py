"""`python -m tests.simulation`: what `./run sim` calls."""

from tasks import invocation
from tests.simulation.commands import app

if __name__ == "__main__":
    app(prog_name=invocation.run())
