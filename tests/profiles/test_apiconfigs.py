"""``--api-configs`` text to entries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccsetup.errors import CcsetupError, UsageError
from ccsetup.profiles.apiconfigs import ENTRY, Entry, parse

VALUES: dict[str, Any] = {"default": True, "contextWindow": 7, "codeType": ["codex"], "type": "auth_token"}
VALUES |= {"set": {"a": 1}, "env": {"A": "b"}, "keyStorage": "env"}


def test_every_field_in_both_spellings() -> None:
    """Each field is taken as it is documented, and in snake_case."""
    for name in ENTRY.keys:
        snake = "".join("_" + c.lower() if c.isupper() else c for c in name)
        value = VALUES.get(name, "v")
        for spelling in (name, snake):
            (entry,) = parse(json.dumps([{"provider": "glm", spelling: value}]), "s")
            assert entry == Entry(
                {"provider": "glm", name: value} if name != "provider" else {"provider": value}, "s, entry 1"
            )


def test_forms_are_equal() -> None:
    """An array, an object with configs, and both in YAML mean the same."""
    wanted = parse('[{"provider": "glm", "default": true}]', "s")
    assert parse('{"configs": [{"provider": "glm", "default": true}]}', "s") == wanted
    assert parse("- provider: glm\n  default: true\n", "s") == wanted
    assert parse("configs:\n  - {provider: glm, default: true}\n", "s") == wanted
    assert parse('\ufeff [{"provider": "glm", "default": true}]\n', "s") == wanted


def test_a_name_may_stand_for_a_list() -> None:
    """codeType takes one name as well as several."""
    assert parse('[{"provider": "glm", "codeType": "codex"}]', "s")[0].fields["codeType"] == ["codex"]


def test_comments_and_trailing_commas() -> None:
    """JSON as people write it into a team's file is taken."""
    assert len(parse('[ // team\n {"provider": "glm",}, /* x */\n]', "s")) == 1


REFUSED = [
    ("", "s"),
    ("7", "array"),
    ('"text"', "array"),
    ("null", "array"),
    ("{}", "array"),
    ('{"configs": {}}', "array"),
    ('{"configs": [], "more": 1}', "array"),
    ("[]", "list is empty"),
    ('{"configs": []}', "list is empty"),
    ("[[]]", "entry 1"),
    ('[{"provider": "glm"}, 7]', "entry 2"),
    ('[{"provider": 7}]', "entry 1.provider: This has to be text"),
    ('[{"provider": null}]', "entry 1.provider: This has to be text"),
    ('[{"provider": "glm", "contextWindow": "7"}]', "entry 1.contextWindow: This has to be a whole number"),
    ('[{"provider": "glm", "contextWindow": true}]', "entry 1.contextWindow: This has to be a whole number"),
    ('[{"provider": "glm", "default": 1}]', "entry 1.default: This has to be true or false"),
    ('[{"provider": "glm", "codeType": [1]}]', "entry 1.codeType[0]: This has to be text"),
    ('[{"provider": "glm", "primary-model": "x"}]', "unknown field 'primary-model'"),
    ('[{"provider": "glm", "apiKey": "secret-1"}]', "unknown field 'apiKey'"),
    ('[{"provider": "glm", "keyFile": "a", "key_file": "b"}]', "'keyFile' appears twice"),
    ('[{"name": "x"}]', "Must provide either provider or type field"),
    ('[{"type": "oauth"}]', "Invalid auth type 'oauth'"),
    ('[{"type": "ccr_proxy"}]', "ccr_proxy"),
    ("- provider: glm\n  default: yes please\n", "entry 1.default: "),
    ("- &a [*a]\n", "s"),
    ("- !!python/object:os.system x\n", "s"),
    ("a: b\nc\n", "s"),
    ("- key: secret-1\n  key: secret-1\n", "s"),
]


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_refused(text: str, problem: str) -> None:
    """One sentence names the source and the entry; nothing that could be a key is repeated."""
    with pytest.raises(CcsetupError) as caught:
        parse(text, "s")
    assert problem in caught.value.message
    assert "s" in caught.value.message
    assert "secret-1" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("field", "near"),
    [
        ("primarymodel", "primaryModel"),
        ("providr", "provider"),
        ("apikey", "key"),
        ("haikuModel", "defaultHaikuModel"),
        ("codetype", "codeType"),
    ],
)
def test_the_nearest_field_is_named(field: str, near: str) -> None:
    """A slip of the pen is answered with the field that was meant."""
    with pytest.raises(UsageError) as caught:
        parse(json.dumps([{"provider": "glm", field: "x"}]), "s")
    assert f"'{near}'" in caught.value.hint or near in caught.value.hint


def test_a_number_of_many_digits_is_no_key() -> None:
    """A key without quotes is refused rather than rounded; where YAML takes it as text it is exact."""
    with pytest.raises(UsageError, match=r"entry 1\.key: This has to be text"):
        parse('[{"provider": "glm", "key": 12345678901234567890123}]', "s")
    for key in ("0012345", "12345678901234567890123", "1e5"):
        assert parse(f"- {{provider: glm, key: {key}}}", "s")[0].text("key") == key


def test_an_entry_hides_its_values() -> None:
    """A key in an entry is not in its repr."""
    assert "secret-1" not in repr(parse('[{"provider": "glm", "key": "secret-1"}]', "s"))
