"""Make the program in one file, for any Python 3.11 or later: ``.venv/bin/python tools/pyz.py [FILE]``.

It holds ccsetup and what it needs, pure Python, in the versions of the environment that runs this; the relay, the
keyring and the unpacking of answers need more than that.  When it is run first, it unpacks itself below ``~/.shiv``.
The same sources give the same bytes.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_NOT_PURE = (".so", ".pyd")
_LEFT_OUT = ("__pycache__", *_NOT_PURE)


def needed(name: str = "ccsetup") -> list[str]:
    """Return the distributions that *name* needs, directly or not, without its extras; sorted."""
    found: set[str] = set()
    left = [name]
    while left:
        for text in metadata.requires(left.pop()) or ():
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            one = canonicalize_name(requirement.name)
            if one not in found:
                found.add(one)
                left.append(one)
    return sorted(found)


def copy(name: str, folder: str) -> None:
    """Copy the files of an installed distribution to *folder*, but for programs and what is not pure Python."""
    distribution = metadata.distribution(name)
    for file in distribution.files or ():
        if file.parts[0] == ".." or any(part.endswith(_LEFT_OUT) for part in file.parts):
            continue
        target = os.path.join(folder, *file.parts)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(str(file.locate()), target)


def build(target: str) -> None:
    """Write the file *target*.  CalledProcessError when it cannot be built."""
    python = [sys.executable, "-m"]
    with tempfile.TemporaryDirectory() as work:
        site, wheels = os.path.join(work, "site"), os.path.join(work, "wheels")
        subprocess.run([*python, "build", "--wheel", "--no-isolation", "--outdir", wheels, ROOT], check=True)
        (wheel,) = os.listdir(wheels)
        quiet = ["-q", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
        subprocess.run([*python, "pip", "install", *quiet, "--target", site, os.path.join(wheels, wheel)], check=True)
        shutil.rmtree(os.path.join(site, "bin"), ignore_errors=True)
        for name in ("direct_url.json", "RECORD"):  # they tell of the folder of this build
            os.unlink(*glob.glob(os.path.join(site, "ccsetup-*.dist-info", name)))
        for name in needed():
            copy(name, site)
        how = ["--reproducible", "--compressed", "--python", "/usr/bin/env python3", "--console-script", "ccsetup"]
        done = [*python, "shiv", "--site-packages", site, "--output-file", target, *how]
        subprocess.run(done, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": "315532800"})


def main() -> None:
    """Build what is named on the command line, else dist/ccsetup.pyz."""
    target = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "dist", "ccsetup.pyz")
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    build(target)
    print(target)


if __name__ == "__main__":
    main()
