"""What a key looks like, and what is written in its place: taken apart, or told to be none.  Pure."""

from __future__ import annotations

import re
from typing import Optional, Sequence

from ccsetup.model import KeyFamily, Preset, Secret

_QUOTES = dict(zip("\"'`\u201c\u2018\u00ab\u300c\u300e", "\"'`\u201d\u2019\u00bb\u300d\u300f", strict=True))

# Patterns are compiled when they are first asked: most commands never see a new key.
_LINE = (
    r"(?i)(?:(?:export|set|env|-|(?:declare|typeset)[ \t]+-x)[ \t]+|\$env:)?"
    r"([\"']?)([a-z][a-z0-9_-]{0,60})\1[ \t]*(=|:(?=[ \t\"']))[ \t]*(?=[^\s=])"
)
"""What stands before the key in a line of .env, of shell code, of JSON or YAML, or of a request's head."""
_NAME = r"(?i)(?:.*[_-])?(?:api_?)?(?:key|token|secret|auth|authorization|password|credential)(?:_?\d)?\Z"
_VARIABLE = r"[A-Z][A-Z0-9_]{2,60}\Z"
_AFTER = r"\s*+[,;]?\s*+(?:#.*)?\Z"


def bare(text: str) -> str:
    """Return the key in *text*, which may be quoted, a line ``NAME=key``, or ``Authorization: Bearer key``.

    ``docker run --env-file`` keeps quotes, and a file of such lines is often all that somebody has of a key.
    """
    lines = [line.strip() for line in text.splitlines()]
    told = [line for line in lines if line and not line.startswith("#")]
    text = told[0] if len(told) == 1 else text.strip()
    while True:
        inner = _inner(text)
        if inner == text:
            return text
        text = inner


def _inner(text: str) -> str:
    closing = _QUOTES.get(text[:1])
    end = text.find(closing, 1) if closing else -1
    if end > 0 and re.match(_AFTER, text[end + 1 :]):
        return text[1:end].strip()
    scheme, _space, rest = text.partition(" ")
    if scheme.lower() == "bearer" and rest:
        return rest.strip()
    line = re.match(_LINE, text) if "=" in text or ":" in text else None
    if line and (re.match(_NAME, line[2]) or (line[3] == "=" and re.match(_VARIABLE, line[2]))):
        rest = text[line.end() :]
        # An inline comment and a comma stand behind the value, which is what is left when it has no quotes.
        return rest if rest[0] in _QUOTES else re.split(r"(?<!\s)\s++#|[,;]\s*+\Z", rest, maxsplit=1)[0].strip()
    return text[:-1] if re.fullmatch(r"[\w.-]{16,}[,;]", text) else text


_PLACEHOLDER = r"""(?ix)
      [\w-]{0,20}<[^<>]*>                               # <your-key>, sk-<key>
    | \{\{.*\}\} | \$\{.*\} | \$\(.*\)                    # {{key}}, ${API_KEY}, $(pass show key)
    | [{\[](?=[\w -]*?(?:key|token|secret|your))[\w -]*+[}\]] | [{\[](?:env|file):[^{}\[\]]*[}\]]  # {env:NAME}
    | \$(?:env:)?(?=[a-z_]*?(?:key|token|secret))\w*+ | \$env:\w+ | \$(?-i:[A-Z][A-Z0-9_]*)\$?
    | %\w+%
    | (?:process\.env|os\.environ|env|op|vault|secret|keychain|file)(?:\.|\[|://?).*
    | (?=(?>[a-z_-]*?your)[a-z_-]*?(?:key|token|secret))[a-z_-]*+\d?
    | (?:[a-z]++[_-])?(?:insert|enter|paste|replace|put|fill|add)[_-](?=[a-z_-]*?(?:key|token|secret))[a-z_-]*+
    | [a-z_-]*(?:key|token|secret)[_-](?:goes[_-])?here
    | (?-i:(?:[A-Z][A-Z0-9]*_)+(?:KEY|TOKEN|SECRET)|API-?KEY)   # the name of a variable without its $
"""

_SHORTENED = ("...", "***", "\u2026", "\u2022" * 3)
"""By whoever showed it: ``sk-...``, ``sk-****abcd``."""
_SIGNS = (
    *_SHORTENED,
    "<",
    "{",
    "[",
    "$",
    "%",
    "key",
    "token",
    "secret",
    "env",
    "op",
    "vault",
    "file",
)
"""One of these is in everything that the pattern finds: it takes 2 ms to compile."""


def placeholder(key: str) -> bool:
    """Tell whether *key* is what a page or a script has where the key belongs; no endpoint takes it."""
    if len(key) >= 200 or not any(sign in key.lower() for sign in _SIGNS):
        return False
    return any(sign in key for sign in _SHORTENED) or re.fullmatch(_PLACEHOLDER, key) is not None


_STAND_IN = (
    r"(?i)(?:[a-z]{1,5}[_-]){0,3}(?:x{3,}+|0{6,}|placeholder|change[_-]?me|replace[_-]?me|dummy|fake)(?:[._-]?x{3,}+)*"
    r"|(?:sk-)?(?:(?:my|your|some|test|dummy|fake|example|sample|demo)[_-]?)+(?:api[_-]?)?(?:key|token|secret)[_-]?\d{0,3}"
    r"|empty|none|null|undefined|todo|ollama|lm-?studio|proxy_managed|api[_-]?key|no-?key|not-needed"
    r"|sk-no-key-required"
    r"|(?:[a-z][\w+.-]*://|@[\w~/-]|~/|\.{0,2}/[\w-]*[./]|[a-z]:[\\/]).*|(?:env|keyring|keychain|secret|file|vault|pass):\w+(?:/\w+)*"
)
"""Words, and what says where a key is: an address, a path, ``env:NAME``."""


_STAND_IN_HAS = (
    *("xxx", "000000", "placeholder", "change", "replace", "dummy", "fake", "key", "token", "secret", "empty", "none"),
    *("null", "undefined", "todo", "ollama", "studio", "proxy_managed", "not-needed", "/", ":"),
)
"""Each match has one of these; the pattern takes long to compile."""


def stand_in(key: str) -> bool:
    """Tell whether *key* is what people give where none is asked for, or by mistake; who sells keys sells none such."""
    if not {*'{}"<>`'}.isdisjoint(key):
        return True
    return any(part in key.lower() for part in _STAND_IN_HAS) and re.fullmatch(_STAND_IN, key) is not None


_OTHERS = {
    "gsk_": "Groq key",
    "pplx-": "Perplexity key",
    "hf_": "Hugging Face token",
    "r8_": "Replicate token",
    "ghp_": "GitHub token",
    "gho_": "GitHub token",
    "github_pat_": "GitHub token",
    "glpat-": "GitLab token",
    "AKIA": "AWS access key",
    "ABSK": "Amazon Bedrock key",
    "ya29.": "Google access token",
    "xoxb-": "Slack token",
    "tvly-": "Tavily key",
}
"""How keys begin that no preset has: of those that public secret scanners know, what people mistake for another."""


def family(key: Secret, preset: Preset) -> Optional[KeyFamily]:
    """Return the family of *preset* that *key* belongs to by its beginning; the longest prefix wins."""
    found = [f for f in preset.key_families if key.reveal().startswith(f.prefix)]
    return max(found, key=lambda f: len(f.prefix)) if found else None


def owner(key: Secret, preset: Preset, families: Sequence[tuple[str, KeyFamily]]) -> tuple[str, Optional[KeyFamily]]:
    """Return whose *key* is by its beginning, and its family; ("", None) where no beginning is known.

    That is *preset* by its own families, else a preset of *families*, (preset id, family) with the longest prefix
    first, else a vendor without a preset ("").
    """
    own = family(key, preset)
    if own:
        return own.provider or preset.id, own
    text = key.reveal()
    for preset_id, one in families:
        if text.startswith(one.prefix):
            return one.provider or preset_id, one
    prefix = next((p for p in _OTHERS if text.startswith(p) and len(text) > len(p) + 8), "")
    return "", KeyFamily(prefix, _OTHERS[prefix], "", "") if prefix else None
