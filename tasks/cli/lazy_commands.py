"""Groups of commands that load a command's module when it is called, and none to show their own help."""

import copy
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class LazyCommand(NamedTuple):
    """A command of `app` in a module, and the first paragraph of its help, which its group shows."""

    module: str
    summary: str


class LazyCommands(NamedTuple):
    """A group of commands by name, and its help."""

    summary: str
    commands: "Table"


class LazyProgram(NamedTuple):
    """A group of commands that is the whole `app` of a module, and its help."""

    module: str
    summary: str


Table = Mapping[str, LazyCommand | LazyCommands | LazyProgram]


class LoadedCommands(Mapping[str, Any]):
    """Commands by name, each loaded when it is first looked up, and then given to those that `on_load` named."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._loaded: dict[str, Any] = {}
        self._told: list[Callable[[Any], None]] = []

    def on_load(self, told: Callable[[Any], None]) -> None:
        """Have `told` called with each command that is loaded from now on."""
        self._told.append(told)

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            command = _load(name, self._table[name])
            for told in self._told:
                told(command)
            self._loaded[name] = command
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


class LazyGroup(TyperGroup):
    """A group whose commands are those of `table`, in that order."""

    table: ClassVar[Table] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = LoadedCommands(self.table)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 given by the base
        """Return the names, without a look at what they name."""
        return list(self.table)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, with the summaries of the table."""
        shown = copy.copy(self)
        shown.commands = {name: TyperCommand(name, help=each.summary) for name, each in self.table.items()}
        super(LazyGroup, shown).format_help(ctx, formatter)


def of(table: Table, base: type[LazyGroup] = LazyGroup) -> type[LazyGroup]:
    """Return the class of a group with these commands: typer makes the group itself."""
    return type(base.__name__, (base,), {"table": table})


def _load(name: str, named: LazyCommand | LazyCommands | LazyProgram) -> Any:
    if isinstance(named, LazyCommands):
        app = typer.Typer(name=name, cls=of(named.commands), help=named.summary, no_args_is_help=True)
        return typer.main.get_group(app)
    whole = typer.main.get_group(import_module(named.module).app)
    return whole if isinstance(named, LazyProgram) else whole.commands[name]
