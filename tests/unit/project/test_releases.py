"""Each release has its folder of data, which tests of upgrades read."""

import gzip
import re
from pathlib import Path

import pytest

from compose.local.processes import ROOT
from tests.data import make_release
from tests.support.stacks.releases import RUNNABLE, unpack

HEADING = re.compile(r"^## \[?(\d[^ \]]*)", re.MULTILINE)


@pytest.mark.parametrize("version", HEADING.findall((ROOT / "CHANGELOG.md").read_text()))
def test_a_version_of_the_changelog_has_what_it_left_and_its_code(version):
    folder = make_release.FOLDER / version
    left = {file.name for file in folder.glob("*")}
    assert left == {"redis.tar.gz", "nats.tar.gz", "code.tar.gz"}, "python -m tests.data.make_release writes them"


@pytest.mark.parametrize("release", RUNNABLE)
def test_the_code_of_a_release_packs_into_the_same_bytes(tmp_path: Path, release: str):
    tree = unpack(release, "code", tmp_path / "code")
    make_release.pack(tmp_path / "code.tar.gz", tree, make_release.CODE)
    kept = make_release.FOLDER / release / "code.tar.gz"
    assert gzip.decompress((tmp_path / "code.tar.gz").read_bytes()) == gzip.decompress(kept.read_bytes())


def test_releases_take_a_few_megabytes():
    sizes = [file.stat().st_size for file in make_release.FOLDER.rglob("*.tar.gz")]
    assert sum(sizes) < 1_500_000 * len(list(make_release.FOLDER.iterdir()))
