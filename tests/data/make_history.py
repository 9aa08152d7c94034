"""Writes archives of trades as Binance Vision publishes them: python -m tests.data.make_history [FOLDER].

Three days of one symbol, for docs/tutorials/from-history-to-live.md: a made-up market, the same each time, whose price drifts in one
direction for some minutes at a time.
"""

import argparse
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

SYMBOL = "BTCUSDT"
FIRST_DAY = datetime(2024, 8, 8, tzinfo=UTC)
DAYS = 3
SEED = 4
#: From one trade to the next, seconds on average; the exchange has a hundred times as many.
GAP_S = 12.0
#: How long the price drifts in one direction, seconds on average, and how fast: the standard deviation, a second.
DRIFT_S = 600.0
DRIFT = 4.5e-6
#: What chance adds from one trade to the next: the standard deviation.
NOISE = 2e-4


def rows(seed: int = SEED) -> Iterator[tuple[datetime, str]]:
    """Yield the trades of all days: the time, and the row of the archive."""
    dice = Random(seed)
    at, end = FIRST_DAY, FIRST_DAY + timedelta(days=DAYS)
    price, drift, id_ = 61_800.0, 0.0, 3_700_000_000
    while True:
        gap_s = dice.expovariate(1 / GAP_S)
        at, id_ = at + timedelta(seconds=gap_s), id_ + 1
        if at >= end:
            return
        if dice.random() < gap_s / DRIFT_S:
            drift = dice.gauss(0, DRIFT)
        move = drift * gap_s + dice.gauss(0, NOISE)
        price *= 1 + move
        quantity = dice.uniform(0.0001, 0.02)
        maker = "True" if dice.random() < (0.3 if move > 0 else 0.7) else "False"
        time_ms = int(at.timestamp() * 1_000)
        yield at, f"{id_},{price:.2f},{quantity:.5f},{price * quantity:.8f},{time_ms},{maker},True\n"


def write(folder: Path, seed: int = SEED) -> list[Path]:
    """Write an archive for each day; return them."""
    days: dict[str, list[str]] = {}
    for at, row in rows(seed):
        days.setdefault(f"{at:%Y-%m-%d}", []).append(row)
    return [_archive(folder, f"{SYMBOL}-trades-{day}", of_day) for day, of_day in days.items()]


def _archive(folder: Path, name: str, of_day: list[str]) -> Path:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        # Without a time of its own, so that the same content is the same file.
        archive.writestr(zipfile.ZipInfo(f"{name}.csv"), "".join(of_day), zipfile.ZIP_DEFLATED)
    path = folder / f"{name}.zip"
    path.write_bytes(packed.getvalue())
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.data.make_history", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path())
    for file in write(parser.parse_args().folder):
        print(file)
