"""Rows of a sweep as files."""

import csv
from pathlib import Path

import pytest

from tasks.cli.sweep import table_files
from tasks.errors import SettingsError
from tasks.sweep.figures import SweepRow
from tests.support import needs

ROWS = [
    SweepRow(
        "skew", {"levels": 5, "gate.min_confidence": 0.5, "symbols": ["A", "B"]}, signals=3, profit=1.25, hit_rate=0.1
    ),
    SweepRow("momentum", {"levels": 2.5, "name": "fast"}, error="Traceback\nboom"),
]


def test_csv_has_a_column_for_each_parameter_and_says_what_figures_are_of(tmp_path: Path):
    table_files.write_csv(tmp_path / "rows.csv", ROWS, "in-sample")
    with (tmp_path / "rows.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["sample"], first["strategy"], first["parameter.levels"]) == ("in-sample", "skew", "5")
    assert (first["parameter.gate.min_confidence"], first["parameter.symbols"]) == ("0.5", '["A","B"]')
    assert (first["profit"], first["hit_rate"], first["average_win"], first["error"]) == ("1.25", "0.1", "", "")
    assert (second["parameter.name"], second["parameter.symbols"], second["error"]) == ("fast", "", "Traceback\nboom")


def test_parquet_reads_back_as_the_same_numbers(tmp_path: Path):
    parquet = needs.module("pyarrow.parquet")
    table_files.write_parquet(tmp_path / "rows.parquet", ROWS, "test windows")
    table = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [row["sample"] for row in table] == ["test windows"] * 2
    assert [row["parameter.levels"] for row in table] == [5.0, 2.5]
    assert [(row["signals"], row["profit"], row["hit_rate"]) for row in table] == [(3, 1.25, 0.1), (0, 0.0, None)]


def test_parquet_of_another_suffix_is_refused_before_the_run(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"--parquet .*rows.csv: the name must end in .parquet"):
        table_files.require(tmp_path / "rows.csv")


def test_a_csv_that_cannot_be_written_is_one_line(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"can't write .*: No such file or directory"):
        table_files.write_csv(tmp_path / "missing" / "rows.csv", ROWS, "in-sample")
