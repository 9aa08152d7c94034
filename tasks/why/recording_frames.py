"""The frames of recordings that a lane needs; of others only the line's head is read."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tasks.frames.model import StreamName, parse_stream
from tasks.history import recordings
from tasks.history.input_options import ALL, InputOptions
from tasks.history.input_report import CountingReport
from tasks.why.lane import SourceFrame

Needs = Callable[[StreamName | None], bool]


def read(
    paths: Iterable[Path], needs: Needs, options: InputOptions = ALL, note: Callable[[str], None] = lambda _: None
) -> Iterator[SourceFrame]:
    """Yield the frames that are needed, in the order of the recordings. Raises RecordingError.

    `note` is told what a person should know of the files; what can't be read is passed over, as the backtest does.
    """
    needed: dict[str, bool] = {}
    for seq, line in enumerate(recordings.merge(paths, CountingReport(note), options), start=1):
        wanted = needed.get(line.stream)
        if wanted is None:
            wanted = needed[line.stream] = needs(parse_stream(line.stream))
        if wanted:
            yield SourceFrame(line.raw, line.stream, seq, line.received_at_ns)
