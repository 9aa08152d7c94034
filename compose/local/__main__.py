"""`python -m compose.local`: what `./run demo` calls."""

import signal

if __name__ == "__main__":
    # Importing takes a moment, in which Ctrl-C just ends it; an exception could get lost in somebody's import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from compose.local.commands import app
    from tasks import invocation
    from tasks.telemetry.terminal import accept_any_text

    accept_any_text()
    app(prog_name=invocation.run())
