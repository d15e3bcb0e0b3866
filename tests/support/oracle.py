"""Microsoft's jsonc-parser as an independent reader of JSON with comments: one node process, fed by lines.

``python tests/support/oracle.py`` installs it; the tests do that too when it is missing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple, Optional

VERSION = "3.3.1"

# Read at import: the tests point HOME, where npm is configured, elsewhere.
_ENVIRONMENT = dict(os.environ)
_FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "oracle" / f"jsonc-parser-{VERSION}"

_PROGRAM = r"""
const { parseTree, createScanner, SyntaxKind } = require("jsonc-parser");
const plain = (node, text) => {
  switch (node.type) {
    case "object":
      return ["object", node.children.map((p) => [p.children[0].value, plain(p.children[1], text)])];
    case "array":
      return ["array", node.children.map((n) => plain(n, text))];
    case "number":
      return ["number", text.slice(node.offset, node.offset + node.length)];
    default:
      return [node.type, node.value];
  }
};
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const text = JSON.parse(line);
  const errors = [];
  const tree = parseTree(text, errors, { allowTrailingComma: true, disallowComments: false });
  const comments = [];
  const scanner = createScanner(text, false);
  while (scanner.scan() !== SyntaxKind.EOF) {
    const kind = scanner.getToken();
    if (kind === SyntaxKind.LineCommentTrivia || kind === SyntaxKind.BlockCommentTrivia) {
      comments.push(text.substr(scanner.getTokenOffset(), scanner.getTokenLength()));
    }
  }
  const answer = errors.length || !tree ? { ok: false } : { ok: true, tree: plain(tree, text), comments };
  process.stdout.write(JSON.stringify(answer) + "\n");
});
"""


class Reading(NamedTuple):
    """What jsonc-parser sees in a text."""

    tree: Any
    """["object", [[key, tree], ...]], ["array", [...]], ["number", source text], or
    ["string" | "boolean" | "null", value]."""
    comments: list[str]


def install() -> None:
    """Install the pinned jsonc-parser; raise RuntimeError when npm cannot."""
    if (_FOLDER / "node_modules" / "jsonc-parser" / "package.json").exists():
        return
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise RuntimeError("node and npm are not installed")
    _FOLDER.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            npm,
            "install",
            "--prefix",
            str(_FOLDER),
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-save",
            f"jsonc-parser@{VERSION}",
        ],
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(f"npm install jsonc-parser@{VERSION} failed: {done.stderr.strip()[-300:]}")


class Oracle:
    """A running jsonc-parser; a context manager."""

    def __enter__(self) -> Oracle:
        install()
        self._process = subprocess.Popen(
            ["node", "-e", _PROGRAM], cwd=_FOLDER, env=_ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def read(self, text: str) -> Optional[Reading]:
        """Return what *text*, without byte order mark, says; None when it is refused."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(text).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return Reading(answer["tree"], answer["comments"]) if answer["ok"] else None


if __name__ == "__main__":
    install()
