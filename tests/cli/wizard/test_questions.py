"""The order of the questions, and what each answer leads to: pure, without a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import pytest
from support import cc, other_tools

from ccsetup import presets
from ccsetup.change import actions, entries
from ccsetup.change.entries import Options
from ccsetup.change.world import World
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _via
from ccsetup.cli.wizard import command_line, look
from ccsetup.cli.wizard.answers import TYPE, Answers, AskText, Choose, Settled, WizardFacts
from ccsetup.cli.wizard.ask_model import LIVE
from ccsetup.cli.wizard.questions import next_step
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError
from ccsetup.model import ClientName, Model, Secret
from ccsetup.profiles.apiconfigs import Entry

KEY = "test-key-0123456789abcdefWXYZ"
BOTH: list[ClientName] = ["claude-code", "codex"]


def no_models(*_args: Any) -> list[Model]:
    raise CcsetupError("nobody is asked here")


def facts(context: Context, *, keyring: bool = False, relay_problem: str = "") -> WizardFacts:
    """Return what the wizard knows in the home of the test."""
    world = context.world()
    return WizardFacts(
        look.around(context),
        context.preset,
        world.profiles,
        context.paths.environ,
        presets.key_families(),
        lambda name: bool(world.key(world.profiles[name])),
        lambda: keyring,
        no_models,
        lambda: relay_problem,
    )


def given(clients: Optional[list[ClientName]] = None, key: str = "", storage: str = "", **fields: Any) -> Answers:
    return Answers(fields, Options(Secret(key) if key else None, clients or [], storage, "", "", True), False)


def walk(known: WizardFacts, answers: Answers, **replies: str) -> tuple[Answers, list[str]]:
    """Answer every question: by *replies* (``-`` in an id is ``_``), else with its default; return what was asked."""
    asked: list[str] = []
    told = {name.replace("_", "-"): value for name, value in replies.items()}
    for _n in range(40):
        step = next_step(known, answers)
        if step is None:
            return answers, asked
        if isinstance(step, Settled):
            answers = step.answers
            continue
        asked.append(step.id)
        value = told.get(step.id)
        if isinstance(step, Choose):
            able = [o.value for o in step.options if not o.disabled]
            value = value if value is not None else step.default if step.default in able else able[0]
            assert value in able, f"{step.id}: {value!r} is none of {able}"
        else:
            assert isinstance(step, AskText)
            value = value if value is not None else KEY if step.secret else step.default
            problem = step.check(value) if step.check else ""
            assert not problem, f"{step.id}: {value!r}: {problem}"
        answers = step.apply(value)
    raise AssertionError(f"the questions have no end: {asked}")


def options(known: WizardFacts, answers: Answers, question: str) -> list[str]:
    """Return the labels of the next question, which is *question*."""
    step = next_step(known, answers)
    while isinstance(step, Settled):
        step = next_step(known, step.answers)
    assert isinstance(step, Choose)
    assert step.id == question
    return [o.label for o in step.options]


@pytest.fixture
def context(home: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("PATH", str(home / "no-programs"))
    monkeypatch.chdir(home)
    return Context()


def test_the_order(context: Context) -> None:
    """Site before key, so that the key's page can be named; then model and storage."""
    answers, asked = walk(facts(context), given(), clients="all", provider="glm")
    assert asked == ["clients", "provider", "region", "key", "model", "storage"]
    assert answers.fields == {"provider": "glm", "region": "cn"}
    assert command_line(answers) == "ccsetup init -s -p glm --region cn -T all -k -"


def test_a_key_that_tells_its_site(context: Context) -> None:
    """Where a kind of key works at one site only, the key comes first, and the site is asked when it does not tell."""
    answers, asked = walk(facts(context), given(BOTH, provider="kimi"), key="sk-kimi-0123456789abcdef")
    assert asked == ["key", "model", "storage"]
    assert answers.field("region") == "code"
    answers, asked = walk(facts(context), given(BOTH, provider="kimi"), key="sk-0123456789abcdef", region="intl")
    assert asked == ["key", "region", "model", "storage"]
    assert answers.field("region") == "intl"


@pytest.mark.parametrize(
    ("reply", "provider", "region", "key"),
    [
        ("change", "kimi", "code", "sk-kimi-0123456789abcdef"),
        ("keep", "openrouter", "", "sk-kimi-0123456789abcdef"),
    ],
)
def test_another_providers_key(context: Context, reply: str, provider: str, region: str, key: str) -> None:
    """A key of another family can change the provider, or be used all the same."""
    start = given(BOTH, provider="openrouter")
    answers, asked = walk(facts(context), start, key="sk-kimi-0123456789abcdef", family=reply)
    assert "family" in asked
    assert (answers.field("provider"), answers.field("region")) == (provider, region)
    assert answers.options.secret == Secret(key)


def test_another_key_can_be_entered(context: Context) -> None:
    """The third answer to a key of another family asks for the key again."""
    known = facts(context)
    start = given(BOTH, "sk-kimi-0123456789abcdef", provider="openrouter", region="global")
    step = next_step(known, start)
    assert isinstance(step, Choose)
    assert step.id == "family"
    step = next_step(known, step.apply("again"))
    assert isinstance(step, AskText)
    assert step.secret


def test_a_key_for_another_site(context: Context) -> None:
    """With a site that was said before, a key of another site is asked about."""
    known = facts(context)
    start = given(BOTH, "sk-kimi-0123456789abcdef", provider="kimi", region="cn")
    step = next_step(known, start)
    assert isinstance(step, Choose)
    assert step.id == "family"
    assert step.apply("change").field("region") == "code"
    assert step.apply("keep").field("region") == "cn"


def test_another_provider_that_needs_the_relay(context: Context) -> None:
    """Changing to a provider that the client cannot speak to leads to the question about the relay."""
    known = facts(context)
    step = next_step(known, given(["codex"], "sk-ant-0123456789abcdef", provider="glm", region="cn"))
    assert isinstance(step, Choose)
    assert step.id == "family"
    step = next_step(known, step.apply("change"))
    assert isinstance(step, Choose)
    assert step.id == "relay"
    assert "Codex cannot speak to Anthropic directly" in step.note


NOWHERE = """\
id: nowhere
name: Nowhere
description: {en: No address}
regions:
  - id: global
    name: nowhere
    claude-code: {unsupported: nobody}
    codex: {unsupported: nobody}
"""


def test_providers_that_do_not_serve_the_client(context: Context, home: Path) -> None:
    """Those that the relay can ask say so, behind the others; those that nobody can ask cannot be chosen."""
    cc.put(home, {".config/ccsetup/presets/nowhere.yaml": NOWHERE})
    step = next_step(facts(context), given(["codex"]))
    assert isinstance(step, Choose)
    assert [o.value for o in step.options if o.disabled] == ["nowhere"] == [step.options[-1].value]
    relayed = {o.value for o in step.options if "[by the relay]" in o.label + o.detail}
    assert {"anthropic", "cerebras", "siliconflow"} <= relayed
    assert not {"openai", "glm", "custom"} & relayed
    assert [o.value for o in step.options[-len(relayed) - 2 :]] == [*sorted(relayed), "custom", "nowhere"]


@pytest.mark.parametrize(
    ("clients", "preset", "message"),
    [
        (["codex"], "siliconflow", "Codex cannot speak to SiliconFlow directly"),
        (BOTH, "siliconflow", "Codex cannot speak to SiliconFlow directly"),
        (BOTH, "cerebras", "Claude Code and Codex cannot speak to Cerebras directly"),
        (["claude-code"], "openai", "Claude Code cannot speak to OpenAI directly"),
    ],
)
def test_the_relay_is_offered(context: Context, clients: list[ClientName], preset: str, message: str) -> None:
    """Whoever takes it comes to a command with --via-relay; the rest is asked as ever."""
    step = next_step(facts(context), given(clients, provider=preset))
    assert isinstance(step, Choose)
    assert (step.id, step.default) == ("relay", "relay")
    assert step.note.startswith(message)
    answers, asked = walk(facts(context), given(clients, provider=preset))
    assert asked[0] == "relay"
    assert asked.count("relay") == 1
    assert answers.via_relay
    assert command_line(answers).endswith("--via-relay -k -")


def test_the_relay_is_declined(context: Context) -> None:
    """The clients that can do without it are set up, or another provider is asked for, without this one's key."""
    known = facts(context)
    answers, asked = walk(known, given(BOTH, provider="siliconflow"), relay="only")
    assert answers.options.clients == ["claude-code"]
    assert not answers.via_relay
    assert asked[:3] == ["relay", "region", "key"]
    step = next_step(known, given(BOTH, KEY, provider="siliconflow", region="cn"))
    assert isinstance(step, Choose)
    answers = step.apply("other")
    assert answers.options.secret is None
    step = next_step(known, answers)
    assert isinstance(step, Choose)
    assert step.id == "provider"
    assert walk(known, answers, provider="glm")[0].fields == {"provider": "glm", "region": "cn"}
    step = next_step(known, given(["codex"], provider="cerebras"))
    assert isinstance(step, Choose)
    assert [o.value for o in step.options] == ["relay", "other"]


def test_the_relay_is_not_installed(context: Context) -> None:
    """What has to be installed is said, and the way stays closed."""
    step = next_step(facts(context, relay_problem="Install it with: pip."), given(BOTH, provider="siliconflow"))
    assert isinstance(step, Choose)
    assert step.note.endswith("this machine. Install it with: pip.")
    assert step.options[0].disabled
    assert step.default == "only"


def test_a_site_that_needs_the_relay(context: Context) -> None:
    """One plan of a provider may need it while another does not; it is asked after the site."""
    known = facts(context)
    answers, asked = walk(known, given(["codex"], provider="qwen"), region="coding-plan")
    assert asked[:3] == ["region", "relay", "key"]
    assert answers.via_relay
    answers, asked = walk(known, given(["codex"], provider="qwen"), region="cn")
    assert "relay" not in asked


def test_storage_behind_the_relay(context: Context) -> None:
    """No client has the key, so that it is in no client's settings."""
    start = given(["codex"], KEY, provider="cerebras")._replace(via_relay=True, settled=frozenset({"model"}))
    assert options(facts(context), start, "storage") == ["In a file of its own", "In $CEREBRAS_API_KEY"]


def test_a_local_server_needs_no_key(context: Context) -> None:
    """Neither key nor storage is asked for; the model is, because nobody knows what is installed."""
    answers, asked = walk(facts(context), given(BOTH, provider="ollama"), model=TYPE, model_type="qwen3-coder")
    assert asked == ["model", "model-type", "context", "storage"] or asked == ["model", "model-type", "context"]
    assert "-k" not in command_line(answers)


def test_a_list_that_cannot_be_had(context: Context) -> None:
    """When the provider does not tell its models, the model is typed."""
    start = given(["claude-code"], KEY, provider="custom", url="https://h.example/x", type="auth_token")
    answers, asked = walk(facts(context), start, model=LIVE, model_type="m-1")
    assert asked[:2] == ["model", "model-type"]
    assert answers.field("primaryModel") == "m-1"


def test_the_window_from_the_providers_list(context: Context) -> None:
    """A window that the provider's list says is not asked for."""
    known = facts(context)._replace(live_models=lambda *_: [Model("m-1", context=65_536), Model("m-2")])
    start = given(["claude-code"], KEY, provider="custom", url="https://h.example/x", type="auth_token")
    answers, asked = walk(known, start, model=LIVE, model_live="m-1")
    assert asked == ["model", "model-live", "storage"]
    assert answers.fields["contextWindow"] == 65_536
    answers, asked = walk(known, start, model=LIVE, model_live="m-2", context="32000")
    assert answers.fields["contextWindow"] == 32_000


def test_a_keyring_is_offered_where_there_is_one(context: Context) -> None:
    """Among the places for a key, the keyring stands only where one answers; .env only for Codex alone."""
    start = given(["codex"], KEY, provider="openrouter", region="global", primaryModel="x/y", contextWindow=1000)
    without = options(facts(context), start, "storage")
    with_one = options(facts(context, keyring=True), start, "storage")
    assert [label for label in with_one if label not in without] == ["In the system's keyring"]
    assert "In ~/.codex/.env" in without
    both = options(facts(context), start._replace(options=start.options._replace(clients=BOTH)), "storage")
    assert "In ~/.codex/.env" not in both


class TestFilledHome:
    """Keys that other tools left."""

    @pytest.fixture(autouse=True)
    def _filled(self, home: Path) -> None:
        other_tools.fill(home)

    def test_offered_with_their_site(self, context: Context) -> None:
        """A key is offered for the provider of the address it was used with, and brings its site along."""
        known = facts(context)
        labels = options(known, given(BOTH, provider="glm"), "key-from")
        assert labels == ["Use ...ZAIK from Claude Code", "Use ...BMDL from zcf, ccm", "Paste another key"]
        answers, asked = walk(known, given(BOTH, provider="glm"), key_from="1", repair="repair")
        assert asked == ["key-from", "model", "storage", "repair"]
        assert answers.field("region") == "cn"
        assert answers.options.secret == Secret(other_tools.BIGMODEL)
        answers, _asked = walk(known, given(BOTH, provider="kimi"), key_from="0")
        assert (answers.field("region"), answers.options.secret) == ("code", Secret(other_tools.KIMI_CODE))

    def test_never_for_another_address(self, context: Context) -> None:
        """With an address of one's own, only keys that were used with its host are offered."""
        known = facts(context)
        for start in (
            given(["claude-code"], provider="glm", region="intl", url="https://relay.example/x"),
            given(["claude-code"], provider="custom", url="https://relay.example/x", type="auth_token"),
        ):
            step = next_step(known, start)
            while isinstance(step, Settled):
                step = next_step(known, step.answers)
            assert isinstance(step, AskText)
            assert step.secret
        start = given(["claude-code"], provider="custom", url="https://api.z.ai/v2", type="auth_token")
        assert options(known, start, "key-from")[0] == "Use ...ZAIK from Claude Code"

    def test_a_site_that_was_said(self, context: Context) -> None:
        """Keys of another site are not offered."""
        labels = options(facts(context), given(BOTH, provider="glm", region="cn"), "key-from")
        assert labels == ["Use ...BMDL from zcf, ccm", "Paste another key"]

    def test_known_providers_come_first(self, context: Context) -> None:
        """Providers in use, then those with a key here, then all others; a comment in the settings changes nothing."""
        step = next_step(facts(context), given(BOTH))
        assert isinstance(step, Choose)
        assert [o.value for o in step.options][:4] == ["glm", "kimi", "openrouter", "deepseek"]
        assert step.default == "glm"


SERVED = [
    pytest.param(summary.id, clients, id=f"{summary.id}-{'-'.join(clients)}")
    for summary in presets.summaries()[0]
    for clients in (["claude-code"], ["codex"], BOTH)
    if set(clients) <= {*summary.clients, *summary.by_relay}
]


@pytest.mark.parametrize(("preset_id", "clients"), SERVED)
def test_every_provider(context: Context, preset_id: str, clients: list[ClientName]) -> None:
    """Enter at every question leads, for each provider and client, to something that ``init`` accepts as it is."""
    address = "https://endpoint.example/base"
    replies = {"url_claude_code": address, "url_codex": address, "model": TYPE, "model_type": "some-model"}
    preset = presets.load(preset_id)
    known = facts(context)
    first = walk(known, given(clients, provider=preset_id), **replies)[0]
    assert first.field("region") in ("", *(r.id for r in preset.regions))
    has_model = preset_id not in ("custom", "ollama", "llamacpp", "lmstudio", "vllm")
    enter = {k: v for k, v in replies.items() if not (has_model and k == "model")}
    answers, asked = walk(known, given(clients, provider=preset_id), **enter)
    assert len(asked) <= 10

    def act(world: World) -> None:
        if answers.via_relay:
            _via.draft(context, world, [Entry(answers.fields, "")], answers.options, activate=True, repair=False)
        else:
            actions.init(world, entries.requests(world, [Entry(answers.fields, "")], answers.options))

    needed = not set(clients) <= set(next(s for s in known.seen.summaries if s.id == preset_id).clients)
    assert answers.via_relay == needed
    _result, changes = context.run("init", act, dry=True)
    assert changes
    told = command_line(answers)
    assert KEY not in told
    for client in CLIENTS:
        named = {"claude-code": context.paths.claude_settings, "codex": context.paths.codex_config}[client]
        assert (named in {c.path for c in changes}) == (client in clients)


def test_nothing_is_written_by_asking(context: Context, home: Path) -> None:
    """Looking around and walking through the questions leaves no file, also none beside another tool's."""
    other_tools.fill(home)
    before = cc.files(home, records=True)
    walk(facts(context), given(), provider="glm")
    assert cc.files(home, records=True) == before


def asked(known: WizardFacts, answers: Answers, id_: str, **replies: str) -> AskText:
    """Return the question *id_* as it comes after *replies*."""
    for _n in range(20):
        step = next_step(known, answers)
        if isinstance(step, Settled):
            answers = step.answers
            continue
        assert isinstance(step, (AskText, Choose))
        if step.id == id_:
            assert isinstance(step, AskText)
            return step
        default = step.default or (step.options[0].value if isinstance(step, Choose) else KEY)
        answers = step.apply(replies.get(step.id.replace("-", "_"), default))
    raise AssertionError(id_)


WRONG_FIELDS = [
    # question, what is typed, what is said of it, what was known or answered before
    ("new-name", "sk-ant-api03-0f3a9b27c4d81e56", "A key stands where a name belongs", {"name": "new"}),
    ("new-name", "two words", "cannot be a profile name", {"name": "new"}),
    ("new-name", "glm", "There is a profile of that name already", {"name": "new"}),
    ("key", "sk-...", "a placeholder, not a key", {}),
    ("key", "${GLM_KEY}", "a placeholder, not a key", {}),
    ("key", "sk-xxxxxxxx", "gives out none like this", {}),
    ("key", '""', "is empty", {}),
    ("model-type", "glm 5", "has no spaces", {"model": TYPE}),
    ("model-type", "sk-ant-api03-0f3a9b27c4d81e56", "A key stands where a name belongs", {"model": TYPE}),
    ("url-claude-code", "https://h.example/sk-ant-api03-0f3a9b27c4d81e56", "The address holds a key", {"-p": "custom"}),
    ("url-claude-code", "https://h.example/a b", "white space", {"-p": "custom"}),
    ("url-codex", "h.example/v1", "begins with https://", {"-p": "custom", "-T": "codex"}),
]


@pytest.mark.parametrize(("id_", "typed", "problem", "before"), WRONG_FIELDS)
def test_a_field_refuses_what_the_option_refuses(
    home: Path, id_: str, typed: str, problem: str, before: dict[str, str]
) -> None:
    """With a sentence below the field, that does not repeat a key."""
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY).ok
    replies = {k: v for k, v in before.items() if not k.startswith("-")}
    answers = given([before.get("-T", "claude-code")], provider=before.get("-p", "glm"))
    step = asked(facts(Context()), answers, id_, **{"key_from": TYPE, **replies})
    assert step.check is not None
    said = step.check(typed)
    assert problem in said
    assert typed not in said or not typed.startswith("sk-ant")


def test_a_field_corrects_and_says_so(home: Path) -> None:
    """A key in quotes, and an address with the path of a request."""
    known = facts(Context())
    step = asked(known, given(["claude-code"], provider="glm"), "key")
    made = step.apply(f'"{KEY}"')
    assert made.options.secret == Secret(KEY)
    assert "quotes" in made.said
    step = asked(known, given(["codex"], provider="custom"), "url-codex")
    made = step.apply("https://h.example/v1/messages")
    assert made.field("url") == "https://h.example/v1"
    assert "https://h.example/v1" in made.said


def test_a_foreign_key_is_asked_about_and_can_be_insisted_on(home: Path) -> None:
    """Also one of a vendor that has no preset; the command that does the same insists too."""
    known = facts(Context())
    for key, able in (
        ("sk-or-v1-0f3a9b27c4d81e56f0a7", ["change", "again", "keep"]),
        ("gsk_0f3a9b27c4d81e56", ["again", "keep"]),
    ):
        answers = given(["claude-code"], key, provider="glm").put("key")
        step = next_step(known, answers)
        assert isinstance(step, Choose)
        assert step.id == "family"
        assert [o.value for o in step.options] == able
        kept = step.apply("keep")
        assert kept.options.force_key
        assert "--force-key" in command_line(kept)
    assert next_step(
        known, given(["claude-code"], "gsk_0f3a9b27c4d81e56", provider="glm", url="https://h.example").put("key")
    )
