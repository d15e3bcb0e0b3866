"""Keys as they come in."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ccsetup import keys
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.model import KeyFamily, Preset, Secret

CLEAN = [
    ("sk-x", "sk-x"),
    ("  sk-x\t\r\n", "sk-x"),
    ("\ufeffsk-x", "sk-x"),
    ("0012345", "0012345"),
    ("a'b\"c\\$`{}", "a'b\"c\\$`{}"),
    ("x" * keys.MAX_BYTES, "x" * keys.MAX_BYTES),
]
REFUSED = [
    ("", "is empty"),
    (" \n\t", "is empty"),
    ("a b", "has a space inside"),
    ("a\nb", "has a line break inside"),
    ("a\rb", "has a line break inside"),
    ("a\x00b", "has a character inside"),
    ("a\x7fb", "has a character inside"),
    ("a\u00a0b", "has a character inside"),
    ("\u5bc6\u94a5", "has a character inside"),
    ("a\u200bb", "has a character inside"),
    ("x" * (keys.MAX_BYTES + 1), "is too long"),
]


@pytest.mark.parametrize(("text", "wanted"), CLEAN)
def test_clean(text: str, wanted: str) -> None:
    """White space and a byte order mark around a key go; everything else stays."""
    assert keys.clean(text, "x") == Secret(wanted)


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_refused(text: str, problem: str) -> None:
    """What no provider takes as a key is refused with its source, without the key."""
    with pytest.raises(UsageError) as caught:
        keys.clean(text, "the source")
    assert problem in caught.value.message
    assert "the source" in caught.value.message
    assert not text.strip() or text not in caught.value.message + caught.value.hint


TAKEN_APART = [
    '"{}"',
    "'{}'",
    "`{}`",
    "\u201c{}\u201d",
    "\u00ab{}\u00bb",
    "\u300c{}\u300d",
    "- KIMI_API_KEY={}",
    "ENV KIMI_API_KEY={}",
    'declare -x KIMI_API_KEY="{}"',
    "KIMI_API_KEY={}",
    'ANTHROPIC_AUTH_TOKEN="{}"',
    "export GLM_API_KEY='{}'",
    "export GLM_API_KEY={} # mine",
    "set OPENAI_API_KEY={}",
    '$env:OPENAI_API_KEY = "{}"',
    "KIMI={}",
    '"apiKey": "{}",',
    '"ANTHROPIC_API_KEY": "{}"',
    "api_key: {}",
    "x-api-key: {}",
    "Bearer {}",
    "Authorization: Bearer {}",
    'Authorization="Bearer {}"',
    "# the key\n\nANTHROPIC_API_KEY={}\n",
    "'\"{}\"'",
    "{};",
    "{},",
]
WHOLE = [
    "sk-0123456789abcdef==",
    "AbKey=",
    "user-key:password",
    "mytoken:abc",
    "abc=def",
    "id.secret/with+signs=",
    "it's",
    "a,b;",
]


@pytest.mark.parametrize("line", TAKEN_APART)
def test_what_stands_around_a_key_is_left_out(line: str) -> None:
    """Quotes, ``NAME=`` and ``Bearer`` are no part of the key, and what was left out is said once, without the key."""
    said: list[str] = []
    key = "sk-0123456789abcdef" + ("==" if len(line) > 3 else "")  # a sign at the end may be the key's
    assert keys.clean(line.format(key), "the source", said.append) == Secret(key)
    assert len(said) == 1
    assert "the source" in said[0]
    assert "0123456789" not in said[0]


@pytest.mark.parametrize("key", WHOLE)
def test_a_key_with_signs_stays_whole(key: str) -> None:
    """What only looks a little like a line with a name is a key; nothing is said."""
    said: list[str] = []
    assert keys.clean(key, "x", said.append) == Secret(key)
    assert not said


@pytest.mark.parametrize(
    "key",
    [
        "sk-...", "sk-ant-...", "<your-key>", "<KEY>", "sk-<your-key>", "YOUR_KEY", "YOUR_API_KEY", "your-api-key-here",
        "your_token_here", "sk-your-key", "yourApiKey", "YOUR_KIMI_API_KEY", "$KIMI_KEY", "${API_KEY}", "${api_key:-}",
        "$api_key", "$env:KIMI_KEY", "%KEY%", "%Kimi_Key%", "sk-****abcd", "sk-********************abcd", "***",
        "{{API_KEY}}",
        "{API_KEY}", "[your-key]", "$(pass show kimi)".replace(" ", ""), "API_KEY", "KIMI_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "insert-your-key", "REPLACE_WITH_KEY", "paste_key_here", "api-key-here", "process.env.KEY",
        "op://vault/kimi/key", "{env:KIMI_API_KEY}", "{file:~/.kimi}", "$KEY$",
        'KIMI_API_KEY=${OTHER}', '"<your-key>"', "export KIMI_API_KEY=sk-...",
    ],
)  # fmt: skip
def test_a_placeholder_is_no_key(key: str) -> None:
    """What a page shows in the place of a key is refused, whatever stands around it, and is not repeated."""
    with pytest.raises(UsageError, match="a placeholder, not a key") as caught:
        keys.clean(key, "the source")
    assert key not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "key",
    ["my-key", "my-api-key", "test-key", "test_token", "dummy-key", "fake-key", "example-key", "sk-example-key",
     "sk-test-key", "your-secret", "sk-your-secret", "my-secret", "mykey1", "api_key", "env:KEY", "vault:secret/kimi",
     "pass:kimi/key"],
)  # fmt: skip
def test_words_are_no_key_of_who_sells_keys(key: str) -> None:
    """... while longer keys that begin like them are."""
    assert keys.stand_in(key) or keys.placeholder(key)
    assert not keys.stand_in(key + "-9f8e7d6c5b4a")
    for place in ("/home/me/key", "keyring://kimi", "bws://0/1", "@key.txt", "@~/key", "https://platform.moonshot.ai"):
        assert keys.stand_in(place)
    assert not keys.stand_in("/abcDEFghiJKL0123456789+x==")


@pytest.mark.parametrize(
    "key",
    ["EMPTY", "ollama", "123", "lm-studio", "dummy", "none", "token-abc123", "sk-no-key-required", "sk-1234", "test",
     "sk-xxxx", "my-secret-key", "anything", "$ecret", "100%safe", "a.b..c", "K-RENEWED", "<3", "a*b**c"],
)  # fmt: skip
def test_a_key_of_a_machine_of_ones_own(key: str) -> None:
    """Words that servers of one's own take as keys are keys."""
    assert keys.clean(key, "x") == Secret(key)


def read(
    value: str | None = None, file: str | None = None, variable: str | None = None, **more: object
) -> Secret | None:
    environ = more.get("environ", {})
    assert isinstance(environ, dict)
    data = more.get("stdin", b"")
    assert isinstance(data, bytes)
    return keys.read(value, file, variable, environ, io.BytesIO(data))


def test_sources(tmp_path: Path) -> None:
    """Each option gives its key; the variable for all commands counts only without an option; none gives None."""
    path = tmp_path / "key"
    path.write_bytes(b"\xef\xbb\xbfk-file\r\n")
    both = {"CCSETUP_API_KEY": "k-default", "MINE": "k-env"}
    assert read("k") == Secret("k")
    assert read("-", stdin=b" k-in \n") == Secret("k-in")
    assert read(file=str(path)) == Secret("k-file")
    assert read(variable="MINE", environ=both) == Secret("k-env")
    assert read(environ=both) == Secret("k-default")
    assert read("k", environ=both) == Secret("k")
    assert read() is None
    assert read(environ={"CCSETUP_API_KEY": ""}) is None


def test_standard_input_is_not_read_without_end() -> None:
    """No more than what a key can be is taken into memory."""
    with pytest.raises(UsageError, match="larger than 16 KiB"):
        read("-", stdin=b"x" * 10_000_000)


@pytest.mark.parametrize("given", [("k", "f", None), ("k", None, "V"), (None, "f", "V"), ("", "f", None)])
def test_two_sources(given: tuple[str | None, str | None, str | None]) -> None:
    """Two options that name a key are refused, also when one is empty."""
    with pytest.raises(UsageError, match="both name a key"):
        read(*given)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    """A file or variable that does not exist, or holds no key, is said by its name."""
    (tmp_path / "empty").write_text("\n")
    for given, text in (
        ((None, str(tmp_path / "none"), None), "none"),
        ((None, str(tmp_path), None), str(tmp_path)),
        ((None, str(tmp_path / "empty"), None), "is empty"),
        ((None, None, "NO_SUCH"), "NO_SUCH"),
    ):
        with pytest.raises(UsageError, match=text):
            read(*given)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A binary file is no key, and no traceback."""
    path = tmp_path / "binary"
    path.write_bytes(bytes(range(128, 255)))
    with pytest.raises(UsageError, match="has a character inside"):
        read(file=str(path))


@pytest.mark.parametrize(
    ("command", "wanted"), [("echo k-1", "k-1"), ("printf 'k-2\\r\\n'", "k-2"), ("echo warning >&2; echo k-3", "k-3")]
)
def test_key_command(command: str, wanted: str) -> None:
    """What a command prints on standard output is the key."""
    assert keys.from_command(command) == Secret(wanted)


@pytest.mark.parametrize(
    "command", ["exit 3", "true", "echo one two", "no-such-program-here", "echo leaked-key; exit 1"]
)
def test_key_command_fails(command: str) -> None:
    """A command that fails or prints no key is an error that shows nothing of its output."""
    with pytest.raises(CcsetupError) as caught:
        keys.from_command(command)
    assert "leaked" not in caught.value.message + caught.value.hint


def test_family() -> None:
    """The longest prefix wins; a key of no family has none."""
    short = KeyFamily("sk-", "plain", "", "")
    long = KeyFamily("sk-code-", "code", "code", "")
    preset = Preset("x", "X", {}, "", "X_KEY", True, "", (short, long), (), (), (), (), {}, {})
    assert keys.family(Secret("sk-1"), preset) == short
    assert keys.family(Secret("sk-code-1"), preset) == long
    assert keys.family(Secret("other"), preset) is None
