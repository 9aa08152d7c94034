"""The command line for what the workers do: `./run tasks --help`."""

import sys
from collections.abc import Callable
from contextlib import suppress

import redis
import typer
from rich.text import Text

from tasks import invocation
from tasks.cli import command_line
from tasks.cli.backtest import app as backtest_app
from tasks.cli.command_line import AsJson
from tasks.cli.dead_letters import app as deadletters_app
from tasks.cli.doctor import app as doctor_app
from tasks.cli.export import app as export_app
from tasks.cli.history import app as history_app
from tasks.cli.live_configuration import app as live_configuration_app
from tasks.cli.positions import app as positions_app
from tasks.cli.shadow.commands import app as shadow_app
from tasks.cli.signals import app as signals_app
from tasks.cli.state.prune import app as state_prune_app
from tasks.cli.state.seed import app as state_seed_app
from tasks.cli.states import app as state_app
from tasks.cli.strategies import app as strategies_app
from tasks.cli.sweep.commands import app as sweep_app
from tasks.cli.why import app as why_app
from tasks.clients.redis_client import FAILED
from tasks.engine.signal_message import SignalMessage
from tasks.errors import RealtimeStrategiesError, SettingsError
from tasks.settings import load, mask
from tasks.telemetry import terminal
from tasks.telemetry.logs import configure_command_logs, log_hints

app = command_line.top(
    help="Backtest strategies, look at signals and dead letters, find what is wrong, show the settings.",
    no_args_is_help=True,
)
config_app = typer.Typer(help="The settings in force.", no_args_is_help=True)
app.add_typer(backtest_app)
app.add_typer(sweep_app)
app.add_typer(export_app, name="export")
app.add_typer(deadletters_app, name="deadletters")
state_app.add_typer(state_seed_app)
state_app.add_typer(state_prune_app)
app.add_typer(state_app, name="state")
app.add_typer(config_app, name="config")
strategies_app.add_typer(live_configuration_app)
strategies_app.add_typer(history_app)
app.add_typer(strategies_app, name="strategies")
app.add_typer(shadow_app, name="shadow")
app.add_typer(signals_app)
app.add_typer(positions_app)
app.add_typer(why_app)
app.add_typer(doctor_app)

out = command_line.Console()
err = command_line.Console(stderr=True)


@app.command()
def schema() -> None:
    """Print the signal contract as JSON Schema."""
    command_line.echo_json(SignalMessage.model_json_schema(), indent=2)


@config_app.command("show")
def show_config(*, as_json: AsJson = False) -> None:
    """Show every setting: its environment name, its value (passwords masked), and what it means."""
    settings = load()
    shown = settings.shown()
    if as_json:
        command_line.echo_json(shown)
        return
    table = command_line.table("setting", "value", "what it is")
    for name, field in type(settings).model_fields.items():
        value = shown[name.upper()]
        given = "bold" if name in settings.model_fields_set else ""
        table.add_row(name.upper(), Text(value, given), field.description)
    command_line.print_table(out, table)


@app.callback()
def _hints(context: typer.Context) -> None:
    if context.invoked_subcommand == "doctor":
        return  # it says them as findings
    with suppress(SettingsError):  # the command says it, if it needs them
        log_hints(load())


def _program() -> None:
    app(prog_name=invocation.command("tasks"))


def main(command: Callable[[], object] = _program) -> None:
    """Run the command that the arguments of the process name; one line and exit status 1 for what a person can fix."""
    terminal.accept_any_text()
    configure_command_logs()
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
    except FAILED as error:
        where = f"Redis at {mask(load().ledger)}: " if isinstance(error, redis.RedisError) else ""
        command_line.echo(f"error: {where}{error}", err=True)
        raise SystemExit(1) from None
