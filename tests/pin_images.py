"""Pins the images that we build on and run by digest: python -m tests.pin_images [--check].

It asks each image's registry what its tag stands for today, so it needs one that answers. With --check it changes
nothing, names every image without that digest, and ends with status 1 if there is one.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from compose.local.processes import ROOT

#: Where images are named that others publish; our own have no digest before they are built.
FILES = ("Dockerfile", "compose/stack.yaml", ".env.example", *(
    str(path.relative_to(ROOT)) for path in sorted((ROOT / "k8s" / "components").glob("*/*.yaml"))
))  # fmt: skip
#: Behind ARG, a setting's default, or `image:`.
_IMAGE = re.compile(
    r"(?P<before>(?:_IMAGE=|_IMAGE:-|image: ))(?P<image>(?!realtime-strategies)[a-z][\w./-]*:[\w.-]+)"
    r"(?P<digest>@sha256:[0-9a-f]{64})?"
)


def images(text: str) -> dict[str, str]:
    """Return the digest of each image that a file names, empty where it has none."""
    return {found["image"]: found["digest"] or "" for found in _IMAGE.finditer(text)}


def pinned(text: str, digest: Callable[[str], str]) -> str:
    """Return a file with each image at the digest of today."""
    return _IMAGE.sub(lambda found: f"{found['before']}{found['image']}@{digest(found['image'])}", text)


def ask_registry(image: str) -> str:
    """Return the digest of an image for all platforms. Raises RuntimeError: the registry does not tell."""
    command = ["docker", "buildx", "imagetools", "inspect", image, "--format", "{{.Manifest.Digest}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    digest = done.stdout.strip()
    if done.returncode or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise RuntimeError(f"{image}: no digest: {(done.stderr.strip() or digest)[-300:]}")
    return digest


def main(root: Path = ROOT, ask: Callable[[str], str] = ask_registry) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="pin_images", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; say what is not pinned")
    check = parser.parse_args().check
    texts = {root / name: (root / name).read_text() for name in FILES}
    try:
        # Asked before anything is written, each once.
        digests = {image: ask(image) for text in texts.values() for image in images(text)}
    except (RuntimeError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    loose = {path: new for path, text in texts.items() if (new := pinned(text, digests.__getitem__)) != text}
    for path, new in loose.items():
        print(f"{path.relative_to(root)}: {'not pinned to the digests of today' if check else 'pinned'}")
        if not check:
            path.write_text(new)
    return int(check and bool(loose))


if __name__ == "__main__":
    sys.exit(main())
