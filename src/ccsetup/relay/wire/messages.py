"""The neutral form of a request, of an answer's events and of an error: what the three wire formats have in common.

Facts about clients and providers in this package were found by experiment with Claude Code 2.1.329 and Codex 0.169
against scripted upstreams, unless a docstring says otherwise.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Literal, Mapping, NamedTuple, Optional, Protocol, Union

from ccsetup.errors import CcsetupError

# A request.


class Text(NamedTuple):
    text: str
    cache: bool = False
    """A cache_control mark stood on it."""


class Image(NamedTuple):
    """Either *data*, base64 of *media_type*, or *url*."""

    media_type: str
    data: str = ""
    url: str = ""
    detail: str = ""

    @property
    def link(self) -> str:
        """Its URL, or a data URL."""
        return self.url or f"data:{self.media_type or 'image/png'};base64,{self.data}"


class File(NamedTuple):
    """A document: *data* is base64, *text* is plain text; exactly one of data, text, url and id is given."""

    media_type: str
    data: str = ""
    text: str = ""
    url: str = ""
    id: str = ""
    name: str = ""


class Reasoning(NamedTuple):
    """What a model thought in an earlier turn, kept by the client to be sent back."""

    text: str
    summary: bool = False
    """*text* is a summary, not the thinking itself."""
    signature: str = ""
    """Anthropic's; foreign or empty ones are never sent to an upstream that verifies them."""
    encrypted: str = ""
    """``reasoning.encrypted_content`` of Responses, or the data of a redacted_thinking block."""
    redacted: bool = False
    id: str = ""


class ToolCall(NamedTuple):
    id: str
    name: str
    arguments: str
    """JSON text of an object; for a custom tool its raw input."""
    custom: bool = False
    namespace: str = ""


class ToolResult(NamedTuple):
    call_id: str
    content: tuple[Union[Text, Image, File], ...]
    is_error: bool = False
    custom: bool = False
    cache: bool = False


Part = Union[Text, Image, File, Reasoning, ToolCall, ToolResult]

Role = Literal["system", "developer", "user", "assistant"]


class Message(NamedTuple):
    """Tool calls and reasoning are parts of assistant messages, tool results are parts of user messages."""

    role: Role
    parts: tuple[Part, ...]


class Tool(NamedTuple):
    name: str
    description: str = ""
    schema: Mapping[str, Any] = {}
    """JSON schema of the arguments of a function."""
    kind: Literal["function", "custom", "hosted"] = "function"
    namespace: str = ""
    strict: Optional[bool] = None
    format: Mapping[str, Any] = {}
    """A custom tool's format: ``{"type": "grammar", …}``."""
    raw: Mapping[str, Any] = {}
    """A hosted tool as it was given: the upstream itself would run it (web_search, …)."""
    cache: bool = False


class ToolChoice(NamedTuple):
    mode: Literal["auto", "none", "required", "tool"]
    name: str = ""
    namespace: str = ""


class AnswerFormat(NamedTuple):
    """A structured answer: ``json_object``, or ``json_schema`` with a schema."""

    type: Literal["json_object", "json_schema"]
    name: str = ""
    schema: Mapping[str, Any] = {}
    strict: Optional[bool] = None


class Thinking(NamedTuple):
    mode: Literal["enabled", "adaptive", "disabled"]
    budget: Optional[int] = None
    """Tokens."""
    display: str = ""
    """Anthropic: "summarized" or "omitted"."""

    @property
    def effort(self) -> str:
        """The effort that the budget comes to; "" without one."""
        if self.budget is None:
            return ""
        return "low" if self.budget <= 4096 else "medium" if self.budget <= 16384 else "high"


class Loss(NamedTuple):
    """Something of a request that a format cannot carry."""

    path: str
    """Where it was in the client's request: ``tools[3].cache_control``."""
    code: str
    """A key of the LOSSES table of the module that noticed it."""


class Compaction(NamedTuple):
    """The answer is a summary, with which a client goes on (``compaction``)."""

    kept: Optional[tuple[str, ...]] = None
    """The user's last messages, for a client of ``/responses/compact``; None: it wants one item."""


class Conversation(NamedTuple):
    """A request.  System text that stood in front is *system*; system messages in between stay in *messages*."""

    model: str
    system: tuple[Text, ...] = ()
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: Optional[ToolChoice] = None
    parallel: Optional[bool] = None
    """parallel_tool_calls; None: the format's default."""
    max_tokens: Optional[int] = None
    temperature: Optional[float] = None
    top_p: Optional[float] = None
    top_k: Optional[int] = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = True
    """Chat: ``stream_options.include_usage``; the others always tell the usage."""
    thinking: Optional[Thinking] = None
    effort: str = ""
    """none, minimal, low, medium, high, xhigh, max; "" when not said."""
    summary: str = ""
    """Responses: which summary of the reasoning is wanted: auto, concise, detailed."""
    verbosity: str = ""
    format: Optional[AnswerFormat] = None
    service_tier: str = ""
    user: str = ""
    """metadata.user_id, user, safety_identifier."""
    cache_key: str = ""
    """prompt_cache_key."""
    logprobs: Optional[int] = None
    echo: Mapping[str, Any] = {}
    """Members that an answer repeats (Responses: instructions, metadata, store, …), as they were given."""
    losses: tuple[Loss, ...] = ()
    """What the reader could not carry."""
    compacts: Optional[Compaction] = None

    def for_model(self, model: str) -> Conversation:
        """Return the same request for *model*; ``_replace`` takes twice as long, with so many members."""
        return Conversation._make((model, *self[1:]))

    def outline(self) -> Conversation:
        """Return the request without what was said and the tools, which are nearly all of it."""
        return Conversation._make((self.model, (), (), (), *self[4:]))


# An answer, as events in order.


class Usage(NamedTuple):
    """Tokens.  *input* is what was neither read from nor written to a cache; *output* includes *reasoning*."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        """All tokens of the request, as OpenAI counts ``prompt_tokens`` and ``input_tokens``."""
        return self.input + self.cache_read + self.cache_write


class Started(NamedTuple):
    """Exactly one, and first (only Failed may come instead)."""

    id: str
    model: str
    usage: Optional[Usage] = None


class TextStart(NamedTuple):
    block: int
    """Counted from 0, contiguous, in the order of the starts."""


class ReasoningStart(NamedTuple):
    block: int
    summary: bool = False


class ToolStart(NamedTuple):
    """A call of a tool.  Its deltas are pieces of *arguments* (JSON text, or a custom tool's raw input)."""

    block: int
    id: str
    """As the upstream gave it: it may be empty, repeated or ill-formed.  Writers make it fit (``tools.CallIds``)."""
    name: str
    """As the upstream has it: flat.  Writers ask ``Names.back``."""
    custom: bool = False
    namespace: str = ""


class RefusalStart(NamedTuple):
    """Text in which the model refuses."""

    block: int


class Delta(NamedTuple):
    """More text of a block that is open.  Deltas of several open tool blocks may interleave."""

    block: int
    text: str


class BlockEnd(NamedTuple):
    """Every block that was started ends, before Stop; a block may end long after its last delta."""

    block: int
    signature: str = ""
    encrypted: str = ""
    redacted: bool = False
    """Reasoning whose text the provider keeps to itself: *encrypted* has it."""


StopReason = Literal["end", "tools", "length", "sequence", "refusal", "pause", "context"]
"""``tools`` whenever there was a tool call, whatever the upstream said; ``context``: the window is full."""


class Stop(NamedTuple):
    """The answer is complete.  Nothing follows."""

    reason: StopReason
    usage: Optional[Usage] = None
    """The full figures, None when the upstream never told them."""
    sequence: str = ""
    """The stop sequence that was met."""


ErrorKind = Literal[
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
    "cut",
]
"""``context``: the conversation is too long for the model, so that the client has to compact it; never retried.
``cut``: the stream ended before its end."""


class WireError(NamedTuple):
    kind: ErrorKind
    message: str
    status: int
    """HTTP status of the upstream's answer; for an error inside a stream the one that fits *kind*."""
    retry_after: str = ""
    """The Retry-After header as it came."""
    code: str = ""
    """The provider's own code or type."""
    param: str = ""


class Failed(NamedTuple):
    """The answer cannot be completed.  Nothing follows; what came before is not a finished answer."""

    error: WireError


class Ping(NamedTuple):
    """The upstream is alive and has nothing to say."""


Event = Union[Started, TextStart, ReasoningStart, ToolStart, RefusalStart, Delta, BlockEnd, Stop, Failed, Ping]


# What readers and writers are told.


class Dialect(NamedTuple):
    """What an upstream takes beyond, or short of, the definition of its wire format."""

    official: bool = False
    """Anthropic's or OpenAI's own endpoint: verifies signatures and encrypted reasoning, knows every field."""
    reasoning_field: str = "reasoning_content"
    """Chat: the member that carries the thinking of earlier turns; "" when none may be sent."""
    thinking_switch: Literal["", "thinking", "reasoning_effort", "enable_thinking", "reasoning"] = ""
    """Chat: how thinking is switched: ``thinking: {type: enabled}`` (GLM, DeepSeek, Kimi), ``reasoning_effort``
    (OpenAI), ``enable_thinking`` (Qwen), ``reasoning: {effort: …}`` (OpenRouter); "" not at all."""
    images: bool = True
    system: bool = True
    """Takes system texts; else they stand in front of what the user says first (Gemma)."""
    system_between: bool = True
    """Takes system messages after the first message."""
    developer: bool = False
    """Chat: knows the role ``developer``."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    stream_usage: bool = True
    """Chat: takes ``stream_options``."""
    hosted: tuple[str, ...] = ()
    """Types of hosted tools that it has."""
    max_output: Optional[int] = None
    """The largest ``max_tokens`` it takes; sent, too, where the format requires one and the client named none."""
    cache_control: bool = True
    """Anthropic: takes cache_control marks."""
    structured: bool = True
    """Takes a JSON schema as ``response_format``; else it is asked for in words."""
    betas: bool = True
    """Anthropic: takes the header ``anthropic-beta`` and the members that belong to it; else neither is sent."""
    signatures: bool = True
    """Takes back reasoning that is signed or encrypted."""
    compaction: bool = True
    """Responses: has ``/responses/compact``; else the relay asks for a summary."""
    simple_schemas: bool = False
    """Refuses schemas of tools with null, with ``type`` beside ``anyOf`` or ``$ref``, or objects without properties."""
    history_tools: bool = False
    """Wants the tools that the history calls offered, also where the client offers none."""
    without: tuple[str, ...] = ()
    """Members that it refuses, by their place: ``temperature``, ``tools.strict``."""
    said: frozenset[str] = frozenset()
    """Members of this that the configuration or the endpoint itself told, so that they hold for the client's own format
    as well."""


Losses = list[Loss]
Events = Iterable[Event]


class Names(Protocol):
    """The names of tools toward an upstream and back (``wire.tools.ToolNames``)."""

    def flat(self, name: str, namespace: str = "") -> str:
        """Return the name for the upstream: at most 64 of ``[a-zA-Z0-9_-]``; ``namespace__name``."""

    def back(self, flat: str) -> Tool:
        """Return the client's tool of that name; one that the client did not name is a plain function."""


class Asked(NamedTuple):
    """What a writer has to know of the request that is answered."""

    conversation: Conversation
    """Perhaps no more than its outline; then *taken* is there."""
    names: Names
    id: str
    """32 hexadecimal digits, the relay's own id of the request; ids in the answer are made of it."""
    created: int
    """Unix time in seconds."""
    upstream: str = ""
    """The upstream's name; marks reasoning so that it is sent back to the same one."""
    estimate: Callable[[], int] = int
    """Tells the tokens of the request, estimated, for formats that tell them before the upstream has, and for
    upstreams that never do; called when it is needed, because a large request takes a part of a millisecond."""
    taken: Optional[frozenset[str]] = None
    """Ids of the tool calls in the history; None: as *conversation* tells."""

    @property
    def input_estimate(self) -> int:
        """0 when nothing is known."""
        return self.estimate()


class BadRequest(CcsetupError):
    """A request that is not of its format.  *param* is the path of the member: ``messages[2].content``; *code* is the
    format's own, where it has one for this."""

    def __init__(self, message: str, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.param = param
        self.code = code
