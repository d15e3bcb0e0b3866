"""The wizard, as a person meets it: at a real pseudo-terminal, through each of its paths."""

from __future__ import annotations

import os
import re
import shlex
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from support import cc, clients
from support.emulator import Emulator
from support.provider import Provider
from support.terminal import Terminal, machine_with_clients

from ccsetup.clients import releases

KEY = "test-key-0123456789abcdefWXYZ"
ENTER, UP, DOWN, CTRL_C, CTRL_D = "\r", "\x1b[A", "\x1b[B", "\x03", "\x04"
PLAIN = {"TERM": "dumb"}

Script = list[tuple[str, str]]
"""A question, and the keys that answer it."""


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine where both clients were installed with npm, and no keyring answers."""
    return machine_with_clients(tmp_path)


def custom(url: Callable[[str], str], which: str) -> Script:
    """Return the way through the wizard to a provider of one's own: *which* is claude, codex or both."""
    moves = {"claude": UP + UP, "codex": UP, "both": ""}[which]
    script = [("Which client", moves + ENTER), ("Provider", "custom" + ENTER)]
    if which != "codex":
        script.append(("Address for Claude Code", url("/anthropic") + ENTER))
    if which != "claude":
        script.append(("Address for Codex", url("/v1") + ENTER))
    if which != "codex":
        script.append(("How does the endpoint", ENTER))
    return [
        *script,
        ("Key for Custom", KEY + ENTER),
        ("Model", "Type" + ENTER if which == "codex" else DOWN + ENTER),
        ("Model id", "test-model" + ENTER),
        ("Context window", ENTER),
        ("Where is the key", ENTER),
        ("Write these", ENTER),
        ("Ask the provider", DOWN + ENTER),
    ]


def go(terminal: Terminal, script: Script) -> None:
    for question, keys in script:
        terminal.answer(question, keys)


def same(terminal: Terminal) -> list[str]:
    """Return the arguments of the command that the wizard printed at its end."""
    lines = terminal.text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("  ccsetup init"))
    return shlex.split(" ".join(lines[start:]))[1:]


@pytest.mark.parametrize("which", ["claude", "codex", "both"])
def test_the_wizard_does_what_its_command_line_does(
    home: Path, tmp_path: Path, machine: dict[str, str], provider: Provider, which: str
) -> None:
    """Each way through ends with exit 0, with private files, and with a command that writes the same bytes."""
    with Terminal(home, "init", env=machine, size=(24, 200)) as terminal:
        go(terminal, custom(provider.url, which))
        assert terminal.ends() == 0, terminal.text
    assert KEY not in terminal.text, "the key was shown"
    assert "ccsetup undo" in terminal.text
    programs = {"claude": "claude", "codex": "codex", "both": "claude or codex"}
    assert f"Start it with: {programs[which]}" in terminal.text
    argv = same(terminal)
    assert argv[-2:] == ["-k", "-"]
    other = tmp_path / "other"
    other.mkdir()
    again = cc.run(other, *argv, env=machine, stdin=KEY + "\n")
    assert again.ok, again
    assert cc.files(home) == cc.files(other)
    assert cc.modes(home) == cc.modes(other)
    holding = [name for name, data in cc.files(home).items() if KEY.encode() in data]
    assert holding
    assert all(stat.S_IMODE((home / name).stat().st_mode) == 0o600 for name in holding)


def test_a_provider_that_needs_the_relay(home: Path, tmp_path: Path, machine: dict[str, str]) -> None:
    """From the list to a relay that runs and is tested, and a command that writes the same."""
    with Emulator("siliconflow") as vendor:
        preset = {".config/ccsetup/presets/siliconflow.yaml": vendor.preset_yaml}
        cc.put(home, preset)
        try:
            with Terminal(home, "init", env=machine, size=(24, 200)) as terminal:
                go(terminal, [
                    ("Which client", UP + ENTER),
                    ("Provider", "siliconflow" + ENTER),
                    ("Use the relay?", ENTER),
                    ("Which site", ENTER),
                    ("Key for SiliconFlow", vendor.key + ENTER),
                    ("Model", ENTER),
                    ("Where is the key", ENTER),
                    ("Write these", ENTER),
                    ("Ask the provider", ENTER),
                ])  # fmt: skip
                assert terminal.ends() == 0, terminal.text
            status = cc.run(home, "relay", "status", "--json").json
        finally:
            cc.run(home, "relay", "stop", "--now")
        assert "Codex cannot speak to SiliconFlow directly" in terminal.text
        assert "Codex uses provider 'siliconflow' through the relay." in terminal.text
        assert "Start it with: codex" in terminal.text
        assert vendor.key not in terminal.text
        assert vendor.calls, "the test that was offered asks the provider"
        assert [u["name"] for u in status["result"]["upstreams"]] == ["siliconflow"]
        argv = same(terminal)
        assert argv[-3:] == ["--via-relay", "-k", "-"]
        other = tmp_path / "other"
        cc.put(other, preset)
        again = cc.run(other, *argv, "--no-start", env=machine, stdin=vendor.key + "\n")
        assert again.ok, again
        assert set(cc.files(home)) == set(cc.files(other))
        same_text = [".config/ccsetup/relay.yaml", ".config/ccsetup/profiles.toml", ".config/ccsetup/keys/siliconflow"]
        assert [cc.files(home)[n] for n in same_text] == [cc.files(other)[n] for n in same_text]


def test_a_word_for_the_relay_before_the_questions(home: Path, machine: dict[str, str]) -> None:
    """init --via-relay at a terminal asks for what is missing, and takes the relay for said; --no-start stays."""
    with Terminal(home, "init", "--via-relay", "--no-start", "-p", "cerebras", "-T", "codex", env=machine) as terminal:
        go(terminal, [
            ("Key for Cerebras", KEY + ENTER), ("Model", ENTER), ("Where is the key", ENTER), ("Write these", ENTER),
            ("Ask the provider", DOWN + ENTER),
        ])  # fmt: skip
        assert terminal.ends() == 0, terminal.text
    assert "cannot speak" not in terminal.text
    assert {"--via-relay", "--no-start"} <= set(same(terminal))
    assert cc.run(home, "relay", "status").rc == 1
    assert b"http://127.0.0.1" in cc.files(home)[".codex/config.toml"]


def test_the_menu_offers_the_relay(home: Path, machine: dict[str, str]) -> None:
    """With two providers to make one of them, then to start it, and its state while it runs."""
    for name in ("glm", "kimi"):
        assert cc.run(home, "init", "-s", "-p", name, "-k", KEY + name, env=machine).ok
    with Terminal(home, env=machine) as terminal:
        terminal.answer("Several providers behind one address", DOWN * 3 + ENTER)
        assert terminal.ends() == 0, terminal.text
    assert (home / ".config/ccsetup/relay.yaml").exists()
    try:
        with Terminal(home, env=machine) as terminal:
            terminal.answer("Start the relay", DOWN * 3 + ENTER)
            assert terminal.ends() == 0, terminal.text
        with Terminal(home, env=machine) as terminal:
            terminal.answer("See how the relay is", DOWN * 3 + ENTER)
            assert terminal.ends() == 0, terminal.text
    finally:
        cc.run(home, "relay", "stop", "--now")


def test_undo_after_the_wizard(home: Path, machine: dict[str, str], provider: Provider) -> None:
    """What the wizard wrote is one change, which undo takes back as a whole."""
    cc.put(home, {".claude/settings.json": '{"model": "opus"}\n'})
    before = cc.files(home)
    with Terminal(home, "init", env=machine) as terminal:
        go(terminal, custom(provider.url, "both"))
        assert terminal.ends() == 0
    assert cc.files(home) != before
    assert cc.run(home, "undo", env=machine).ok
    assert cc.files(home) == before


@pytest.mark.clients
def test_the_clients_answer_after_the_wizard(home: Path, machine: dict[str, str], provider: Provider) -> None:
    """Claude Code and Codex talk to the provider with the key from the wizard, and so does the test it offers."""
    provider.models = ["test-model"]
    provider.expect("/anthropic", key=KEY, scheme="bearer")
    provider.expect("/v1", key=KEY, scheme="bearer")
    with Terminal(home, "init", env=machine) as terminal:
        go(terminal, custom(provider.url, "both")[:-1])
        terminal.answer("Ask the provider", ENTER)
        terminal.sees("Start it with")
        assert terminal.ends() == 0
    provider.clear()
    claude = clients.run_claude(clients.CLAUDE_VERSIONS[0], home, "say pong")
    assert provider.reply in claude.stdout, claude
    provider.check("messages", prefix="/anthropic", key=KEY, scheme="bearer", models={"test-model"})
    provider.clear()
    codex = clients.run_codex(clients.CODEX_VERSIONS[0], home, "say pong")
    assert provider.reply in codex.stdout, codex
    provider.check("responses", prefix="/v1", key=KEY, scheme="bearer", models={"test-model"})


QUESTIONS = [question for question, _keys in custom(str, "both")][:-1]


@pytest.mark.parametrize("place", range(len(QUESTIONS)), ids=[q.replace(" ", "-") for q in QUESTIONS])
def test_ctrl_c_at_every_question(home: Path, machine: dict[str, str], provider: Provider, place: int) -> None:
    """Ctrl-C writes nothing, exits 130 and leaves the terminal as it was."""
    cc.put(home, {".claude/settings.json": '{"model": "opus"}\n'})
    before = cc.files(home, records=True)
    with Terminal(home, "init", env=machine) as terminal:
        script = custom(provider.url, "both")
        go(terminal, script[:place])
        terminal.answer(script[place][0], CTRL_C if place % 2 else CTRL_D if place == 0 else CTRL_C)
        assert terminal.ends() == 130
    assert cc.files(home, records=True) == before
    assert sorted(p.name for p in home.iterdir()) == [".claude"]


@pytest.mark.parametrize("place", [0, 1, 2, 5, 9])
def test_ctrl_c_in_plain_lines(home: Path, machine: dict[str, str], provider: Provider, place: int) -> None:
    """The same on a terminal without cursor movement; the echo is back on after the question for the key."""
    script = plain_script(provider.url)
    with Terminal(home, "init", env={**machine, **PLAIN}) as terminal:
        go(terminal, script[:place])
        terminal.answer(script[place][0], CTRL_C)
        assert terminal.ends() == 130
    assert not list(home.iterdir())


def test_ctrl_c_after_it_was_written(home: Path, machine: dict[str, str], provider: Provider) -> None:
    """Ctrl-C at the offer of a test ends with 130 too; what was written stays, and how to take it back is said."""
    with Terminal(home, "init", env=machine) as terminal:
        go(terminal, custom(provider.url, "claude")[:-1])
        terminal.answer("Ask the provider", CTRL_C)
        terminal.sees("Take it back with: ccsetup undo")
        assert terminal.ends() == 130
    assert KEY.encode() in cc.files(home)[".claude/settings.json"]


@pytest.mark.parametrize("env", [{}, PLAIN], ids=["screen", "plain"])
def test_end_of_input(home: Path, machine: dict[str, str], env: dict[str, str]) -> None:
    """Ctrl-D is the same as Ctrl-C, in a list and in a field."""
    with Terminal(home, "init", "-p", "custom", env={**machine, **env}) as terminal:
        terminal.answer("Which client", ENTER if not env else "\n")
        terminal.answer("Address for Claude Code", CTRL_D)
        assert terminal.ends() == 130
    assert not list(home.iterdir())


@pytest.mark.parametrize("env", [{}, PLAIN], ids=["screen", "plain"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda n: n.name)
def test_signals(home: Path, machine: dict[str, str], env: dict[str, str], number: signal.Signals) -> None:
    """A signal at the question for the key ends the wizard and leaves the terminal as it was."""
    with Terminal(home, "init", "-p", "openrouter", "-T", "cc", env={**machine, **env}) as terminal:
        terminal.sees("Key for OpenRouter")
        os.kill(terminal.pid, number)
        assert terminal.ends() == 128 + number
    assert not list(home.iterdir())


def test_a_signal_at_the_menu(home: Path, machine: dict[str, str]) -> None:
    """The menu, too, leaves the terminal as it was."""
    with Terminal(home, env=machine) as terminal:
        terminal.sees("What next?")
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.ends() == 128 + signal.SIGTERM


def plain_script(url: Callable[[str], str]) -> Script:
    """Return the way through the plain lines: numbers, names and empty lines."""
    return [
        ("Number or name", "Both\n"),
        ("Number or name", "cust\n"),
        ("Address for Claude Code", url("/anthropic") + "\n"),
        ("Address for Codex", url("/v1") + "\n"),
        ("Number or name", "\n"),
        ("Key for Custom", KEY + "\n"),
        ("Number or name", "2\n"),
        ("Model id", "test-model\n"),
        ("Context window", "64000\n"),
        ("Number or name", "\n"),
        ("Number or name", "1\n"),
        ("Number or name", "No\n"),
    ]


@pytest.mark.parametrize(
    "env",
    [PLAIN, {"TERM": None}, {"CCSETUP_PLAIN": "1"}, {"PYTHONIOENCODING": "iso-8859-1"}, {**PLAIN, "LC_ALL": "C"}],
    ids=["dumb", "no-term", "asked-for", "latin-1", "dumb-and-c"],
)
def test_plain_lines(home: Path, machine: dict[str, str], provider: Provider, env: dict[str, str | None]) -> None:
    """Where lists do not work, numbered lines do, without a single escape sequence."""
    colour = {} if "TERM" in env else {"NO_COLOR": "1"}
    with Terminal(home, "init", env={**machine, **colour, **env}) as terminal:
        go(terminal, plain_script(provider.url))
        assert terminal.ends() == 0, terminal.text
    assert "\x1b" not in terminal.raw
    assert KEY not in terminal.raw
    assert b"test-model" in cc.files(home)[".claude/settings.json"]
    assert b'"64000"' in cc.files(home)[".claude/settings.json"]


def test_no_colour(home: Path, machine: dict[str, str]) -> None:
    """NO_COLOR takes the colours away, not the lists."""
    with Terminal(home, "init", env={**machine, "NO_COLOR": "1"}) as terminal:
        terminal.answer("Which client", ENTER)
        terminal.answer("Provider", CTRL_C)
        assert terminal.ends() == 130
    codes = {c for found in re.findall(r"\x1b\[([0-9;]*)m", terminal.raw) for c in found.split(";")}
    assert not {c for c in codes if re.fullmatch(r"[349][0-9]|10[0-7]", c)}, codes


@pytest.mark.parametrize("size", [(24, 80), (10, 40)], ids=["80x24", "40x10"])
def test_small_terminals(home: Path, machine: dict[str, str], size: tuple[int, int]) -> None:
    """A list that does not fit scrolls: its last entry can be reached and chosen."""
    with Terminal(home, "init", "-T", "cc", env={**machine, "LC_ALL": "C"}, size=size) as terminal:
        terminal.answer("Provider", "\x1b[F" + ENTER)
        terminal.answer("Address for Claude Code", CTRL_C)
        assert terminal.ends() == 130


def test_resize(home: Path, machine: dict[str, str], provider: Provider) -> None:
    """A terminal that changes its size under a question gets it again, and the wizard goes on."""
    script = custom(provider.url, "claude")
    with Terminal(home, "init", env=machine) as terminal:
        go(terminal, script[:1])
        terminal.sees("Provider")
        terminal.resize(10, 40)
        terminal.sees("Provider", "302ai")
        terminal.resize(40, 120)
        terminal.sees("Provider", "302ai")
        terminal.press("custom" + ENTER)
        go(terminal, script[2:])
        assert terminal.ends() == 0


def test_another_familys_key(home: Path, machine: dict[str, str]) -> None:
    """A key that belongs to another provider is said to, and setting that provider up is one Enter away."""
    with Terminal(home, "init", "-p", "openrouter", "-T", "all", env=machine) as terminal:
        terminal.answer("Key for OpenRouter", "sk-kimi-0123456789abcdef" + ENTER)
        terminal.sees("This is no key of OpenRouter, but: Kimi Code membership key.")
        terminal.press(ENTER)
        go(terminal, [("Model", ENTER), ("Where is the key", ENTER), ("Write these", ENTER)])
        terminal.answer("Ask the provider", DOWN + ENTER)
        assert terminal.ends() == 0
    profile = cc.files(home)[".config/ccsetup/profiles.toml"].decode()
    assert 'provider = "kimi"\nregion = "code"' in profile
    assert b"https://api.kimi.com/coding" in cc.files(home)[".claude/settings.json"]


PASTES: list[tuple[str, str, bool]] = [
    ("spaces-around", f"  {KEY} \t", True),
    ("bracketed", f"\x1b[200~{KEY}\x1b[201~", True),
    ("bracketed-with-newline", f"\x1b[200~{KEY}\n\x1b[201~", True),
    ("bracketed-with-two-lines", f"\x1b[200~{KEY}\nsecond line\x1b[201~", False),
    ("two-lines", f"{KEY}\rsecond line", False),
    ("inner-space", "test key", False),
    ("control-character", "\x1b[200~test\x01key\x1b[201~", False),
]


@pytest.mark.parametrize(("paste", "good"), [p[1:] for p in PASTES], ids=[p[0] for p in PASTES])
def test_pasted_keys(home: Path, machine: dict[str, str], paste: str, good: bool) -> None:
    """White space around a key goes; what cannot be a key is refused in a sentence, and asked for again.

    The second line of a paste never becomes the answer to the next question.
    """
    with Terminal(home, "init", "-p", "openrouter", "-T", "cc", env=machine) as terminal:
        terminal.answer("Key for OpenRouter", paste + ENTER)
        if not good:
            terminal.sees("! The key from the terminal has a", "that no key has", "Key for OpenRouter")
            terminal.press(KEY + ENTER)
        terminal.sees("Model")
        terminal.press(CTRL_C)
        assert terminal.ends() == 130
    assert "second line" not in terminal.text
    assert not list(home.iterdir())


@pytest.mark.parametrize("good", [True, False], ids=["one-line", "two-lines"])
def test_pasted_keys_in_plain_lines(home: Path, machine: dict[str, str], good: bool) -> None:
    """A paste of two lines is refused there too, and its second line is neither shown nor an answer."""
    with Terminal(home, "init", "-p", "openrouter", "-T", "cc", env={**machine, **PLAIN}) as terminal:
        terminal.answer("Key for OpenRouter", f"{KEY}\n" if good else f"{KEY}\nsecond line\n")
        if not good:
            terminal.sees("! The key from the terminal has a line break inside")
            terminal.answer("Key for OpenRouter", KEY + "\n")
        terminal.sees("Model")
        terminal.press(CTRL_C)
        assert terminal.ends() == 130
    assert "second line" not in terminal.text


SECRET = "sk-proj-Zx9Qw8Er7Ty6Ui5Op4As3Df2"


def test_a_key_in_a_field_for_something_else(home: Path, machine: dict[str, str], provider: Provider) -> None:
    """It is refused, and seen nowhere: not while it is typed, not in the complaint, not in what the list looks for."""
    url = provider.url("/v1")
    with Terminal(home, "init", env=machine, size=(24, 200)) as terminal:
        terminal.answer("Which client", UP + ENTER)
        terminal.answer("Provider", SECRET)
        terminal.sees("*" * len(SECRET))
        terminal.press("\x7f" * len(SECRET) + "custom" + ENTER)
        terminal.answer("Address for Codex", f"{url}/{SECRET}" + ENTER)
        terminal.sees("That is a key")
        terminal.answer("Address for Codex", url + ENTER)
        terminal.answer("Key for Custom", KEY + ENTER)
        terminal.answer("Model", "Type" + ENTER)
        terminal.answer("Model id", SECRET + ENTER)
        terminal.sees("That is a key")
        terminal.answer("Model id", CTRL_C)
        assert terminal.ends() == 130, terminal.text
    assert SECRET[:8] not in terminal.raw
    assert SECRET[-8:] not in terminal.raw


def test_back(home: Path, machine: dict[str, str]) -> None:
    """One can go to the previous question from a list and from a field, and its answer is kept as the default."""
    with Terminal(home, "init", env=machine) as terminal:
        terminal.answer("Which client", "Codex"[0] + ENTER)  # the first letter moves to "Claude Code", then to "Codex"
        terminal.answer("Provider", "glm" + ENTER)
        terminal.answer("Which site", "<" + ENTER)
        terminal.answer("Provider", ENTER)
        terminal.answer("Which site", DOWN + ENTER)
        terminal.answer("Key for GLM", "<" + ENTER)
        terminal.answer("Which site", ENTER)
        terminal.sees("intl")
        terminal.answer("Key for GLM", KEY + ENTER)
        terminal.answer("Model", "\x1b")  # Esc
        terminal.answer("Key for GLM", CTRL_C)
        assert terminal.ends() == 130


def test_only_what_is_unknown(home: Path, machine: dict[str, str]) -> None:
    """What the command line says is not asked again, and is part of the command at the end."""
    given = ("-p", "glm", "--region", "intl", "-T", "codex", "-M", "glm-5.3", "-n", "work", "--no-activate")
    with Terminal(home, "init", *given, env=machine, size=(24, 200)) as terminal:
        terminal.answer("Key for GLM", KEY + ENTER)
        terminal.answer("Where is the key", DOWN + ENTER)
        terminal.answer("Write these", ENTER)
        terminal.answer("Ask the provider", DOWN + ENTER)
        assert terminal.ends() == 0
    for question in ("Which client", "Provider", "Which site", "? Model"):
        assert question not in terminal.text
    argv = same(terminal)
    assert argv == [
        "init", "-s", "-p", "glm", "-n", "work", "--region", "intl", "-M", "glm-5.3", "-T", "codex",
        "--key-storage", "command", "--no-activate", "-k", "-",
    ]  # fmt: skip


def test_a_complete_command_asks_nothing(home: Path, machine: dict[str, str]) -> None:
    """With provider and key there is no question, at a terminal too."""
    with Terminal(home, "init", "-p", "glm", "-k", KEY, env=machine) as terminal:
        assert terminal.ends() == 0
    assert "done" in terminal.text
    assert "?" not in terminal.text


def test_dry_run(home: Path, machine: dict[str, str]) -> None:
    """--dry-run asks, shows the plan and the command, and writes nothing."""
    with Terminal(home, "init", "--dry-run", "-p", "glm", "-T", "cc", env=machine, size=(24, 200)) as terminal:
        go(terminal, [("Which site", ENTER), ("Key for GLM", KEY + ENTER), ("Model", ENTER)])
        terminal.answer("Where is the key", ENTER)
        assert terminal.ends() == 0
    assert "~/.claude/settings.json (new)" in terminal.text
    assert "Write these" not in terminal.text
    assert same(terminal)[:2] == ["init", "-s"]
    assert not list(home.iterdir())


def test_models_of_the_provider(home: Path, machine: dict[str, str], provider: Provider) -> None:
    """The provider's own list is asked for with the key in the chosen header, and searched by typing."""
    provider.models = ["alpha-1", "beta-2", "gamma-3"]
    provider.expect("/anthropic", key=KEY, scheme="x-api-key")
    with Terminal(home, "init", "-p", "custom", "-T", "cc", "-u", provider.url("/anthropic"), env=machine) as terminal:
        terminal.answer("How does the endpoint", DOWN + ENTER)
        terminal.answer("Key for Custom", KEY + ENTER)
        terminal.answer("Model", ENTER)
        terminal.answer("Model (3 at the provider)", "beta" + ENTER)
        terminal.answer("Context window of beta-2", CTRL_C)
        assert terminal.ends() == 130
    provider.check("models", prefix="/anthropic", key=KEY, scheme="x-api-key", models=set())


def test_a_provider_that_refuses_the_list(home: Path, machine: dict[str, str], provider: Provider) -> None:
    """When the list cannot be had, that is said, and the model is typed."""
    provider.expect("/anthropic", key="another", scheme="bearer")
    with Terminal(home, "init", "-p", "custom", "-T", "cc", "-u", provider.url("/anthropic"), env=machine) as terminal:
        terminal.answer("How does the endpoint", ENTER)
        terminal.answer("Key for Custom", KEY + ENTER)
        terminal.answer("Model", ENTER)
        terminal.sees("! The provider refuses the key (HTTP 401).")
        terminal.answer("Model id", CTRL_C)
        assert terminal.ends() == 130


def test_a_file_that_claude_code_would_ignore(home: Path, machine: dict[str, str]) -> None:
    """A comment in settings.json is told of before the first question; taking it out is offered, and is undone."""
    text = '{\n  // mine\n  "model": "opus"\n}\n'
    cc.put(home, {".claude/settings.json": text})
    with Terminal(home, "init", "-p", "openrouter", "-T", "cc", env=machine) as terminal:
        terminal.sees("settings.json:2:3")
        go(terminal, [("Key for OpenRouter", KEY + ENTER), ("Model", ENTER), ("Where is the key", ENTER)])
        terminal.answer("settings.json cannot stay", ENTER)
        terminal.answer("Write these", ENTER)
        terminal.answer("Ask the provider", DOWN + ENTER)
        assert terminal.ends() == 0
    assert "// mine" not in cc.files(home)[".claude/settings.json"].decode()
    assert "--repair" in same(terminal)
    assert cc.run(home, "undo", env=machine).ok
    assert cc.files(home)[".claude/settings.json"].decode() == text


def test_lines_that_stop_codex(home: Path, machine: dict[str, str]) -> None:
    """Old lines that keep Codex from starting are corrected when the person says so, and undo brings them back."""
    text = (
        'profile = "old"\nmodel_provider = "old"\n\n[model_providers.old]\nbase_url = "https://h.invalid/v1"\n'
        'wire_api = "chat"\n'
    )
    cc.put(home, {".codex/config.toml": text})
    with Terminal(home, "init", "-p", "openrouter", "-T", "codex", env=machine) as terminal:
        go(terminal, [("Key for OpenRouter", KEY + ENTER), ("Model", ENTER), ("Where is the key", ENTER)])
        terminal.answer("Correct the lines that stop Codex?", ENTER)
        terminal.answer("Write these", ENTER)
        terminal.answer("Ask the provider", DOWN + ENTER)
        assert terminal.ends() == 0
    now = cc.files(home)[".codex/config.toml"].decode()
    assert 'profile = "old"' not in now
    assert '"chat"' not in now
    assert 'name = "old"' in now
    assert cc.run(home, "undo", env=machine).ok
    assert cc.files(home)[".codex/config.toml"].decode() == text


def test_a_saved_profile_is_changed_or_kept_beside(home: Path, machine: dict[str, str]) -> None:
    """A profile of that name can be changed, its key kept, or another one saved beside it."""
    assert cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, env=machine).ok
    with Terminal(home, "init", "-T", "cc", env=machine, size=(24, 200)) as terminal:
        terminal.answer("Provider", ENTER)  # the saved one comes first
        terminal.answer("'glm' is saved already.", ENTER)
        terminal.answer("Key for GLM", ENTER)  # keep the saved key, and with it the site
        terminal.answer("Model", DOWN + ENTER)
        terminal.answer("Where is the key", ENTER)
        terminal.answer("Write these", ENTER)
        terminal.answer("Ask the provider", DOWN + ENTER)
        assert terminal.ends() == 0
    assert "-k" not in same(terminal)
    assert b'"ANTHROPIC_MODEL": "glm-5.3-flash"' in cc.files(home)[".claude/settings.json"]
    assert KEY.encode() in cc.files(home)[".claude/settings.json"]
    with Terminal(home, "init", "-p", "glm", "-T", "cc", "-n", "work", env=machine) as terminal:
        terminal.answer("Key for GLM", ENTER)  # the key of the other profile
        terminal.answer("Model", ENTER)
        terminal.answer("Where is the key", ENTER)
        terminal.answer("Write these", ENTER)
        terminal.answer("Ask the provider", DOWN + ENTER)
        assert terminal.ends() == 0
    assert "[profiles.work]" in cc.files(home)[".config/ccsetup/profiles.toml"].decode()


def test_answers_that_do_not_go_together(home: Path, machine: dict[str, str]) -> None:
    """When the answers cannot be carried out together, it is said why, and the last question is asked again."""
    assert cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "-T", "all", env=machine).ok
    before = cc.files(home)
    with Terminal(home, "init", "-T", "cc", env=machine) as terminal:
        terminal.answer("Provider", ENTER)
        terminal.answer("'glm' is saved already.", ENTER)
        terminal.answer("Key for GLM", DOWN + ENTER)
        terminal.answer("Key for GLM", "another-key-0123456789" + ENTER)
        terminal.answer("Which site", DOWN + ENTER)
        terminal.answer("Model", ENTER)
        terminal.answer("Where is the key", ENTER)
        terminal.sees("one profile has one key", "Where is the key")
        terminal.press(CTRL_C)
        assert terminal.ends() == 130
    assert cc.files(home) == before


def test_a_paste_of_lines_into_a_field(home: Path, machine: dict[str, str]) -> None:
    """Two lines for an address are refused; the second one does not answer the next question."""
    for env, end in ((machine, ENTER), ({**machine, **PLAIN}, "\n")):
        with Terminal(home, "init", "-p", "custom", "-T", "cc", env=env) as terminal:
            terminal.answer("Address for Claude Code", f"https://h.example{end}1{end}")
            terminal.sees("!", "Address for Claude Code")
            terminal.press(CTRL_C)
            assert terminal.ends() == 130


def test_a_key_from_a_command(home: Path, machine: dict[str, str]) -> None:
    """With --api-key-command neither key nor storage is asked for, and the command is part of the last line."""
    command = f"printf {KEY}"
    with Terminal(home, "init", "-T", "cc", "--api-key-command", command, env=machine, size=(24, 200)) as terminal:
        go(terminal, [("Provider", "openrouter" + ENTER), ("Model", ENTER), ("Write these", ENTER)])
        terminal.answer("Ask the provider", DOWN + ENTER)
        assert terminal.ends() == 0
    argv = same(terminal)
    assert argv[argv.index("--api-key-command") + 1] == command
    assert "-k" not in argv


def test_a_key_from_a_variable(home: Path, machine: dict[str, str]) -> None:
    """A key in the provider's usual variable is offered by its last four characters, and can stay there."""
    env = {**machine, "OPENROUTER_API_KEY": KEY}
    with Terminal(home, "init", "-p", "openrouter", "-T", "cc", env=env, size=(24, 200)) as terminal:
        terminal.sees("Use ...WXYZ from $OPENROUTER_API_KEY")
        terminal.press(ENTER)
        terminal.answer("Model", ENTER)
        terminal.answer("Where is the key", DOWN + DOWN + ENTER)
        terminal.answer("Write these", ENTER)
        terminal.answer("Ask the provider", DOWN + ENTER)
        assert terminal.ends() == 0
    assert not [name for name, data in cc.files(home, records=True).items() if KEY.encode() in data]
    assert same(terminal)[-4:] == ["--key-storage", "env", "--key-env-name", "OPENROUTER_API_KEY"]


def test_chinese(home: Path, machine: dict[str, str]) -> None:
    """The whole way in Chinese."""
    env = {**machine, "CCSETUP_LANG": "zh-CN"}
    with Terminal(home, "init", env=env) as terminal:
        terminal.answer("哪个客户端", ENTER)
        terminal.answer("供应商", "glm" + ENTER)
        terminal.answer("站点或套餐", ENTER)
        terminal.answer("的密钥", KEY + ENTER)
        terminal.answer("模型", ENTER)
        terminal.answer("密钥", ENTER)
        terminal.answer("写入这", ENTER)
        terminal.sees("ccsetup test glm")
        terminal.press(DOWN + ENTER)
        assert terminal.ends() == 0
    assert "ccsetup init -s -p glm" in terminal.text


def test_the_menu_and_the_language(home: Path, machine: dict[str, str]) -> None:
    """Bare ccsetup offers what one can do next; the language chosen there is remembered, and --lang still wins."""
    with Terminal(home, env=machine) as terminal:
        terminal.sees(f"Claude Code {releases.CLAUDE_CODE[0]}", f"Codex {releases.CODEX[0]}")
        terminal.sees("What next?", "Set a provider up")
        terminal.press("l" + ENTER)
        terminal.answer("Language", DOWN + ENTER)
        terminal.sees("接下来", "配置供应商")
        terminal.press(UP + ENTER)
        assert terminal.ends() == 0
    assert cc.files(home)[".config/ccsetup/settings.toml"] == b'language = "zh-CN"\n'
    assert "配置" in cc.run(home, "list", env=machine).stdout
    assert "Providers" in cc.run(home, "--lang", "en", "list", "--providers", env=machine).stdout
    assert "Providers" in cc.run(home, "list", "--providers", env={**machine, "CCSETUP_LANG": "en"}).stdout


@pytest.mark.parametrize("env", [{}, PLAIN], ids=["screen", "plain"])
def test_the_menu_runs_commands(home: Path, machine: dict[str, str], env: dict[str, str]) -> None:
    """What is chosen in the menu runs, here the list."""
    with Terminal(home, env={**machine, **env}) as terminal:
        terminal.answer("What next?", "Show profiles\n" if env else ENTER)
        if not env:
            terminal.sees("Which client")
            terminal.press(CTRL_C)
            assert terminal.ends() == 130
        else:
            terminal.sees("No profile is saved yet")
            assert terminal.ends() == 0


def test_the_picker_of_profiles(home: Path, machine: dict[str, str]) -> None:
    """config-switch without a name lets one choose; the current one is marked, official is offered."""
    for provider in ("glm", "openrouter"):
        assert cc.run(home, "init", "-s", "-p", provider, "-k", KEY, env=machine).ok
    with Terminal(home, "config-switch", env=machine) as terminal:
        terminal.sees("Which profile?", "* openrouter", "official")
        terminal.press(UP + ENTER)
        terminal.sees("Next time: ccsetup config-switch glm", "uses profile 'glm'")
        assert terminal.ends() == 0
    with Terminal(home, "config-switch", env={**machine, **PLAIN}) as terminal:
        terminal.sees("1. * glm", "2.   openrouter", "3. * official")
        terminal.press("official\n")
        assert terminal.ends() == 0
    assert "openrouter.ai" not in cc.files(home)[".claude/settings.json"].decode()
    piped = cc.run(home, "config-switch", env=machine)
    assert piped.rc == 2
    assert "openrouter" in piped.stdout


def test_without_a_terminal(home: Path, tmp_path: Path, machine: dict[str, str]) -> None:
    """Without a terminal on both sides nothing is asked: init says what is missing, bare ccsetup prints its help."""
    init = cc.run(home, "init", env=machine)
    assert init.rc == 2
    assert "-p PROVIDER" in init.stderr
    assert "-k KEY" in init.stderr
    bare = cc.run(home, env=machine)
    assert bare.rc == 0
    assert "Usage:" in bare.stdout
    out = tmp_path / "out"
    for argv in (("init",), ("init", "-p", "glm"), ("config-switch",)):
        with Terminal(home, *argv, env=machine, into=str(out)) as terminal:
            assert terminal.ends() == 2
    with Terminal(home, "init", "-s", env=machine) as terminal:
        assert terminal.ends() == 2
    assert not cc.files(home)


MODULES = """
import sys
from ccsetup.cli import _run
code = _run.main({argv!r})
heavy = {{"questionary", "prompt_toolkit", "rich", "httpx", "keyring", "sqlite3", "ccsetup.cli.wizard"}}
sys.stderr.write("LOADED " + ",".join(sorted(heavy & set(sys.modules))) + "\\n")
"""


@pytest.mark.parametrize(
    "argv",
    [
        ["list"],
        ["init", "-s", "-p", "glm", "-k", KEY, "-T", "all"],
        ["config-switch", "official"],
        ["undo", "--list"],
        ["--help"],
        ["init", "--help"],
    ],
    ids=lambda argv: "-".join(argv[:2]),
)
def test_plain_commands_load_no_prompts(home: Path, machine: dict[str, str], argv: list[str]) -> None:
    """The wizard and its libraries are loaded when a person is asked, and never else."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", MODULES.format(argv=argv)],
        env=cc.environment(home, machine),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "LOADED \n" in done.stderr, done.stderr
