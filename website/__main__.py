"""Builds the site: python -m website. Whatever is wrong with a link or with the navigation fails it."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import mmdr

from website.link_check import broken_links
from website.pages import ROOT, BrokenLinkError
from website.staging import CONFIGURATION, NavigationError, stage

SITE = ROOT / "dist" / "site"


def _draw(diagram: str) -> str:
    svg: str = mmdr.render(diagram).svg()
    return svg


def build(to: Path) -> list[str]:
    """Build the site into a folder, in place of what is there, and return what is wrong with it."""
    # The generator reads its configuration, pages and cache from one folder, and writes below it.
    with tempfile.TemporaryDirectory(prefix="site-") as name:
        folder = Path(name)
        try:
            stage(folder, _draw)
        except (BrokenLinkError, NavigationError) as error:
            return str(error).splitlines()
        command = [sys.executable, "-P", "-m", "zensical", "build", "--strict", "-f", CONFIGURATION.name]
        ended = subprocess.run(
            command, cwd=folder, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if ended.returncode:
            # What it found, without the traceback with which it ends.
            sys.stderr.write(ended.stdout.partition("Traceback")[0])
            return ["the generator has found what is written above"]
        if wrong := [*broken_links(folder / "site")]:
            return wrong
        shutil.rmtree(to, ignore_errors=True)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / "site", to)
    return []


def main() -> int:
    """Build the site, say where it is, or what is wrong with it."""
    parser = argparse.ArgumentParser(prog="./run site", description="Build the documentation as a site.")
    parser.add_argument("--to", type=Path, default=SITE, help="the folder that is written, in place of what it holds")
    to = parser.parse_args().to.resolve()
    wrong = build(to)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)  # noqa: T201 a command line prints
    if not wrong:
        print(f"{to / 'index.html'}: open it in a browser, no server is needed")  # noqa: T201 the same
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
