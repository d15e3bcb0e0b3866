"""YAML, as the program wants a format of documents: parsed, located, and edited without touching the rest.

It edits block mappings and writes new values as JSON, which is YAML too: as much as this client's settings need.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Optional

import yaml

from ccsetup.documents.edit import Edit, KeyPath, Set, lookup
from ccsetup.documents.encoding import decode, encode
from ccsetup.errors import DocumentError

__all__ = ["apply", "decode", "encode", "locate", "parse"]


def parse(text: str) -> Any:
    try:
        return yaml.safe_load(text) or {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise DocumentError(
            str(error.problem), line=mark.line + 1 if mark else 1, column=mark.column + 1 if mark else 1
        ) from None


def locate(text: str, path: KeyPath) -> int:
    """Return the line of *path*, from 1; 0 where it is not."""
    found = _member(yaml.compose(text), path)
    return found[0].start_mark.line + 1 if found else 0


def apply(text: str, edits: Sequence[Edit]) -> str:
    for edit in edits:
        text = _set(text, edit.path, edit.value) if isinstance(edit, Set) else _unset(text, edit.path, edit.prune)
    return text


def _member(root: Any, path: KeyPath) -> Optional[tuple[Any, Any]]:
    """Return the nodes of key and value at *path*."""
    found = None
    for name in path:
        if not isinstance(root, yaml.MappingNode):
            return None
        found = next(((k, v) for k, v in root.value if k.value == name), None)
        if found is None:
            return None
        root = found[1]
    return found


def _set(text: str, path: KeyPath, value: Any) -> str:
    root = yaml.compose(text)
    for depth in range(len(path), 0, -1):
        found = _member(root, path[:depth])
        if found is None:
            continue
        key, node = found
        if depth == len(path):
            inside = f" {json.dumps(value)}\n" if isinstance(node, yaml.MappingNode) and not node.flow_style else ""
            start = key.end_mark.index + 1 if inside else node.start_mark.index
            return text[:start] + (inside or json.dumps(value)) + text[node.end_mark.index :]
        if isinstance(node, yaml.MappingNode) and not node.flow_style:
            return _insert(text, _end(text, node), node.start_mark.column, path[depth:], value)
        inner = dict(parse(text[node.start_mark.index : node.end_mark.index]))
        _put(inner, path[depth:], value)
        return _set(text, path[:depth], inner)
    return _insert(text, len(text), 0, path, value)


def _put(data: dict[str, Any], path: KeyPath, value: Any) -> None:
    for name in path[:-1]:
        data = data.setdefault(name, {})
    data[path[-1]] = value


def _insert(text: str, at: int, column: int, path: KeyPath, value: Any) -> str:
    lines = [f"{' ' * (column + 2 * i)}{name}:\n" for i, name in enumerate(path)]
    lines[-1] = f"{lines[-1][:-1]} {json.dumps(value)}\n"
    newline = "" if not text[:at] or text[:at].endswith("\n") else "\n"
    return text[:at] + newline + "".join(lines) + text[at:]


def _end(text: str, node: Any) -> int:
    """Return where the last line of *node* ends: its mark is behind comments that follow."""
    last = node.value[-1][1] if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style else None
    if last is not None:
        return _end(text, last)
    end: int = node.end_mark.index
    return end if text[:end].endswith("\n") else (text.find("\n", end) + 1 or len(text))


def _unset(text: str, path: KeyPath, prune: int) -> str:
    found = _member(yaml.compose(text), path)
    if found is None:
        return text
    key, node = found
    parent = lookup(parse(text), path[:-1])
    if len(parent) == 1 and len(path) > 1:  # nothing else is in it
        return _unset(text, path[:-1], prune - 1) if prune else _set(text, path[:-1], {})
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    if text[start : key.start_mark.index].strip():  # in a mapping on one line
        left = dict(parent)
        del left[path[-1]]
        return _set(text, path[:-1], left)
    return text[:start] + text[_end(text, node) :]
