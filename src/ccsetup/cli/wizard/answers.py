"""What is known, as values, and the kinds of steps that lead on from it.

No question reads or writes anything: *WizardFacts* brings what was seen, and the network only through ``live_models``.
Going back means taking an earlier *Answers* again, so no question has to know how to be undone.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Union

from ccsetup.change.entries import Options
from ccsetup.cli.wizard.look import Seen
from ccsetup.cli.wizard.prompts import Option
from ccsetup.clients import CLIENTS, clients_named
from ccsetup.i18n import _
from ccsetup.model import ClientName, KeyFamily, Model, Preset, Region, Unsupported
from ccsetup.profiles import Profile

TYPE = "\0type"
"""The answer of whoever would rather type than choose."""


class WizardFacts(NamedTuple):
    """What the questions depend on besides the answers."""

    seen: Seen
    preset: Callable[[str], Preset]
    profiles: Mapping[str, Profile]
    environ: Mapping[str, str]
    families: Sequence[tuple[str, KeyFamily]]
    """(preset id, family) of every built-in preset, longest prefix first."""
    has_key: Callable[[str], bool]
    """Whether the saved profile of that name has a key."""
    keyring: Callable[[], bool]
    """Whether a keyring can be used; asks it, so call it late."""
    live_models: Callable[[Preset, Region, Answers], list[Model]]
    """Asks the provider, with the key; raises CcsetupError."""
    relay_problem: Callable[[], str]
    """What has to be installed before the relay can run, in sentences, or ""."""


class Answers(NamedTuple):
    """What is known so far: the fields of an entry of ``init``, its options, and which questions are settled."""

    fields: Mapping[str, Any]
    options: Options
    repair: bool
    settled: frozenset[str] = frozenset()
    key_variable: str = ""
    """The variable that the key was taken from."""
    via_relay: bool = False
    """The clients reach the provider through the relay."""
    said: str = ""
    """What is to be said about the last answer: it was corrected."""

    def field(self, name: str) -> str:
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""

    def put(self, question: str, **fields: Any) -> Answers:
        """Return the answers with *fields* set ("" and None: taken away) and *question* settled."""
        new = {**self.fields, **fields}
        return self._replace(
            fields={k: v for k, v in new.items() if v not in ("", None)}, settled=self.settled | {question}
        )

    def open(self, *questions: str) -> Answers:
        return self._replace(settled=self.settled - set(questions))


class Choose(NamedTuple):
    """A question with a list."""

    id: str
    message: str
    options: Sequence[Option]
    apply: Callable[[str], Answers]
    default: str = ""
    search: bool = False
    note: str = ""


class AskText(NamedTuple):
    """A question with a field."""

    id: str
    message: str
    apply: Callable[[str], Answers]
    default: str = ""
    note: str = ""
    check: Optional[Callable[[str], str]] = None
    secret: bool = False


class Settled(NamedTuple):
    """No question: what is known decides it.  *text* tells the person, when it is not plain to see."""

    answers: Answers
    text: str = ""
    warning: bool = False


Step = Union[Choose, AskText, Settled, None]


def clients_of(facts: WizardFacts, answers: Answers) -> list[ClientName]:
    given = list(answers.options.clients) or clients_named(answers.fields.get("codeType"))
    if given:
        return given
    saved = facts.profiles.get(answers.field("name"))
    return list(saved.parts) if saved and not answers.field("provider") else []


def preset_of(facts: WizardFacts, answers: Answers) -> Preset:
    saved = facts.profiles.get(answers.field("name"))
    if not answers.field("provider") and saved:
        return facts.preset(saved.provider)
    return facts.preset(answers.field("provider"))


def name_of(facts: WizardFacts, answers: Answers) -> str:
    return answers.field("name") or preset_of(facts, answers).id


def region_of(facts: WizardFacts, answers: Answers) -> Region:
    preset = preset_of(facts, answers)
    saved = facts.profiles.get(answers.field("name"))
    known = answers.field("region")
    if not known and not answers.field("provider") and saved:
        known = saved.region
    return preset.region(known) or preset.regions[0]


def refusal(region: Region, client: ClientName) -> str:
    """Return why *client* cannot use *region*, or ""."""
    found = CLIENTS[client].offered(region)
    if isinstance(found, Unsupported):
        return found.reason or _("it is not served")
    if not CLIENTS[client].speaks(found):
        return getattr(found, "reason", "") or _("it speaks Chat Completions only")
    return ""


def own_url(answers: Answers, client: ClientName) -> str:
    return answers.field(f"{CLIENTS[client].option}Url") or answers.field("url")
