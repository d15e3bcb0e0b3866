"""Several saved profiles with the real Codex: whose key goes where, and what another version of Codex makes of them.

``CCSETUP_TEST_PAIRS=all`` tries every pair of ways to make a profile (8100) with every release, instead of a covering
few; a number tries so many of them, by chance but always the same.
"""

from __future__ import annotations

import itertools
import os
import random
import tomllib
from pathlib import Path
from typing import NamedTuple, Optional

import pytest
from support import cc
from support.client_install import PINNED
from support.clients import CODEX_VERSIONS, run_codex
from support.provider import Provider

pytestmark = pytest.mark.clients


def installed(*versions: str) -> dict[str, Optional[str]]:
    """Return a PATH on which npm put these versions of Codex, the first one first, and no other client."""
    folders = [
        c.folder / "node_modules" / ".bin" for v in versions for c in PINNED if (c.name, c.version) == ("codex", v)
    ]
    assert len(folders) == len(versions)
    return {"PATH": os.pathsep.join(map(str, folders))}


def ask(home: Path, provider: Provider, version: str, profile: Optional[str], env: dict[str, str]) -> tuple[str, ...]:
    """Let Codex ask once; return its key, path, the header that a user added and the query, as they came."""
    provider.clear()
    result = run_codex(version, home, "hi", profile=profile, env=env)
    assert result.ok, result
    (call,) = provider.of("responses")
    (credential,) = call.credentials
    return credential[1], call.prefix, call.headers.get("x-own", ""), call.request.query.get("own", "")


class Way(NamedTuple):
    """How a profile is made."""

    storage: str
    headers: str
    """What the user adds to the provider's table: "", http_headers or env_http_headers."""
    query: bool
    id: str
    """``--provider-id``: "" for none; "own"; "other" for the id that the other profile has by default."""


STORAGES = ("inline", "command", "env", "dotenv", "keyring")
KEYRING = {"PYTHON_KEYRING_BACKEND": "support.keyring_file.Keyring", "PYTHONPATH": str(Path(__file__).parents[1])}
"""For ccsetup, and for the command by which Codex gets a key from there."""
WAYS = [
    Way(s, h, q, i)
    for s in STORAGES
    for h in ("", "http_headers", "env_http_headers")
    for q in (False, True)
    for i in ("", "own", "other")
]
WANTED = os.environ.get("CCSETUP_TEST_PAIRS", "")
FEW = [
    (Way("env", "http_headers", True, ""), Way("inline", "", False, "")),
    (Way("inline", "", False, "own"), Way("command", "env_http_headers", True, "own")),
    (Way("dotenv", "env_http_headers", False, ""), Way("dotenv", "", True, "other")),
    (Way("keyring", "http_headers", True, "own"), Way("keyring", "", False, "other")),
    (Way("command", "http_headers", False, "other"), Way("env", "http_headers", True, "own")),
]


def pairs() -> list[tuple[Way, Way]]:
    every = list(itertools.product(WAYS, repeat=2))
    if WANTED == "all":
        return every
    return random.Random(7).sample(every, int(WANTED)) if WANTED else FEW


def make(home: Path, provider: Provider, version: str, name: str, way: Way) -> None:
    """Set a profile up; the user then adds headers and query parameters to its table."""
    other = "b" if name == "a" else "a"
    id_ = {"": "", "own": f"mine-{name}", "other": f"ccsetup-{other}"}[way.id]
    key = () if way.storage == "env" else ("-k", f"sk-key-of-{name}-0123456789")
    more = [*key, "--key-storage", way.storage, *(("--provider-id", id_) if id_ else ())]
    url = provider.url(f"/{name}/v1")
    env = {**installed(version), **KEYRING}
    argv = ["init", "-s", "-p", "custom", "-n", name, "-T", "codex", "-u", url, "-M", f"model-{name}"]
    done = cc.run(home, *argv, *more, env=env)
    if way.id == "other" and not done.ok:
        assert "is that of profile" in done.stderr, done  # refused: the user leaves it to ccsetup
        done = cc.run(home, *argv, *more[:-2], env=env)
    assert done.ok, done
    folder = home / ".codex"
    config, file = folder / "config.toml", folder / f"{name}.config.toml"
    extra = []
    if way.headers:
        value = f"header-of-{name}" if way.headers == "http_headers" else f"HEADER_{name.upper()}"
        extra.append(f'{way.headers} = {{ "x-own" = "{value}" }}')
    if way.query:
        extra.append(f'query_params = {{ own = "query-of-{name}" }}')
    for path in (config, file) if file.exists() else (config,):
        text = path.read_text()
        head = f"[model_providers.{tomllib.loads(text)['model_provider']}]\n"
        assert text.count(head) == 1, text
        path.write_text(text.replace(head, head + "".join(line + "\n" for line in extra)))


@pytest.mark.parametrize("version", CODEX_VERSIONS)
def test_what_is_chosen_is_sent_and_nothing_else(tmp_path: Path, provider: Provider, version: str) -> None:
    """Of two profiles, however each keeps its key: its key, headers and query at its address, however it is chosen."""
    for number, ways in enumerate(pairs()):
        home = tmp_path / f"{number}" / "home"
        home.mkdir(parents=True)
        env = {"HEADER_A": "header-of-a", "HEADER_B": "header-of-b", **KEYRING}
        expected = {}
        for name, way in zip("ab", ways, strict=True):
            make(home, provider, version, name, way)
            profile = tomllib.loads((home / ".config/ccsetup/profiles.toml").read_text())["profiles"][name]
            if way.storage == "env":
                env[profile["key_env"]] = env.get(profile["key_env"], f"sk-key-of-{name}-0123456789")
            key = env[profile["key_env"]] if way.storage == "env" else f"sk-key-of-{name}-0123456789"
            header = f"header-of-{name}" if way.headers else ""
            query = f"query-of-{name}" if way.query else ""
            expected[name] = (f"Bearer {key}", f"/{name}/v1", header, query)
        for active, other in (("b", "a"), ("a", "b")):
            done = cc.run(home, "config-switch", active, env={**installed(version), **KEYRING})
            assert done.ok, done
            assert ask(home, provider, version, None, env) == expected[active], (ways, active)
            assert ask(home, provider, version, other, env) == expected[other], (ways, other)


FORMS = {CODEX_VERSIONS[0], CODEX_VERSIONS[-1]}
MOVES = [
    (old, new, how)
    for old, new in itertools.permutations(CODEX_VERSIONS, 2)
    for how in ("switch", "init", "official", "doctor")
    if WANTED or {old, new} == FORMS or how == "switch"
]


@pytest.mark.parametrize(("before", "after", "how"), MOVES)
def test_another_version_finds_every_profile(
    tmp_path: Path, provider: Provider, before: str, after: str, how: str
) -> None:
    """Codex is updated or put back: one command brings all saved profiles into the form of what is there."""
    home = tmp_path / "home"
    for name in ("a", "b", "c"):
        make(home, provider, before, name, Way("inline", "http_headers" if name == "a" else "", False, ""))
    env = installed(after)
    apart = (before == CODEX_VERSIONS[-1]) != (after == CODEX_VERSIONS[-1])
    listed = cc.run(home, "list", env=env)
    assert ("does not find with --profile: a, b, c" in listed.stdout + listed.stderr) == apart, listed
    argv = {
        "switch": ("config-switch", "c"),
        "init": ("init", "-s", "-n", "c", "-k", "sk-key-of-c-0123456789", "-T", "codex"),
        "official": ("config-switch", "official", "-T", "codex"),
        "doctor": ("doctor", "--fix", "--yes"),
    }[how]
    done = cc.run(home, *argv, env=env)
    assert done.ok or how == "doctor", done
    listed = cc.run(home, "list", env=env)
    assert "does not find" not in listed.stdout + listed.stderr, listed
    for name in ("a", "b", "c"):
        key, path, header, _query = ask(home, provider, after, name, {})
        assert (key, path) == (f"Bearer sk-key-of-{name}-0123456789", f"/{name}/v1")
        assert header == ("header-of-a" if name == "a" else "")
    if how != "official":
        assert ask(home, provider, after, None, {})[1] == "/c/v1"
    again = cc.run(home, "config-switch", "a", env=installed(before))
    assert again.ok, again
    for name in ("a", "b", "c"):
        assert ask(home, provider, before, name, {})[:2] == (f"Bearer sk-key-of-{name}-0123456789", f"/{name}/v1")


@pytest.mark.parametrize("versions", [(CODEX_VERSIONS[-1], CODEX_VERSIONS[0]), (CODEX_VERSIONS[0], CODEX_VERSIONS[-1])])
def test_two_versions_beside_each_other(tmp_path: Path, provider: Provider, versions: tuple[str, str]) -> None:
    """Both start and use the active profile; the newest finds the others, and it is said that the older does not."""
    home = tmp_path / "home"
    url = provider.url("/a/v1")
    for name in ("a", "b"):
        argv = ("init", "-s", "-p", "custom", "-n", name, "-T", "codex", "-u", url, "-M", "m", "-k", f"sk-{name}")
        done = cc.run(home, *argv, env=installed(*versions))
        assert done.ok, done
        assert f"Codex {CODEX_VERSIONS[-1]} is installed beside {CODEX_VERSIONS[0]}" in done.stdout + done.stderr, done
    for version in versions:
        assert ask(home, provider, version, None, {})[0] == "Bearer sk-b"
    assert ask(home, provider, CODEX_VERSIONS[0], "a", {})[0] == "Bearer sk-a"


PAIR = """[profiles.{name}]
provider = "custom"
region = "global"
key_storage = "{storage}"
{more}
[profiles.{name}.codex]
url = "{url}"
primary_model = "m"
provider_id = "x"

"""


def earlier(home: Path, provider: Provider, version: str) -> None:
    """Make the home of an earlier ccsetup: two profiles of one provider id, the first in use with a variable."""
    own, codex = home / ".config/ccsetup", home / ".codex"
    (own / "keys").mkdir(parents=True)
    codex.mkdir()
    (own / "keys/bbb").write_text("sk-key-of-bbb-0123456789")
    urls = {n: provider.url(f"/{n}/v1") for n in ("aaa", "bbb")}
    credentials = {"aaa": 'env_key = "AAA_KEY"', "bbb": 'experimental_bearer_token = "sk-key-of-bbb-0123456789"'}
    (own / "profiles.toml").write_text(
        PAIR.format(name="aaa", storage="env", more='key_env = "AAA_KEY"', url=urls["aaa"])
        + PAIR.format(name="bbb", storage="inline", more="", url=urls["bbb"])
    )
    top = 'model = "m"\nmodel_provider = "x"\n'
    tables = {
        n: f'[model_providers.x]\nname = "X"\nbase_url = "{urls[n]}"\nwire_api = "responses"\n{credentials[n]}\n'
        for n in urls
    }
    if version == CODEX_VERSIONS[-1]:
        named = "".join(f'[profiles.{n}]\nmodel = "m"\nmodel_provider = "x"\n' for n in urls)
        (codex / "config.toml").write_text(top + named + tables["bbb"])
    else:
        (codex / "config.toml").write_text(top + tables["aaa"])
        for name, table in tables.items():
            (codex / f"{name}.config.toml").write_text(top + table)


@pytest.mark.parametrize("version", CODEX_VERSIONS)
def test_a_home_in_which_profiles_are_mixed(home: Path, provider: Provider, version: str) -> None:
    """What earlier versions let happen: list, test and doctor tell of it, doctor parts the profiles, a switch too."""
    earlier(home, provider, version)
    env, key = installed(version), {"AAA_KEY": "sk-key-of-aaa-0123456789"}
    wrong = "aaa" if version == CODEX_VERSIONS[-1] else "bbb"
    assert ask(home, provider, version, wrong, key)[:2] not in expected_of(wrong)
    for argv in (("list",), ("test", "bbb", "--quick"), ("test", "--all", "--quick"), ("doctor",)):
        told = cc.run(home, *argv, env={**env, **key})
        assert "profile 'bbb' with another" in " ".join((told.stdout + told.stderr).split()), told
    assert cc.run(home, "test", "bbb", "--quick", env={**env, **key}).rc == 10
    cc.run(home, "doctor", "--fix", "--yes", env={**env, **key})
    for name in ("aaa", "bbb"):
        assert ask(home, provider, version, name, key)[:2] in expected_of(name)
    after = cc.run(home, "list", env={**env, **key})
    assert "with another" not in after.stdout + after.stderr, after
    for name in ("bbb", "aaa"):
        assert cc.run(home, "config-switch", name, env={**env, **key}).ok
        assert ask(home, provider, version, None, key)[:2] in expected_of(name)


def expected_of(name: str) -> list[tuple[str, str]]:
    return [(f"Bearer sk-key-of-{name}-0123456789", f"/{name}/v1")]


BY_HAND = [
    ('experimental_bearer_token = "sk-of-a"', 'experimental_bearer_token = "sk-of-b"', False),
    ('env_key = "A_KEY"', 'experimental_bearer_token = "sk-of-b"', True),
    ('experimental_bearer_token = "sk-of-a"', 'env_key = "B_KEY"', False),
    ('experimental_bearer_token = "sk-of-b"\nhttp_headers = { "x-own" = "a" }', 'env_key = "B_KEY"', True),
    ('query_params = { own = "a" }', 'experimental_bearer_token = "sk-of-b"', True),
    ('experimental_bearer_token = "sk-of-a"', "", True),
]


@pytest.mark.parametrize(("below", "over", "mixed"), BY_HAND)
@pytest.mark.parametrize("version", CODEX_VERSIONS[: 2 if WANTED else 1])
def test_a_mixed_home_made_by_hand(
    home: Path, provider: Provider, version: str, below: str, over: str, mixed: bool
) -> None:
    """A profile file whose provider has another address in config.toml: what it inherits is told of, and parted."""
    codex = home / ".codex"
    codex.mkdir()
    head = 'model = "m"\nmodel_provider = "p"\n[model_providers.p]\nname = "P"\nwire_api = "responses"\n'
    elsewhere = "http://127.0.0.2:9/v1"
    (codex / "config.toml").write_text(f'{head}base_url = "{elsewhere}"\n{below}\n')
    (codex / "hand.config.toml").write_text(f'{head}base_url = "{provider.url("/b/v1")}"\n{over}\n')
    env, keys = installed(version), {"A_KEY": "sk-of-a", "B_KEY": "sk-of-b"}
    for argv in (("list",), ("doctor",), ("test", "--quick", "--timeout", "2")):
        told = cc.run(home, *argv, env={**env, **keys})
        assert ("'codex --profile hand' sends" in " ".join((told.stdout + told.stderr).split())) == mixed, told
    cc.run(home, "doctor", "--fix", "--yes", env={**env, **keys})
    provider.clear()
    result = run_codex(version, home, "hi", profile="hand", env=keys)
    assert result.ok, result
    (call,) = provider.of("responses")
    assert call.credentials == ([("authorization", "Bearer sk-of-b")] if over else [])
    assert "x-own" not in call.headers
    assert not call.request.query


def test_a_table_of_somebody_else_is_not_taken_over(home: Path, provider: Provider) -> None:
    """A provider id that config.toml has for another host is refused, and what stands there stays."""
    codex = home / ".codex"
    codex.mkdir()
    text = (
        'model = "m"\nmodel_provider = "mine"\n[model_providers.mine]\nname = "M"\nbase_url = "http://127.0.0.2:9/v1"\n'
        'http_headers = { Authorization = "Bearer sk-of-mine" }\n'
    )
    (codex / "config.toml").write_text(text)
    argv = ("init", "-s", "-p", "custom", "-T", "codex", "-u", provider.url("/b/v1"), "-M", "m", "-k", "sk-of-b")
    done = cc.run(home, *argv, "--provider-id", "mine", env=installed(CODEX_VERSIONS[0]))
    assert done.rc == 2, done
    assert "provider 'mine' is there already" in done.stderr
    assert (codex / "config.toml").read_text() == text
    done = cc.run(home, *argv, env=installed(CODEX_VERSIONS[0]))
    assert done.ok, done
    assert ask(home, provider, CODEX_VERSIONS[0], None, {})[0] == "Bearer sk-of-b"
