"""Write requirements/dev.lock, everything that the checks install, with hashes: ``python3 tools/lock.py``.

The lock is made by pip-tools in a throw-away environment and installed by plain pip.  It names no package
index: which one is used is the business of the machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOCK = os.path.join(ROOT, "requirements", "dev.lock")
PIP_TOOLS = "pip-tools==7.6.2"
HEADER = """\
# Written by tools/lock.py from pyproject.toml (dependencies, build-system, group dev); do not edit.
# Install with: pip install --require-hashes -r requirements/dev.lock
"""


def wanted() -> list[str]:
    """Return the requirements that the lock has to satisfy, as pyproject.toml writes them."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)
    # hatchling asks for editables when the project is installed in place.
    return [
        *project["project"]["dependencies"],
        *project["build-system"]["requires"],
        *project["dependency-groups"]["dev"],
        "editables",
    ]


def main() -> None:
    """Lock; keep the versions of the present lock except with --upgrade."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        venv.create(os.path.join(work, "venv"), with_pip=True)
        python = os.path.join(work, "venv", "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "-q", PIP_TOOLS], check=True)
        with open(os.path.join(work, "dev.in"), "w", encoding="utf-8") as file:
            file.write("\n".join(wanted()) + "\n")
        if os.path.exists(LOCK) and not options.upgrade:
            shutil.copyfile(LOCK, os.path.join(work, "dev.lock"))
        options_ = "-q --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate"
        no_index = "--no-emit-index-url --no-emit-find-links --no-emit-trusted-host"
        subprocess.run(
            [python, "-m", "piptools", "compile", *options_.split(), *no_index.split(), "-o", "dev.lock", "dev.in"],
            cwd=work,
            check=True,
        )
        with open(os.path.join(work, "dev.lock"), encoding="utf-8") as file:
            text = HEADER + "".join(line for line in file if not line.startswith("#"))
    if "://" in text:
        sys.exit("the lock would name an index or an address: nothing was written")
    os.makedirs(os.path.dirname(LOCK), exist_ok=True)
    with open(LOCK, "w", encoding="utf-8") as file:
        file.write(text)
    print(os.path.relpath(LOCK, ROOT))


if __name__ == "__main__":
    main()
