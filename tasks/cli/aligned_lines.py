"""Lines in aligned columns that come one by one, so that nobody knows how wide the next ones will be."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from rich.text import Text

from tasks.cli.command_line import Console, print_line
from tasks.telemetry.terminal import one_line


class LineColumn(NamedTuple):
    """A column, and how wide it is at least."""

    head: str
    width: int
    align: Literal["<", ">"] = "<"
    #: On a narrow terminal; 0: it is left out there. None: the same.
    narrow: int | None = None


class AlignedLines:
    """Prints lines in aligned columns. A longer value than any before widens its column from there on."""

    def __init__(self, console: Console, columns: Sequence[LineColumn], wide: int, text: str = "") -> None:
        """Print to a console; on one narrower than `wide` the columns stand closer.

        With `text`, its name, a text stands behind the columns, of which a terminal shows what fits.
        """
        self._console, self._columns, self._wide, self._text = console, columns, wide, text
        self._longest = [0] * len(columns)

    def header(self) -> None:
        """Print what the columns are."""
        heads = [each.head for each in self._columns]
        self.show(*(Text(head, "dim") for head in ([*heads, self._text] if self._text else heads)))

    def show(self, *cells: Text) -> None:
        """Print a line: a cell for each column, and the text, if there is one."""
        is_narrow = self._console.is_terminal and self._console.width < self._wide
        padded = []
        for cell in cells:
            cell.plain = one_line(cell.plain)
        for at, (column, value) in enumerate(zip(self._columns, cells, strict=False)):
            self._longest[at] = max(self._longest[at], value.cell_len)
            width = column.narrow if is_narrow and column.narrow is not None else column.width
            if width:
                value.align("left" if column.align == "<" else "right", max(width, self._longest[at]))
                padded.append(value)
        gap = Text(" " if is_narrow else "  ")
        line = gap.join(padded)
        if self._text:
            line, text = line + gap, cells[-1]
            if self._console.is_terminal:
                room = self._console.width - line.cell_len
                text.truncate(max(0, room), overflow="ellipsis" if room > 0 else "crop")
            line += text
        print_line(self._console, line)
