"""`python -m compose.local`: what `./run demo` calls."""

import sys

if __name__ == "__main__":
    try:
        from compose.local.commands import app  # importing takes a moment, in which Ctrl-C must work too

        app(prog_name="./run")
    except KeyboardInterrupt:
        sys.exit(130)
