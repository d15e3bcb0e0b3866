"""The neutral form of a request to the body for an upstream that speaks Anthropic Messages.  Pure."""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple, Optional, Union

from ccsetup.relay.wire import codec, history, reasoning, tools
from ccsetup.relay.wire.messages import (
    AnswerFormat,
    BadRequest,
    Conversation,
    Dialect,
    File,
    Image,
    Loss,
    Losses,
    Names,
    Part,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)

LOSSES: Mapping[str, str] = {
    **history.LOSSES,
    "cache_key": "Anthropic has no prompt_cache_key; cache_control marks are set instead.",
    "custom_tool": "A custom tool is offered as a function with one text, and its grammar in words.",
    "effort": "The upstream has no such effort; the nearest one is asked for.",
    "file": "The upstream takes documents as PDF, text or URL.",
    "format_in_words": "The structured answer is asked for in words: the upstream has no format for it.",
    "hosted_tool": "The upstream does not run this tool itself.",
    "image": "The upstream takes no images, or not in this form.",
    "logprobs": "Anthropic tells no probabilities.",
    "max_tokens": "More tokens than the upstream gives at most.",
    "reasoning_seal": "The encrypted text of thinking is left out: another provider made it.",
    "sampling": "Temperature, top_p and top_k are limited or refused by the model, or while it thinks.",
    "schema_union": "Anthropic refuses oneOf, anyOf and allOf at the top of a tool's schema; their members are merged.",
    "service_tier": "The upstream has no such service tier.",
    "strict_tool": "Strict arguments of tools need a restricted schema; the tool is offered without.",
    "thinking_off": "Thinking cannot be combined with a forced tool, few tokens, or a turn whose thinking is not here.",
    "unsigned_reasoning": "Anthropic takes back only thinking that it signed itself.",
    "user": "The user's id is longer than 256 characters.",
    "verbosity": "Anthropic has no verbosity.",
}

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")

DEFAULT_MAX_TOKENS = 32000
"""Claude Code 2.1.329 sends this for models that it does not know."""
MIN_BUDGET = 1024
"""Anthropic refuses a smaller budget of thinking."""
_BUDGETS = {"minimal": 1024, "low": 4096, "medium": 10240, "high": 24576, "xhigh": 32768, "max": 63999}
_CACHE = {"type": "ephemeral"}
_MAX_MARKS = 4

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d)(?!\d))?")

_Block = dict[str, Any]


def write_request(conversation: Conversation, dialect: Dialect, names: Names) -> tuple[bytes, Losses]:
    """Return the body for an upstream that speaks this format, and what could not be carried."""
    return _Writing(conversation, dialect, names).body()


class _Sampling(NamedTuple):
    thinking: Optional[_Block]
    effort: str
    max_tokens: int


class _Writing:
    __slots__ = ("asked", "dialect", "losses", "marked", "names")

    def __init__(self, conversation: Conversation, dialect: Dialect, names: Names) -> None:
        self.asked = conversation
        self.dialect = dialect
        self.names = names
        self.losses: Losses = []
        self.marked: list[_Block] = []

    def lose(self, path: str, code: str) -> None:
        self.losses.append(Loss(path, code))

    def body(self) -> tuple[bytes, Losses]:
        asked = self.asked
        offered = self._tools()
        system = self._system()
        messages = self._messages()
        choice = self._choice(offered)
        sampling = self._sampling(messages, choice)
        body: _Block = {"model": asked.model, "max_tokens": sampling.max_tokens}
        if system:
            body["system"] = system
        body["messages"] = messages
        if offered:
            body["tools"] = offered
            if choice:
                body["tool_choice"] = choice
        if sampling.thinking:
            body["thinking"] = sampling.thinking
        config: _Block = {"effort": sampling.effort} if sampling.effort else {}
        if asked.format is not None and self._native_format():
            config["format"] = {"type": "json_schema", "schema": asked.format.schema}
        if config:
            body["output_config"] = config
        self._numbers(body, thinks=sampling.thinking is not None and sampling.thinking["type"] != "disabled")
        if asked.stop and (stop := [text for text in asked.stop if text.strip()]):
            body["stop_sequences"] = stop
        if asked.user:
            if len(asked.user) <= 256:
                body["metadata"] = {"user_id": asked.user}
            else:
                self.lose("user", "user")
        if asked.service_tier in ("auto", "standard_only"):
            body["service_tier"] = asked.service_tier
        elif asked.service_tier not in ("", "default"):
            self.lose("service_tier", "service_tier")
        if asked.cache_key:
            self.lose("prompt_cache_key", "cache_key")
        if asked.verbosity:
            self.lose("verbosity", "verbosity")
        if asked.logprobs:
            self.lose("logprobs", "logprobs")
        if asked.stream:
            body["stream"] = True
        self._limit_marks(system, messages)
        return codec.written(body), self.losses

    # System, messages.

    def _system(self) -> list[_Block]:
        blocks = [self._marked(_text_block(t.text), t.cache) for t in self.asked.system if t.text.strip()]
        form = self.asked.format
        if form is not None and not self._native_format():
            self.lose("format", "format_in_words")
            blocks.append(_text_block(_in_words(form)))
        return blocks

    def _native_format(self) -> bool:
        """A clone that ignores ``output_config.format`` would answer with prose, so it is asked in words."""
        form = self.asked.format
        return form is not None and form.type == "json_schema" and self.dialect.official and self.dialect.structured

    def _messages(self) -> list[_Block]:
        folded, losses = history.folded(self.asked.messages)
        ordered, more = history.ordered(folded)
        self.losses += losses + more
        out: list[_Block] = []
        for i, message in enumerate(ordered):
            role = "assistant" if message.role == "assistant" else "user"
            blocks = [
                b for j, part in enumerate(message.parts) for b in self._block(part, role, f"messages[{i}].parts[{j}]")
            ]
            if not blocks:
                continue
            if out and out[-1]["role"] == role:
                out[-1]["content"] += blocks
            elif not out and role == "assistant":
                out.append({"role": "user", "content": [_text_block("(The conversation goes on.)")]})
                out.append({"role": role, "content": blocks})
            else:
                out.append({"role": role, "content": blocks})
        if not out:
            raise BadRequest("The request holds no message.", "messages")
        last = out[-1]["content"][-1]
        if out[-1]["role"] == "assistant" and last["type"] == "text":
            last["text"] = last["text"].rstrip()  # Anthropic refuses a beginning of the answer that ends with a space.
        return out

    def _block(self, part: Part, role: str, path: str) -> list[_Block]:
        if isinstance(part, Text):
            return [self._marked(_text_block(part.text), part.cache)] if part.text.strip() else []
        if isinstance(part, Reasoning):
            return self._reasoning(part, path)
        if isinstance(part, ToolCall):
            arguments = codec.loads(tools.object_arguments(part))
            name = self.names.flat(part.name, part.namespace)
            return [{"type": "tool_use", "id": part.id, "name": name, "input": arguments}]
        if isinstance(part, ToolResult):
            return [self._marked(self._result(part, path), part.cache)]
        if role == "assistant":
            self.lose(path, "image" if isinstance(part, Image) else "file")
            return []
        return self._shown(part, path)

    def _shown(self, part: Union[Text, Image, File], path: str) -> list[_Block]:
        if isinstance(part, Text):
            return [_text_block(part.text)] if part.text.strip() else []
        if isinstance(part, File):
            return self._file(part, path)
        media = "image/jpeg" if part.media_type == "image/jpg" else part.media_type
        source: Optional[_Block] = None
        if part.data and media in _IMAGES:
            source = {"type": "base64", "media_type": media, "data": part.data}
        elif part.url.startswith(("https://", "http://")):
            source = {"type": "url", "url": part.url}
        if source is None or not self.dialect.images:
            self.lose(path, "image")
            return [_text_block("[an image that this model cannot see]")]
        return [{"type": "image", "source": source}]

    def _file(self, part: File, path: str) -> list[_Block]:
        if part.text or (not part.data and not part.url and not part.id):
            if not self.dialect.official:
                text = f"{part.name}\n{part.text}" if part.name else part.text
                return [_text_block(text)] if text.strip() else []
            source = {"type": "text", "media_type": "text/plain", "data": part.text}
        elif part.data and part.media_type == "application/pdf":
            source = {"type": "base64", "media_type": "application/pdf", "data": part.data}
        elif part.url.startswith(("https://", "http://")):
            source = {"type": "url", "url": part.url}
        else:
            self.lose(path, "file")
            return [_text_block(f"[a file that this model cannot read: {part.name or part.media_type}]")]
        block: _Block = {"type": "document", "source": source}
        if part.name:
            block["title"] = part.name[:500]
        return [block]

    def _reasoning(self, part: Reasoning, path: str) -> list[_Block]:
        # Marks of the relay are opened before this; one that is left is foreign, and no upstream may see it.
        signature = "" if reasoning.is_mark(part.signature) else part.signature
        data = "" if reasoning.is_mark(part.encrypted) else part.encrypted
        if part.redacted and data:
            return [{"type": "redacted_thinking", "data": data}]
        if signature:
            return [{"type": "thinking", "thinking": part.text, "signature": signature}]
        if self.dialect.official or not part.text.strip():
            self.lose(path, "unsigned_reasoning")
            return []
        if data:
            self.lose(path, "reasoning_seal")
        return [{"type": "thinking", "thinking": part.text, "signature": ""}]

    def _result(self, part: ToolResult, path: str) -> _Block:
        blocks = [b for i, p in enumerate(part.content) for b in self._shown(p, f"{path}.content[{i}]")]
        block: _Block = {"type": "tool_result", "tool_use_id": part.call_id}
        if len(blocks) == 1 and blocks[0]["type"] == "text":
            block["content"] = blocks[0]["text"]
        else:
            block["content"] = blocks or ("error" if part.is_error else "")  # an error without a text is refused
        if part.is_error:
            block["is_error"] = True
        return block

    # Tools.

    def _tools(self) -> list[_Block]:
        out: list[_Block] = []
        seen: set[str] = set()
        for i, tool in enumerate(self.asked.tools):
            path = f"tools[{i}]"
            if tool.kind == "hosted":
                block = self._hosted(tool)
                if block is None:
                    self.lose(path, "hosted_tool")
                    continue
            else:
                block = {"name": self.names.flat(tool.name, tool.namespace), "description": tool.description}
                if not tool.description:
                    del block["description"]
                if tool.kind == "custom":
                    self.lose(path, "custom_tool")
                    block["input_schema"] = tools.custom_schema(tool)
                else:
                    block["input_schema"] = self._schema(tool.schema, path)
                if tool.strict:
                    self.lose(f"{path}.strict", "strict_tool")
            if block["name"] not in seen:
                seen.add(block["name"])
                out.append(self._marked(block, tool.cache))
        return out

    def _hosted(self, tool: Tool) -> Optional[_Block]:
        kind = str(tool.raw.get("type"))
        name = tool.raw.get("name")
        if kind in self.dialect.hosted and name and isinstance(name, str):
            return {k: v for k, v in tool.raw.items() if k != "cache_control"}
        if not kind.startswith("web_search"):
            return None
        own = next((h for h in self.dialect.hosted if h.startswith("web_search_2")), None)
        if own is None:
            return None
        block: _Block = {"type": own, "name": "web_search"}
        filters = tool.raw.get("filters")
        domains = filters.get("allowed_domains") if isinstance(filters, dict) else None
        if isinstance(domains, list) and domains:
            block["allowed_domains"] = [d for d in domains if isinstance(d, str)]
        place = tool.raw.get("user_location")
        if isinstance(place, dict):
            wanted = ("city", "region", "country", "timezone")
            known = {k: place[k] for k in wanted if isinstance(place.get(k), str) and place[k]}
            if known:
                block["user_location"] = {"type": "approximate", **known}
        return block

    def _schema(self, schema: Mapping[str, Any], path: str) -> _Block:
        out = dict(schema)
        unions = [out.pop(name) for name in ("oneOf", "anyOf", "allOf") if isinstance(out.get(name), list)]
        if unions:
            self.lose(f"{path}.input_schema", "schema_union")
            properties: _Block = {}
            for union in unions:
                for variant in union:
                    if isinstance(variant, dict) and isinstance(variant.get("properties"), dict):
                        for name, value in variant["properties"].items():
                            properties.setdefault(name, value)
            own = out.get("properties")
            out["properties"] = {**properties, **(own if isinstance(own, dict) else {})}
        out["type"] = "object"
        if not isinstance(out.get("properties"), dict):
            out["properties"] = {}
        return out

    def _choice(self, offered: list[_Block]) -> Optional[_Block]:
        asked = self.asked
        given = asked.tool_choice
        if not offered or (given is None and asked.parallel is not False):
            return None
        mode = given.mode if given is not None else "auto"
        choice: _Block = {"type": {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}[mode]}
        if given is not None and mode == "tool":
            choice["name"] = self.names.flat(given.name, given.namespace)
            if all(tool["name"] != choice["name"] for tool in offered):
                return None
        if asked.parallel is False and mode != "none":
            choice["disable_parallel_tool_use"] = True
        return choice

    # Thinking, numbers.

    def _sampling(self, messages: list[_Block], choice: Optional[_Block]) -> _Sampling:
        asked, most = self.asked, self.dialect.max_output
        max_tokens = asked.max_tokens or most or DEFAULT_MAX_TOKENS
        if most is not None and max_tokens > most:
            self.lose("max_tokens", "max_tokens")
            max_tokens = most
        thinking, effort = asked.thinking, asked.effort
        if effort == "none" or (thinking is not None and thinking.mode == "disabled"):
            return _Sampling({"type": "disabled"}, "", max_tokens)
        if thinking is None and not effort:
            return _Sampling(None, "", max_tokens)
        if choice is not None and choice["type"] in ("any", "tool"):
            self.lose("thinking", "thinking_off")
            return _Sampling(None, "", max_tokens)
        version = self._version()
        if self.dialect.official and version >= (4, 6) and (thinking is None or thinking.mode == "adaptive"):
            block: _Block = {"type": "adaptive"}
            display = thinking.display if thinking is not None else ""
            if display or asked.summary:
                block["display"] = display or "summarized"
            return _Sampling(block, self._effort(effort, version), max_tokens)
        budget = (
            thinking.budget if thinking is not None and thinking.budget else _BUDGETS.get(effort, _BUDGETS["medium"])
        )
        if asked.max_tokens is None and most is None:
            max_tokens = max(max_tokens, budget + MIN_BUDGET * 8)
        budget = min(budget, max_tokens - max(1, max_tokens // 4))
        if budget < MIN_BUDGET or (self.dialect.official and _unthought(messages)):
            self.lose("thinking", "thinking_off")
            return _Sampling(None, "", max_tokens)
        return _Sampling({"type": "enabled", "budget_tokens": budget}, "", max_tokens)

    def _version(self) -> tuple[int, int]:
        """Of a Claude model; other names count as newest, since that is what Anthropic would give a new name."""
        found = _VERSION.search(self.asked.model)
        return (int(found[1]), int(found[2] or 0)) if found else (99, 0)

    def _effort(self, effort: str, version: tuple[int, int]) -> str:
        written = {"minimal": "low", "xhigh": "xhigh" if version >= (4, 7) else "high"}.get(effort, effort)
        if written != effort:
            self.lose("effort", "effort")
        return written

    def _numbers(self, body: _Block, *, thinks: bool) -> None:
        asked = self.asked
        refused = self.dialect.official and self._version() >= (4, 7)
        for name, value in (("temperature", asked.temperature), ("top_p", asked.top_p), ("top_k", asked.top_k)):
            if value is None:
                continue
            if refused or (thinks and not (name == "top_p" and 0.95 <= value <= 1)):
                if (name, value) not in (("temperature", 1), ("top_p", 1)):
                    self.lose(name, "sampling")
            elif name == "top_p" and "temperature" in body and self.dialect.official:
                self.lose(name, "sampling")  # models since 4.1 refuse both together
            elif name == "temperature" and value > 1:
                self.lose(name, "sampling")
                body[name] = 1
            else:
                body[name] = value

    # Marks for the cache.

    def _marked(self, block: _Block, mark: bool) -> _Block:
        if mark and self.dialect.cache_control:
            block["cache_control"] = _CACHE
            self.marked.append(block)
        return block

    def _limit_marks(self, system: list[_Block], messages: list[_Block]) -> None:
        """Keep four marks at most; set them where the client's format has none, else nothing would ever be cached."""
        if not self.dialect.cache_control:
            return
        if not self.marked:
            ends = [m["content"][-1] for m in messages if m["role"] == "user"][-2:]
            for block in (*system[-1:], *ends):
                self._marked(block, True)
        for block in self.marked[1 : 1 - _MAX_MARKS]:
            del block["cache_control"]


def _unthought(messages: list[_Block]) -> bool:
    """Whether the turn that goes on began without thinking: Anthropic refuses a budget then."""
    if len(messages) < 2 or not any(b["type"] == "tool_result" for b in messages[-1]["content"]):
        return False
    return messages[-2]["content"][0]["type"] not in ("thinking", "redacted_thinking")


def _text_block(text: str) -> _Block:
    return {"type": "text", "text": text}


def _in_words(form: AnswerFormat) -> str:
    text = "Answer with one JSON object and nothing else: no prose around it, no code fence."
    if form.type == "json_schema":
        text += " It has to match this JSON schema:\n" + codec.written(form.schema, "format.schema").decode()
    return text
