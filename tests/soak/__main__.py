"""`python -m tests.soak`: what `./run soak` calls."""

from tasks import invocation
from tests.soak.commands import app

if __name__ == "__main__":
    app(prog_name=invocation.run())
