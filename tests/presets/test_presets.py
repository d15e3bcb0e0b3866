"""The presets that we ship, and how presets are found."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from ccsetup import presets, urls
from ccsetup.errors import DocumentError, UsageError
from ccsetup.model import ClaudeEndpoint, CodexEndpoint, Preset, Region, Tiers
from ccsetup.presets import Folders, spec
from ccsetup.presets import read as preset_reader

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCE = os.path.join(ROOT, "presets")
FROM_YAML = Folders(os.path.join(ROOT, "no-such-folder"), SOURCE, "")
IDS = presets.ids("", FROM_YAML)
THIRD_PARTIES = [name for name in IDS if name not in ("anthropic", "openai")]

MINE = """\
id: {id}
name: Mine
regions:
  - id: main
    claude-code: {{base_url: 'https://gateway.example', models: {{primary: some-model}}}}
"""


@pytest.fixture(scope="module")
def shipped() -> dict[str, Preset]:
    """Return every shipped preset, read from YAML."""
    return {name: presets.load(name, "", FROM_YAML) for name in IDS}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Return the folder that the build step makes of presets/, as in an installed package."""
    root = tmp_path_factory.mktemp("build")
    shutil.copytree(SOURCE, root / "presets")
    (root / "src" / "ccsetup" / "_presets").mkdir(parents=True)
    (root / "src" / "ccsetup" / "_presets" / "gone.json").write_text("{}")
    runpy.run_path(os.path.join(ROOT, "hatch_build.py"))["compile_presets"](str(root))
    return Folders(str(root / "src" / "ccsetup" / "_presets"), "", "")


def regions(shipped: dict[str, Preset]) -> Iterator[tuple[str, Region]]:
    for name, preset in shipped.items():
        for region in preset.regions:
            yield f"{name}/{region.id}", region


def claude_ends(shipped: dict[str, Preset]) -> Iterator[tuple[str, ClaudeEndpoint]]:
    for name, region in regions(shipped):
        if isinstance(region.claude, ClaudeEndpoint):
            yield name, region.claude


def codex_ends(shipped: dict[str, Preset]) -> Iterator[tuple[str, CodexEndpoint]]:
    for name, region in regions(shipped):
        if isinstance(region.codex, CodexEndpoint):
            yield name, region.codex


class TestShipped:
    """What holds for every preset that we ship."""

    def test_order(self) -> None:
        """Lists begin with the well-known ones and end with custom; the rest is sorted."""
        assert IDS[:5] == ["302ai", "glm", "minimax", "kimi", "openrouter"]
        assert IDS[-1] == "custom"
        assert IDS[5:-1] == sorted(IDS[5:-1])
        assert {"anthropic", "deepseek", "openai", "qwen", "siliconflow", "volcengine", "xai", "ollama"} < set(IDS)

    def test_defaults_of_the_well_known(self, shipped: dict[str, Preset]) -> None:
        """The default region keeps the URL, header and protocol that people know, where they still work."""
        found = {}
        for name in ("302ai", "glm", "minimax", "kimi", "openrouter", "custom"):
            claude, codex = shipped[name].regions[0].claude, shipped[name].regions[0].codex
            assert isinstance(claude, ClaudeEndpoint)
            assert isinstance(codex, CodexEndpoint)
            found[name] = (claude.base_url, claude.auth, codex.base_url, codex.wire, codex.model)
        token, key, wire = "auth_token", "api_key", "responses"
        bigmodel, moonshot, minimax = (
            "https://open.bigmodel.cn/api",
            "https://api.moonshot.cn",
            "https://api.minimax.cn",
        )
        openrouter = "https://openrouter.ai/api"
        assert found == {
            "302ai": ("https://api.302.ai/cc", key, "https://api.302.ai/v1", wire, "gpt-6-astra"),
            "glm": (f"{bigmodel}/anthropic", token, f"{bigmodel}/v1", wire, "glm-5.3"),
            "minimax": (f"{minimax}/anthropic", token, f"{minimax}/v1", wire, "MiniMax-M3"),
            "kimi": (f"{moonshot}/anthropic", token, f"{moonshot}/v1", wire, "kimi-k3"),
            "openrouter": (openrouter, token, f"{openrouter}/v1", wire, "openai/gpt-6.1-sol"),
            "custom": ("", token, "", wire, ""),
        }

    def test_regions(self, shipped: dict[str, Preset]) -> None:
        """Region ids are part of the command line and stay."""
        found = {name: [r.id for r in shipped[name].regions] for name in IDS if len(shipped[name].regions) > 1}
        assert found == {
            "302ai": ["intl", "cn"],
            "glm": ["cn", "intl"],
            "minimax": ["cn", "intl"],
            "kimi": ["cn", "intl", "code", "code-intl"],
            "qwen": ["cn", "intl", "coding-plan-cn", "coding-plan"],
            "siliconflow": ["cn", "intl"],
            "stepfun": ["cn", "intl"],
            "volcengine": ["coding", "paygo", "intl"],
        }
        assert {p.regions[0].id for p in shipped.values() if len(p.regions) == 1} == {"global", "local"}

    def test_every_tier_names_a_model(self, shipped: dict[str, Preset]) -> None:
        """No tier is left to a Claude id that the provider may not know; suffixes for the client stay out."""
        for name, end in claude_ends(shipped):
            if end.models is None:
                preset = shipped[name.split("/")[0]]
                assert end.native_models or preset.id == "custom" or not preset.key_required, name
                continue
            for model in end.models:
                assert model, name
                assert "[" not in model, name

    def test_windows_are_known(self, shipped: dict[str, Preset]) -> None:
        """Where models are named, so is a window, and none of the models has a smaller one."""
        for name, end in claude_ends(shipped):
            assert (end.context_window is None) == (end.models is None), name
            for model in end.models or ():
                known = shipped[name.split("/")[0]].model(model)
                assert known is not None, f"{name}: {model}"
                assert end.context_window is not None
                assert end.context_window <= (known.context or end.context_window), f"{name}: {model}"
        for name, codex in codex_ends(shipped):
            known = shipped[name.split("/")[0]].model(codex.model)
            assert known is not None or not codex.model, name
            if codex.context_window and known:
                assert codex.context_window <= (known.context or codex.context_window), name
            assert codex.context_window or not codex.model or not codex.catalog, name

    def test_claude_code_adds_v1_itself(self, shipped: dict[str, Preset]) -> None:
        """A base URL for Claude Code never ends in /v1, and every URL passes the rules for users' URLs."""
        for name, end in claude_ends(shipped):
            assert not end.base_url or urls.problem(end.base_url, claude=True) == "", name
        for name, codex in codex_ends(shipped):
            assert not codex.base_url or urls.problem(codex.base_url) == "", name

    def test_chat_says_why(self, shipped: dict[str, Preset]) -> None:
        """An endpoint that Codex cannot use says why, and can still be named to a relay."""
        chat = [(name, codex) for name, codex in codex_ends(shipped) if codex.wire == "chat"]
        assert len(chat) >= 8
        for name, codex in chat:
            assert "Codex" in codex.reason, name
        for name, region in regions(shipped):
            if isinstance(region.codex, CodexEndpoint) and region.codex.wire == "chat":
                assert region.chat_url, name

    def test_third_parties_get_plain_requests(self, shipped: dict[str, Preset]) -> None:
        """Web search, tools that are not functions and unknown models are for OpenAI only."""
        for name, codex in codex_ends(shipped):
            mine = (codex.web_search, codex.extra_tools, codex.catalog)
            assert mine == ((None, True, False) if name.startswith("openai/") else ("disabled", False, True)), name
            assert (codex.default_effort in codex.efforts) == bool(codex.efforts), name

    def test_variables(self, shipped: dict[str, Preset]) -> None:
        """Variables are known ones and have a reason; third parties get those that keep Anthropic out."""
        for name, end in claude_ends(shipped):
            for variable, fact in end.env.items():
                assert variable in spec.ENV_NAMES, name
                assert len(fact.reason) > 10, name
            if name.startswith("anthropic/"):
                assert end.env == {}
                continue
            assert end.env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"].value == "1", name
            serves_claude = name.startswith(("302ai/", "openrouter/"))
            for variable, value in (("DISABLE_EXPERIMENTAL_BETAS", "1"), ("ATTRIBUTION_HEADER", "0")):
                fact = end.env.get("CLAUDE_CODE_" + variable)
                assert (fact is None) if serves_claude else (fact is not None and fact.value == value), name

    def test_keys_go_only_where_requests_go(self, shipped: dict[str, Preset]) -> None:
        """A key check never sends the key to a host that is not the region's own."""
        for name, region in regions(shipped):
            ends = [region.chat_url, *(getattr(end, "base_url", "") for end in (region.claude, region.codex))]
            hosts = {urlsplit(url).netloc for url in ends}
            for check in region.verify:
                assert urlsplit(check.url).netloc in hosts, name

    def test_key_checks(self, shipped: dict[str, Preset]) -> None:
        """A check that proves something says what success is; one that does not says nothing of the key."""
        for name, region in regions(shipped):
            for check in region.verify:
                assert check.proves == bool(check.valid), name
                assert check.proves or not (check.invalid or check.no_quota or check.forbidden), name
                assert check.proves or check.models or check.url.endswith("/public/v1/models"), name
            assert any(check.proves for check in region.verify) or region.verify_note or not check_expected(name), name

    def test_legacy_values_lead_to_current_ones(self, shipped: dict[str, Preset]) -> None:
        """An old model's successor is a model of this file, and no old value is a default."""
        for name, preset in shipped.items():
            old = {model.id for model in preset.legacy_models}
            for model in preset.legacy_models:
                assert preset.model(model.successor), f"{name}: {model.successor}"
                assert model.successor not in old
            for region in preset.regions:
                claude, codex = region.claude, region.codex
                tiers: tuple[str, ...] = claude.models or () if isinstance(claude, ClaudeEndpoint) else ()
                assert not old.intersection((*tiers, getattr(codex, "model", ""))), name
                for url in preset.legacy_urls:
                    current = claude if url.client == "claude-code" else codex
                    assert getattr(current, "base_url", "") != url.url, name
        assert {"kimi-k2-0905-preview", "kimi-k2-turbo-preview", "moonshot-v1-8k"} <= {
            model.id for model in shipped["kimi"].legacy_models
        }
        assert "https://api.minimaxi.com/anthropic" in {url.url for url in shipped["minimax"].legacy_urls}

    def test_a_region_serves_its_own_models_and_none_of_another_plan(self, shipped: dict[str, Preset]) -> None:
        """Every model that a region is set up with is among those it serves; what only other plans have is not."""
        for name, preset in shipped.items():
            for region in preset.regions:
                tiers: tuple[str, ...] = getattr(region.claude, "models", None) or ()
                own = {*tiers, getattr(region.codex, "model", "")} - {""}
                if own and preset.models:
                    assert own <= {model.id for model in preset.served(region.id)}, f"{name}/{region.id}"
        kimi = shipped["kimi"]
        assert [model.id for model in kimi.served("")] == ["kimi-k3", "kimi-k3.1-pro"]
        plan = ["kimi-for-coding", "kimi-for-coding-highspeed", "k3", "k3-256k", "k3.1-pro"]
        assert [model.id for model in kimi.served("code")] == plan
        assert "moonshotai/Kimi-K3" not in {model.id for model in shipped["siliconflow"].served("cn")}

    def test_key_families_are_distinct(self, shipped: dict[str, Preset], compiled: Folders) -> None:
        """A prefix belongs to one provider, and the longest prefix is looked at first."""
        pairs = presets.key_families(compiled)
        prefixes = [family.prefix for _, family in pairs]
        assert len(prefixes) == len(set(prefixes))
        assert {("kimi", "sk-kimi-"), ("openrouter", "sk-or-"), ("anthropic", "sk-ant-")} <= {
            (name, family.prefix) for name, family in pairs
        }
        assert [len(prefix) for prefix in prefixes] == sorted(map(len, prefixes), reverse=True)
        assert pairs == presets.key_families(FROM_YAML)

    def test_texts_name_no_private_places(self) -> None:
        """The files cite public sources only, and nothing in them is newer than the file."""
        for name in IDS:
            text = Path(SOURCE, f"{name}.yaml").read_text(encoding="utf-8")
            for word in ("/work", "/home/", "/tmp/", "file://", "TODO"):
                assert word not in text, name
            data = yaml.safe_load(text)
            for date in dates(data):
                assert date <= data["as_of"], name
            assert set(data["sources"]) == cited(data), name


def check_expected(name: str) -> bool:
    """Tell whether a region should have a key check: local servers know no wrong keys."""
    return not name.endswith("/local")


def dates(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from [value] if key == "as_of" else dates(value)
    elif isinstance(data, list):
        for item in data:
            yield from dates(item)


def cited(data: Any) -> set[str]:
    if isinstance(data, dict):
        own = set(data["source"]) if isinstance(data.get("source"), list) else set()
        return own.union(*(cited(value) for value in data.values()))
    return set().union(*(cited(item) for item in data)) if isinstance(data, list) else set()


class TestTraps:
    """The shapes that public checkers get wrong are in the data."""

    def test_glm_says_no_with_200(self, shipped: dict[str, Preset]) -> None:
        """GLM wants the bare key and answers a wrong one with HTTP 200 and code 401."""
        for region in shipped["glm"].regions:
            check = region.verify[0]
            assert check.auth == "raw"
            assert any(c.path == "code" and c.equals == (401,) and not c.status for c in check.invalid)
            assert all(c.path for c in check.valid)

    def test_minimax_says_everything_with_200(self, shipped: dict[str, Preset]) -> None:
        """MiniMax has one check per kind of key, and base_resp.status_code decides."""
        for region in shipped["minimax"].regions:
            assert [check.prefixes for check in region.verify] == [("sk-api-",), ("sk-cp-",)]
            for check in region.verify:
                assert [c.path for c in check.valid] == ["base_resp.status_code"]

    def test_xai_refuses_with_400(self, shipped: dict[str, Preset]) -> None:
        """xAI answers a wrong key with 400, and a blocked one with 200."""
        check = shipped["xai"].regions[0].verify[0]
        assert check.invalid[0].status == (400, 401)
        assert {c.path for c in check.forbidden} == {"api_key_blocked", "api_key_disabled", "team_blocked"}

    def test_public_lists_prove_nothing(self, shipped: dict[str, Preset]) -> None:
        """The model lists of OpenRouter, ModelScope, NVIDIA and Cerebras answer without a key."""
        for name in ("openrouter", "modelscope", "nvidia", "cerebras"):
            for check in shipped[name].regions[0].verify:
                assert check.proves == (not check.url.endswith("/models")), name

    def test_deepseek_tells_key_from_money(self, shipped: dict[str, Preset]) -> None:
        """One request of DeepSeek tells a wrong key, an empty account and a good one apart."""
        check = shipped["deepseek"].regions[0].verify[0]
        assert check.valid[0].equals == (True,)
        assert check.no_quota[0].equals == (False,)


class TestCompiled:
    """The compiled form."""

    def test_compiled_is_what_the_yaml_says(self, shipped: dict[str, Preset], compiled: Folders) -> None:
        """An installed package gives the same presets, in the same order, as the YAML files."""
        assert presets.ids("", compiled) == IDS
        assert {name: presets.load(name, "", compiled) for name in IDS} == shipped
        assert presets.summaries("", compiled) == presets.summaries("", FROM_YAML)
        assert sorted(os.listdir(compiled.compiled)) == sorted([*(f"{name}.json" for name in IDS), "_index.json"])

    def test_summaries(self, compiled: Folders) -> None:
        """A summary says which clients can use a provider directly."""
        found, problems = presets.summaries("", compiled)
        assert problems == []
        clients = {summary.id: summary.clients for summary in found}
        assert clients["glm"] == clients["custom"] == ("claude-code", "codex")
        assert clients["openai"] == ("codex",)
        assert clients["anthropic"] == clients["siliconflow"] == ("claude-code",)
        assert clients["gemini"] == ()
        glm = next(summary for summary in found if summary.id == "glm")
        assert (glm.name, glm.regions, glm.user) == ("GLM (Zhipu / Z.ai)", ("cn", "intl"), False)
        assert set(glm.description) == {"en", "zh_CN"}

    def test_a_normal_run_imports_little(self, compiled: Folders) -> None:
        """Reading one compiled preset imports json and no YAML reader or other slow module."""
        code = (
            "import sys; before = set(sys.modules)\n"
            "from ccsetup import presets\n"
            f"preset = presets.load('glm', '/no-such-folder', presets.Folders({compiled.compiled!r}, '', ''))\n"
            "assert preset.id == 'glm'\n"
            "print(*{name.split('.')[0] for name in set(sys.modules) - before})\n"
        )
        done = subprocess.run(
            [sys.executable, "-S", "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": os.path.join(ROOT, "src")},
        )
        allowed = {"ccsetup", "json", "_json", "re", "typing", "_typing", "enum", "types", "functools", "collections"}
        allowed |= {"operator", "_operator", "keyword", "reprlib", "copyreg", "contextlib", "itertools", "warnings"}
        allowed |= {"_collections", "_functools", "_sre", "os", "stat", "_stat", "posixpath", "genericpath", "abc"}
        allowed |= {"_abc", "_collections_abc", "__future__", "errno"}
        assert set(done.stdout.split()) - allowed == set()


@pytest.fixture
def checkout(tmp_path: Path) -> Folders:
    """Return a checkout with two presets, of which ``one`` is compiled and up to date."""
    folders = Folders(str(tmp_path / "compiled"), str(tmp_path / "presets"), str(tmp_path / "spec.py"))
    os.mkdir(folders.compiled)
    os.mkdir(folders.source)
    Path(folders.spec).write_text("")
    for name in ("one", "two"):
        text = Path(SOURCE, "openai.yaml").read_text(encoding="utf-8").replace("id: openai", f"id: {name}", 1)
        Path(folders.source, f"{name}.yaml").write_text(text, encoding="utf-8")
    plain = preset_reader.parse(Path(folders.source, "one.yaml").read_bytes(), "one.yaml")
    Path(folders.compiled, "one.json").write_text(json.dumps({**plain, "name": "Compiled"}))
    entry = presets.index_entry(presets.build({**plain, "name": "Compiled"}))
    Path(folders.compiled, "_index.json").write_text(json.dumps({"one": entry, "gone": entry}))
    for path in (folders.spec, *(os.path.join(folders.source, f) for f in os.listdir(folders.source))):
        os.utime(path, (1000, 1000))
    for file in os.listdir(folders.compiled):
        os.utime(os.path.join(folders.compiled, file), (2000, 2000))
    return folders


class TestCheckout:
    """In a checkout, YAML that is newer than its JSON wins."""

    def test_fresh_json_is_used(self, checkout: Folders) -> None:
        """What is compiled and not older than its YAML is taken as it is; what is not compiled is read from YAML."""
        assert presets.load("one", "", checkout).name == "Compiled"
        assert presets.load("two", "", checkout).name == "OpenAI"
        assert presets.ids("", checkout) == ["one", "two"]
        assert [s.name for s in presets.summaries("", checkout)[0]] == ["Compiled", "OpenAI"]

    @pytest.mark.parametrize("newer", ["presets/one.yaml", "spec.py"])
    def test_an_edit_works_at_once(self, checkout: Folders, tmp_path: Path, newer: str) -> None:
        """After an edit of the YAML, or of the code that decides the shape, the JSON is not used."""
        os.utime(tmp_path / newer, (3000, 3000))
        assert presets.load("one", "", checkout).name == "OpenAI"
        assert presets.summaries("", checkout)[0][0].name == "OpenAI"

    def test_a_removed_preset_is_gone(self, checkout: Folders) -> None:
        """JSON whose YAML was removed is not offered any more."""
        os.unlink(os.path.join(checkout.source, "one.yaml"))
        assert presets.ids("", checkout) == ["two"]
        assert [s.id for s in presets.summaries("", checkout)[0]] == ["two"]
        with pytest.raises(UsageError):
            presets.load("one", "", checkout)

    def test_a_mistake_is_reported(self, checkout: Folders) -> None:
        """An edit that breaks a rule of shipped presets is an error, not ignored."""
        Path(checkout.source, "one.yaml").write_text(MINE.format(id="one"))
        with pytest.raises(DocumentError, match=r"one\.yaml:5:.* is missing"):
            presets.load("one", "", checkout)


class TestUnknown:
    """Ids that do not exist."""

    def test_unknown_id(self, tmp_path: Path, compiled: Folders) -> None:
        """The message lists what there is, the user's own included, and the hint names the nearest."""
        (tmp_path / "mine.yaml").write_text(MINE.format(id="mine"))
        with pytest.raises(UsageError) as caught:
            presets.load("kimmi", str(tmp_path), compiled)
        known = ", ".join([*IDS, "mine"])
        assert caught.value.message == f"Invalid provider 'kimmi'. Valid providers: {known}"
        assert caught.value.hint == "Did you mean 'kimi'?"
        assert caught.value.exit_code == 2

    @pytest.mark.parametrize("bad", ["", "../glm", "glm.yaml", "glm\n", "a\x1b[2Jb", "x" * 5000, "_index", "."])
    def test_odd_ids(self, tmp_path: Path, compiled: Folders, bad: str) -> None:
        """An id that is none never reaches the disk or the terminal as it is."""
        (tmp_path / "presets").mkdir()
        (tmp_path / "glm.yaml").write_text("this would be an error if it were read: [")
        with pytest.raises(UsageError) as caught:
            presets.load(bad, str(tmp_path / "presets"), compiled)
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 1000

    @pytest.mark.parametrize(
        ("word", "preset_id"),
        [
            *(("GLM", "glm"), ("302.ai", "302ai"), ("LM Studio", "lmstudio"), ("Moonshot", "kimi"), ("zhipu", "glm")),
            *(("claude", "anthropic"), ("llama.cpp", "llamacpp"), ("DashScope", "qwen"), ("grok", "xai")),
        ],
    )
    def test_what_people_write_is_understood(self, word: str, preset_id: str) -> None:
        """Capitals, dots and other names are no mistake where they mean one preset."""
        assert presets.load(word).id == preset_id

    def test_the_name_of_a_region_is_told(self) -> None:
        """Z.ai is one site of GLM: which region that is, the user types."""
        with pytest.raises(UsageError) as caught:
            presets.load("z.ai")
        assert caught.value.hint == "Did you mean: -p glm --region intl"

    @pytest.mark.parametrize(
        ("word", "hint"),
        [
            ("GLM coding", "Did you mean 'glm'?"),
            ("moonshot/k3", "Did you mean 'kimi'?"),
            ("https://api.example/v1", "Give an address with: -p custom -u URL"),
        ],
    )
    def test_more_than_a_name(self, word: str, hint: str) -> None:
        """A name with something behind it leads to that name, whatever else it is like; an address to its option."""
        with pytest.raises(UsageError) as caught:
            presets.load(word)
        assert caught.value.hint == hint

    def test_other_names_of_the_users_own(self, tmp_path: Path) -> None:
        """They count before those of ours; an id counts before both, and a file that cannot be read for nothing."""
        (tmp_path / "mine.yaml").write_text(MINE.format(id="mine") + "aliases: {acme: '', google: '', glm: ''}\n")
        (tmp_path / "broken.yaml").write_text("[")
        assert [presets.load(word, str(tmp_path)).id for word in ("ACME", "google", "glm", "claude")] == [
            *("mine", "mine", "glm", "anthropic")
        ]

    def test_other_names_are_nobodys_id(self, shipped: dict[str, Preset]) -> None:
        """No two presets have the same other name, none is another's id, and their regions are there."""
        named = [alias for preset in shipped.values() for alias in preset.aliases]
        assert len(named) == len(set(named))
        assert not set(named) & set(shipped)
        for preset in shipped.values():
            assert {*preset.aliases.values()} <= {"", *(region.id for region in preset.regions)}


class TestUsers:
    """Presets of the user."""

    def test_add_and_override(self, tmp_path: Path, compiled: Folders) -> None:
        """A file adds a preset at the end of lists, or takes the place of a built-in one."""
        for name in ("zeta", "alpha", "glm"):
            (tmp_path / f"{name}.yaml").write_text(MINE.format(id=name))
        (tmp_path / "README.md").write_text("not a preset")
        (tmp_path / ".hidden.yaml").write_text("not a preset")
        user = str(tmp_path)
        assert presets.ids(user, compiled) == [*IDS, "alpha", "zeta"]
        assert presets.load("glm", user, compiled).name == "Mine"
        claude = presets.load("zeta", user, compiled).regions[0].claude
        assert isinstance(claude, ClaudeEndpoint)
        assert claude.models == Tiers(*["some-model"] * 6)
        found, problems = presets.summaries(user, compiled)
        assert problems == []
        assert [s.id for s in found] == [*IDS, "alpha", "zeta"]
        assert {s.id for s in found if s.user} == {"alpha", "glm", "zeta"}

    def test_a_broken_file_breaks_only_itself(self, tmp_path: Path, compiled: Folders) -> None:
        """Commands that do not use a broken file work; lists leave it out and say why."""
        (tmp_path / "bad.yaml").write_text("id: bad\nname: &x Bad\n")
        (tmp_path / "Loud.yaml").write_text(MINE.format(id="loud"))
        (tmp_path / "mine.yaml").write_text(MINE.format(id="mine"))
        user = str(tmp_path)
        assert presets.load("mine", user, compiled).name == "Mine"
        assert presets.load("glm", user, compiled).id == "glm"
        found, problems = presets.summaries(user, compiled)
        assert [s.id for s in found] == [*IDS, "mine"]
        assert [problem.message for problem in problems] == [
            f"{user}/Loud.yaml:1:5: id: The id is 'loud', but the file is called 'Loud.yaml'.",
            f"{user}/bad.yaml:2:7: Anchors (&name) are not allowed.",
        ]
        with pytest.raises(DocumentError) as caught:
            presets.load("bad", user, compiled)
        assert (caught.value.line, caught.value.column) == (2, 7)

    def test_the_id_is_the_file_name(self, tmp_path: Path, compiled: Folders) -> None:
        """A copied file whose id was not changed is refused: two presets of one id cannot be."""
        (tmp_path / "copy.yaml").write_text(MINE.format(id="mine"))
        with pytest.raises(DocumentError, match=r"copy\.yaml:1:5: id: The id is 'mine'"):
            presets.load("copy", str(tmp_path), compiled)

    def test_two_files_of_one_id(self, tmp_path: Path, compiled: Folders) -> None:
        """mine.yaml and mine.yml claim the same id: neither is guessed."""
        for ending in ("yaml", "yml"):
            (tmp_path / f"mine.{ending}").write_text(MINE.format(id="mine"))
        with pytest.raises(DocumentError, match="Two files hold the same preset"):
            presets.load("mine", str(tmp_path), compiled)
        found, problems = presets.summaries(str(tmp_path), compiled)
        assert len(found) == len(IDS)
        assert len(problems) == 1

    def test_only_custom_may_leave_urls_empty(self, tmp_path: Path, compiled: Folders) -> None:
        """The user's own custom preset may stay open as well; others may not."""
        text = Path(SOURCE, "custom.yaml").read_text(encoding="utf-8")
        (tmp_path / "custom.yaml").write_text(text, encoding="utf-8")
        (tmp_path / "other.yaml").write_text(text.replace("id: custom", "id: other", 1), encoding="utf-8")
        assert presets.load("custom", str(tmp_path), compiled).id == "custom"
        with pytest.raises(DocumentError, match="Only the preset 'custom' may leave this empty"):
            presets.load("other", str(tmp_path), compiled)

    @pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link", "unreadable"])
    def test_what_is_not_a_file(self, tmp_path: Path, compiled: Folders, kind: str) -> None:
        """Folders, pipes and dangling links are refused at once, without waiting."""
        path = tmp_path / "mine.yaml"
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        else:
            if os.geteuid() == 0:
                pytest.skip("root reads everything")
            path.write_text(MINE.format(id="mine"))
            path.chmod(0)
        with pytest.raises(DocumentError, match=r"mine\.yaml (is not a regular file|cannot be read)"):
            presets.load("mine", str(tmp_path), compiled)

    def test_a_link_to_a_file_is_fine(self, tmp_path: Path, compiled: Folders) -> None:
        """People keep their dotfiles elsewhere and link to them."""
        (tmp_path / "dotfiles").mkdir()
        (tmp_path / "dotfiles" / "gateway").write_text(MINE.format(id="mine"))
        (tmp_path / "mine.yaml").symlink_to(tmp_path / "dotfiles" / "gateway")
        assert presets.load("mine", str(tmp_path), compiled).name == "Mine"

    def test_large_files_are_not_read(self, tmp_path: Path, compiled: Folders) -> None:
        """More than 1 MiB is refused; not even all of it is read."""
        with open(tmp_path / "mine.yaml", "wb") as file:
            file.truncate(1 << 40)  # a sparse file: 1 TiB without taking room
        with pytest.raises(DocumentError, match="larger than 1 MiB"):
            presets.load("mine", str(tmp_path), compiled)

    def test_no_folder(self, tmp_path: Path, compiled: Folders) -> None:
        """Most users have no presets of their own."""
        assert presets.ids(str(tmp_path / "none"), compiled) == IDS
        assert presets.load("glm", str(tmp_path / "none"), compiled).id == "glm"
        assert presets.summaries("", compiled)[1] == []
