"""The table of failures: what the relay does about an upstream's error.  The user's rows go in front of the built-in.

The first row whose members all match decides; ``DEFAULT_RULES`` ends with rows that match everything.
"""

from __future__ import annotations

from typing import Iterable

from ccsetup.relay.config.model import Rule
from ccsetup.relay.wire import errors

NETWORK = ("connect", "tls", "first_byte", "idle", "cut", "protocol")

ERRORS = (
    "invalid_request",
    "authentication",
    "permission",
    "quota",
    "not_found",
    "too_large",
    "context",
    "rate_limit",
    "overloaded",
    "server",
    "timeout",
)
"""What an answer with an error can mean, by its status, its code and its words (``wire.errors``)."""

DEFAULT_RULES: tuple[Rule, ...] = (
    # The conversation has to be compacted: the client can do that, and another upstream would help for a turn at most.
    Rule("stop", error=("context",), counts=False),
    Rule("stop", status=((404, 404),), body="previous_response", counts=False),
    # Of the key and its account alone.  An empty account seldom fills within a minute.
    Rule("next_key", error=("quota",), cool="key", seconds=600, counts=False),
    Rule("next_key", error=("authentication", "permission", "rate_limit"), cool="key", counts=False),
    # This upstream does not have the model, or takes less than another one.
    Rule("next_upstream", error=("not_found",), body="model", counts=False),
    Rule("next_upstream", error=("too_large",), counts=False),
    # The address is not that of the API, or moved; redirects are never followed.
    Rule("next_upstream", error=("not_found",)),
    Rule("next_upstream", status=((300, 399), (405, 405))),
    Rule("retry", status=((408, 409), (425, 425))),
    Rule("retry", error=("overloaded", "server", "timeout")),
    # The request itself.
    Rule("stop", error=("invalid_request",), counts=False),
    Rule("next_upstream", status=((0, 999),)),
    # A connection that ended is tried once more; waiting for a deaf host again would cost its whole time limit.
    Rule("retry", network=("cut", "protocol")),
    Rule("next_upstream", network=NETWORK),
)


def first(rules: Iterable[Rule], kind: str, status: int, body: str) -> Rule:
    """Return the rule for a failure; *kind* is a ``FailureKind``, *body* the beginning of the answer's."""
    lower, meaning = "", ""
    for rule in rules:
        if rule.network:
            if kind in rule.network:
                return rule
            continue
        if kind != "status" or (rule.status and not any(low <= status <= high for low, high in rule.status)):
            continue
        if rule.error:
            meaning = meaning or errors.extract(status, body.encode("utf-8", "replace")).kind
            if meaning not in rule.error:
                continue
        if rule.body:
            lower = lower or body.lower()
            if rule.body not in lower:
                continue
        return rule
    return Rule("stop", counts=False)
