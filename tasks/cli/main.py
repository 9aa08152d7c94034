"""The command line for what the workers do: `./run tasks --help`."""

import sys
from collections.abc import Callable
from contextlib import suppress

import typer

from tasks import invocation
from tasks.cli import command_line
from tasks.cli.commands import TABLE
from tasks.errors import RealtimeStrategiesError, SettingsError
from tasks.telemetry import terminal

app = command_line.top(
    TABLE,
    help="Backtest strategies, look at signals and dead letters, find what is wrong, show the settings.",
    no_args_is_help=True,
)


@app.callback()
def _prepare(context: typer.Context) -> None:
    from tasks.settings import load  # noqa: PLC0415 help pages need no settings
    from tasks.telemetry.logs import configure_command_logs, log_hints  # noqa: PLC0415 nor logs

    if context.obj is main:
        configure_command_logs()
    if context.invoked_subcommand == "doctor":
        return  # it says them as findings
    with suppress(SettingsError):  # the command says it, if it needs them
        log_hints(load())


def _program() -> None:
    app(prog_name=invocation.command("tasks"), obj=main)


def main(command: Callable[[], object] = _program) -> None:
    """Run the command that the arguments of the process name; one line and exit status 1 for what a person can fix."""
    terminal.accept_any_text()
    try:
        command()
    except RealtimeStrategiesError as error:
        command_line.echo(f"error: {invocation.as_called(str(error))}", err=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(0) from None
    except OSError as error:
        command_line.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
    except _refused_by_redis() as error:
        from tasks.settings import load, mask  # noqa: PLC0415 help pages need no settings

        command_line.echo(f"error: Redis at {mask(' '.join(load().ledgers))}: {error}", err=True)
        raise SystemExit(1) from None


def _refused_by_redis() -> tuple[type[Exception], ...]:
    """Return the errors of Redis's client; where nobody has imported it there is none."""
    client = sys.modules.get("redis")
    return (client.RedisError,) if client else ()
