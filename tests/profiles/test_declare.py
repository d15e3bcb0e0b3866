"""The document of ``export`` and ``apply``: what is refused and where, and that its schema says the same."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from ccsetup.clients import CLIENTS
from ccsetup.errors import DocumentError
from ccsetup.profiles import declare

ROOT = Path(__file__).resolve().parents[2]

FULL = """\
ccsetup: 1
profiles:
  - name: glm
    provider: glm
    region: cn
    key: {env: GLM_KEY}
    key_storage: env
    claude-code: {auth: auth_token, url: 'https://x.example/a', primary_model: m, haiku_model: h, sonnet_model: s,
      opus_model: o, fable_model: f, subagent_model: u, context_window: 200000}
    codex: {url: 'https://x.example/v1', primary_model: m, provider_id: p, context_window: 1000}
  - {name: two, provider: kimi, key: {command: pass show kimi}}
  - {name: three, provider: kimi, key: {file: ~/k}, key_storage: command, codex: null}
  - {name: four, provider: ollama}
active: {claude-code: glm, codex: three}
"""

WRONG = [
    ("ccsetup: 2\n", "1:10", "version 1"),
    ("profiles: []\n", "1:1", "'ccsetup' is missing"),
    ("ccsetup: 1\nprofile: []\n", "2:1", "'profiles'"),
    ("ccsetup: 1\nprofiles: {}\n", "2:11", "list"),
    ("ccsetup: 1\nprofiles:\n  - {provider: glm}\n", "3:5", "'name' is missing"),
    ("ccsetup: 1\nprofiles:\n  - {name: a, provider: glm, clade-code: {}}\n", "3:30", "'claude-code'"),
    ("ccsetup: 1\nprofiles:\n  - {name: a b, provider: glm}\n", "3:12", "profile name"),
    ("ccsetup: 1\nprofiles:\n  - {name: a, provider: glm, key: sk-abc}\n", "3:35", "comes from"),
    ("ccsetup: 1\nprofiles:\n  - {name: a, provider: glm, key: {env: sk-abc}}\n", "3:41", "variable"),
    ("ccsetup: 1\nprofiles:\n  - {name: a, provider: glm, key: {env: A, file: b}}\n", "3:35", "one of"),
    ("ccsetup: 1\nprofiles:\n  - {name: a, provider: glm, key_storage: inlin}\n", "3:43", "'inline'"),
    ("ccsetup: 1\nprofiles:\n  - {name: a, provider: glm, key_storage: env}\n", "3:43", "variable"),
    ("ccsetup: 1\nprofiles:\n  - {name: a, provider: glm, codex: {model: x}}\n", "3:38", "'primary_model'"),
    ("ccsetup: 1\nprofiles:\n  - {name: a, provider: glm, codex: {url: ftp://x}}\n", "3:43", "https://"),
    ("ccsetup: 1\nprofiles:\n  - {name: a, provider: glm, codex: {context_window: many}}\n", "3:54", "number"),
    ("ccsetup: 1\nprofiles:\n  - {name: 5, provider: glm}\n", "3:12", "text"),
    ("ccsetup: 1\nprofiles:\n  - {name: a, provider: x}\n  - {name: a, provider: x}\n", "4:5", "twice"),
    ("ccsetup: 1\nprofiles:\n  - {name: a, provider: x}\nactive: {codex: a}\n", "4:17", "no settings"),
    ("ccsetup: 1\nactive: {claud-code: a}\n", "2:10", "'claude-code'"),
]


@pytest.mark.parametrize(("text", "place", "word"), WRONG, ids=lambda v: None)
def test_errors_say_where_and_what_is_near(text: str, place: str, word: str) -> None:
    with pytest.raises(DocumentError) as caught:
        declare.parse(text.encode(), "team.yaml", CLIENTS)
    assert caught.value.message.startswith(f"team.yaml:{place}: ")
    assert word in caught.value.message + caught.value.hint
    assert "sk-abc" not in caught.value.message + caught.value.hint


def test_dump_and_parse_are_inverse() -> None:
    """Every field comes back as it was."""
    first = declare.parse(FULL.encode(), "x", CLIENTS)
    again = declare.parse(declare.dump(first).encode(), "x", CLIENTS)
    assert [d._replace(place=(0, 0)) for d in again.profiles] == [d._replace(place=(0, 0)) for d in first.profiles]
    assert {c: n for c, (n, _p) in again.active.items()} == {"claude-code": "glm", "codex": "three"}


def test_the_schema_takes_and_refuses_the_same() -> None:
    """What ``parse`` reads is valid, and what it refuses is not, but for what JSON Schema cannot say."""
    validator = jsonschema.Draft202012Validator(declare.table(CLIENTS).schema())
    for text in (FULL, (ROOT / "examples/team.yaml").read_text("utf-8")):
        assert list(validator.iter_errors(yaml.safe_load(text))) == []
        declare.parse(text.encode(), "x", CLIENTS)
    beyond = ("twice", "no settings", "variable")  # entries that are compared with each other
    for text, _place, word in WRONG:
        if word not in beyond:
            assert not validator.is_valid(yaml.safe_load(text)), text
