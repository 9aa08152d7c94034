"""`./run tasks strategies new`: a small project with a strategy, which works at once."""

import keyword
import re
import runpy
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Annotated

import msgspec
import typer

from tasks import invocation
from tasks.cli import command_line
from tasks.configuration import file_schema, registry
from tasks.errors import SettingsError
from tasks.version import VERSION

app = typer.Typer()

_TEMPLATE = Path(__file__).with_name("template")
#: By file of the template: where it goes; the strategy's name stands in for `strategy`.
_FILES = ("strategy.py", "test_strategy.py", "strategies.toml", "pyproject.toml", "Dockerfile", "README.md")
_SCHEMA = "strategies.schema.json"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
#: What the strategy's module imports: a class of the same name would take its place.
_IMPORTED = ("Annotated", "Field", "Iterator", "Params", "Signal", "State", "Strategy", "Trade")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Of the strategy, its module and its signals: dip_buyer.")],
    folder: Annotated[
        Path | None, typer.Option("--dir", help="The folder to write, empty or new.", show_default="the name")
    ] = None,
) -> None:
    """Write a small project with a strategy of your own: it can be checked, tested, backtested and run at once.

    Example: ./run tasks strategies new dip_buyer
    """
    target = folder or Path(name)
    _refuse(name, target)
    class_name = "".join(part.capitalize() for part in name.split("_"))
    if class_name in _IMPORTED:
        raise SettingsError(f"{name!r} can't be the name of a strategy: {class_name} is a class that it needs")
    target.mkdir(parents=True, exist_ok=True)
    for file in _FILES:
        text = Template((_TEMPLATE / f"{file}.txt").read_text(encoding="utf-8")).substitute(
            name=name,
            class_name=class_name,
            project=name.replace("_", "-"),
            version=VERSION,
        )
        (target / re.sub(r"strategy\.py$", f"{name}.py", file)).write_text(text, encoding="utf-8")
    _write_schema(target, name, class_name)
    command_line.echo(f"{target}: README.md has the commands; the first is")
    command_line.echo(
        f"STRATEGIES_FILE={target / 'strategies.toml'} {invocation.command('tasks')} strategies check {name}:{class_name}"
    )


def _refuse(name: str, target: Path) -> None:
    """Raise SettingsError where a strategy can't have the name, or the folder holds something."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise SettingsError(f"{name!r} can't be the name of a strategy: small letters, digits and _, such as dip_buyer")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SettingsError(f"{target} is there and not empty: name another folder with --dir")
    if name in registry.builtin_names():
        raise SettingsError(f"{name!r} is a built-in strategy: its signals would be named alike")
    found = find_spec(name)
    if found and found.origin:
        raise SettingsError(
            f"{name!r} can't be the name of a strategy: Python has a module of this name, {found.origin}"
        )


def _write_schema(target: Path, name: str, class_name: str) -> None:
    strategy = runpy.run_path(str(target / f"{name}.py"), run_name=name)[class_name]
    known = {each: registry.find(each) for each in registry.builtin_names()} | {f"{name}:{class_name}": strategy}
    packed = msgspec.json.format(msgspec.json.encode(file_schema.build(known)), indent=2)
    (target / _SCHEMA).write_bytes(packed + b"\n")
