"""`python -m tests.bench`: what `./run bench` calls."""

from tests.bench.commands import app

if __name__ == "__main__":
    app(prog_name="./run")
