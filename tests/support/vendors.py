"""The providers of the presets, with their odd ways: error shapes, key checks, public lists.

The shapes are those quoted in vendors' documentation, vendors' own command lines and public code (November 2026);
where nothing is known, a provider answers in the shape of the protocol it is asked in.  Pure; no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from support import wire
from support.provider import Call, Response, error, json_response

State = Literal["good", "bad", "no-quota", "forbidden"]
"""What a key is to a host; ``bad`` is any key that it does not know."""


class Vendor:
    """A provider without peculiarities."""

    id: ClassVar[str] = ""
    prefix: ClassVar[str] = "sk-"
    """How its keys begin."""
    checks: ClassVar[dict[str, str]] = {}
    """Path of a key check to how the key is sent there (``bearer``, ``raw``, ``x-api-key``)."""
    public: ClassVar[tuple[str, ...]] = ()
    """Paths that answer without a key."""
    open: ClassVar[bool] = False
    """Any key is good, and none as well."""

    def check(self, path: str, state: State, key: str) -> Response:
        """Answer a key check."""
        raise NotImplementedError(path)

    def refuse(self, call: Call, state: State) -> Response:
        """Answer a request whose key is not good."""
        if state == "bad":
            return self.bad_key(call)
        return self.no_quota(call) if state == "no-quota" else self.forbidden(call)

    def bad_key(self, call: Call) -> Response:
        return error(call, 401, "invalid x-api-key" if call.anthropic else "Incorrect API key provided")

    def no_quota(self, call: Call) -> Response:
        if call.anthropic:
            return error(call, 402, "Your account has no credit left")
        message = "You exceeded your current quota, please check your plan and billing details."
        return json_response(wire.openai_error("insufficient_quota", message, "insufficient_quota"), 429)

    def forbidden(self, call: Call) -> Response:
        return error(call, 403, "Your account may not use this resource")

    def bad_model(self, call: Call, model: str) -> Response:
        if call.anthropic:
            return error(call, 404, f"model: {model}")
        message = f"The model `{model}` does not exist or you do not have access to it."
        return json_response(wire.openai_error("invalid_request_error", message, "model_not_found"), 404)

    def list_models(self, call: Call, models: Sequence[str]) -> Response:
        return json_response(wire.anthropic_models(models) if call.anthropic else wire.openai_models(models))


class Glm(Vendor):
    id = "glm"
    prefix = ""
    checks: ClassVar[dict[str, str]] = {"/api/monitor/usage/quota/limit": "raw"}

    def check(self, path: str, state: State, key: str) -> Response:
        if state == "bad":  # HTTP 200
            return json_response({"code": 401, "msg": "token expired or incorrect", "success": False})
        used = 100 if state == "no-quota" else 12
        rows = [
            {"type": "TIME_LIMIT", "unit": 5, "number": 1, "usage": 100, "currentValue": 3, "percentage": 3},
            {"type": "TOKENS_LIMIT", "unit": 3, "number": 5, "percentage": used, "nextResetTime": 1795219200000},
        ]
        data = {"limits": rows, "level": "pro"}
        return json_response({"code": 200, "msg": "Operation successful", "data": data, "success": True})

    def bad_key(self, call: Call) -> Response:
        return json_response({"error": {"code": "401", "message": "token expired or incorrect"}}, 401)

    def no_quota(self, call: Call) -> Response:
        message = "Insufficient balance or no resource package. Please recharge."
        return json_response({"error": {"code": "1113", "message": message}}, 429)

    def bad_model(self, call: Call, model: str) -> Response:
        message = "modelCode: does not exist" if call.anthropic else "Unknown Model, please check the model code."
        return json_response({"error": {"code": "1211", "message": message}}, 400)

    def list_models(self, call: Call, models: Sequence[str]) -> Response:
        if call.prefix.endswith("/api/v1"):
            return json_response({"models": [{"slug": model} for model in models]})
        return super().list_models(call, models)


def _base_resp(code: int, message: str, **more: Any) -> Response:
    return json_response({**more, "base_resp": {"status_code": code, "status_msg": message}})


class MiniMax(Vendor):
    """Errors come with HTTP 200."""

    id = "minimax"
    prefix = "sk-api-"
    checks: ClassVar[dict[str, str]] = {"/account/query_balance": "bearer", "/v1/token_plan/remains": "bearer"}

    def check(self, path: str, state: State, key: str) -> Response:
        plan = path.endswith("remains")
        # Each kind of key has its own check, and is unknown to the other one.
        if state == "bad" or plan != key.startswith("sk-cp-"):
            return _base_resp(1004, "login fail: invalid api key") if plan else _base_resp(2049, "invalid api key")
        if state == "no-quota":
            return _base_resp(1028, "usage limit exceeded") if plan else _base_resp(1008, "insufficient balance")
        if plan:
            row = {"model_name": "MiniMax-M3", "current_interval_total_count": 1500, "current_interval_usage_count": 3}
            return _base_resp(0, "success", model_remains=[row])
        money = {"available_amount": "12.50", "cash_balance": "10.00", "voucher_balance": "2.50", "owed_amount": "0.00"}
        return _base_resp(0, "success", **money)

    def bad_key(self, call: Call) -> Response:
        return _base_resp(2049 if call.anthropic else 1004, "invalid api key")

    def no_quota(self, call: Call) -> Response:
        return _base_resp(1008, "insufficient balance")

    def bad_model(self, call: Call, model: str) -> Response:
        return _base_resp(2061, f"your current token plan not support model, {model}")


class Kimi(Vendor):
    id = "kimi"
    checks: ClassVar[dict[str, str]] = {"/v1/users/me/balance": "bearer", "/coding/v1/usages": "bearer"}

    def check(self, path: str, state: State, key: str) -> Response:
        if state == "bad":
            return self._error(401, "Incorrect API key provided", "incorrect_api_key_error")
        if path.endswith("usages"):
            used = "100" if state == "no-quota" else "7"
            window = {"duration": 300, "timeUnit": "TIME_UNIT_MINUTE"}
            rows = [{"window": window, "detail": {"limit": "100", "used": used, "remaining": str(100 - int(used))}}]
            return json_response({"usage": {"limit": "1000", "used": used, "remaining": "900"}, "limits": rows})
        left = 0 if state == "no-quota" else 49.58
        money = {"available_balance": left, "voucher_balance": left, "cash_balance": 0}
        return json_response({"code": 0, "data": money, "scode": "0x0", "status": True})

    def _error(self, status: int, message: str, kind: str) -> Response:
        return json_response({"error": {"message": message, "type": kind}}, status)  # also on /anthropic

    def bad_key(self, call: Call) -> Response:
        return self._error(401, "Incorrect API key provided", "incorrect_api_key_error")

    def no_quota(self, call: Call) -> Response:
        message = "Your account is suspended due to insufficient balance, please recharge your account"
        return self._error(429, message, "exceeded_current_quota_error")

    def bad_model(self, call: Call, model: str) -> Response:
        if call.prefix.startswith("/coding"):  # 401 for a model, although the key is good
            return self._error(
                401, "Model not supported by your plan, please set model id as k3", "authentication_error"
            )
        return self._error(404, f"Not found the model {model} or Permission denied", "resource_not_found_error")


class DeepSeek(Vendor):
    id = "deepseek"
    checks: ClassVar[dict[str, str]] = {"/user/balance": "bearer"}

    def check(self, path: str, state: State, key: str) -> Response:
        if state == "bad":
            return self._refusal(key)
        amount = "0.00" if state == "no-quota" else "110.00"
        row = {"currency": "CNY", "total_balance": amount, "granted_balance": "0.00", "topped_up_balance": amount}
        return json_response({"is_available": state != "no-quota", "balance_infos": [row]})

    def _refusal(self, key: str) -> Response:
        # The end of the key comes back.
        message = f"Authentication Fails, Your api key: ****{key[-4:]} is invalid"
        found = wire.openai_error("authentication_error", message, "invalid_request_error")
        return json_response(found, 401)

    def bad_key(self, call: Call) -> Response:
        return self._refusal(call.credentials[0][1] if call.credentials else "")

    def no_quota(self, call: Call) -> Response:
        return json_response(wire.openai_error("unknown_error", "Insufficient Balance", "invalid_request_error"), 402)


class OpenRouter(Vendor):
    id = "openrouter"
    prefix = "sk-or-v1-"
    checks: ClassVar[dict[str, str]] = {"/api/v1/key": "bearer", "/api/v1/credits": "bearer"}
    public = ("/api/v1/models",)

    def check(self, path: str, state: State, key: str) -> Response:
        if state == "bad":
            return self._error(401, "No auth credentials found")
        empty = state == "no-quota"
        if path.endswith("credits"):
            return json_response({"data": {"total_credits": 10, "total_usage": 10 if empty else 2.5}})
        data = {"label": "sk-or-v1-…", "usage": 10 if empty else 2.5, "limit": 10, "is_free_tier": False}
        return json_response({"data": data | {"limit_remaining": 0 if empty else 7.5}})

    def _error(self, code: int, message: str) -> Response:
        return json_response({"error": {"message": message, "code": code}}, code)

    def bad_key(self, call: Call) -> Response:
        return self._error(401, "No auth credentials found")

    def no_quota(self, call: Call) -> Response:
        return self._error(402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits")

    def bad_model(self, call: Call, model: str) -> Response:
        return self._error(400, f"{model} is not a valid model ID")


class SiliconFlow(Vendor):
    id = "siliconflow"
    checks: ClassVar[dict[str, str]] = {"/v1/user/info": "bearer"}

    def check(self, path: str, state: State, key: str) -> Response:
        if state == "bad":
            return json_response("Invalid token", 401)  # a bare string
        amount = "0" if state == "no-quota" else "88.00"
        data = {"id": "u1", "name": "x", "balance": amount, "totalBalance": amount, "status": "normal"}
        return json_response({"code": 20000, "message": "OK", "status": True, "data": data})

    def bad_key(self, call: Call) -> Response:
        if call.anthropic:
            return json_response({"code": 30014, "message": "Token is invalid.", "data": None}, 401)
        return json_response("Invalid token", 401)

    def bad_model(self, call: Call, model: str) -> Response:
        return json_response(
            {"code": 20012, "message": "Model does not exist. Please check it carefully.", "data": None}, 400
        )


class XAi(Vendor):
    id = "xai"
    prefix = "xai-"
    checks: ClassVar[dict[str, str]] = {"/v1/api-key": "bearer"}

    def check(self, path: str, state: State, key: str) -> Response:
        if state == "bad":
            return self._refusal()
        flags = {"api_key_blocked": state == "forbidden", "api_key_disabled": False, "team_blocked": False}
        return json_response({"redacted_api_key": "xai-...abcd", "name": "x", "acls": ["api-key:model:*"], **flags})

    def _refusal(self) -> Response:
        message = "Incorrect API key provided: xa***cd. You can obtain an API key from https://console.x.ai."
        return json_response({"code": "Client specified an invalid argument", "error": message}, 400)

    def bad_key(self, call: Call) -> Response:
        return self._refusal()


class StepFun(Vendor):
    id = "stepfun"
    prefix = ""
    checks: ClassVar[dict[str, str]] = {"/v1/accounts": "bearer"}

    def check(self, path: str, state: State, key: str) -> Response:
        if state == "bad":
            return json_response(wire.openai_error("invalid_api_key", "Incorrect API key provided"), 401)
        amount = 0 if state == "no-quota" else 25.5
        money = {"balance": amount, "total_cash_balance": amount, "total_voucher_balance": 0}
        return json_response({"object": "account", "type": "prepaid", **money})


class Ai302(Vendor):
    id = "302ai"
    checks: ClassVar[dict[str, str]] = {"/dashboard/balance": "bearer"}

    def check(self, path: str, state: State, key: str) -> Response:
        if state == "bad":
            return self._error(401, "Unauthorized", "Invalid API key")
        return json_response({"code": 0, "data": {"balance": "0" if state == "no-quota" else "4.20"}})

    def _error(self, status: int, code: str, message: str) -> Response:
        return json_response({"code": code, "message": message, "request_id": "r-1"}, status)

    def bad_key(self, call: Call) -> Response:
        return self._error(401, "Unauthorized", "Invalid API key")

    def no_quota(self, call: Call) -> Response:
        return self._error(429, "InsufficientBalance", "Your balance is not enough")


class Anthropic(Vendor):
    id = "anthropic"
    prefix = "sk-ant-api03-"

    def no_quota(self, call: Call) -> Response:
        return error(call, 400, "Your credit balance is too low to access the Anthropic API.")


class OpenAi(Vendor):
    id = "openai"
    prefix = "sk-proj-"

    def bad_key(self, call: Call) -> Response:
        # The key comes back, with stars in the middle.
        key = call.credentials[0][1].removeprefix("Bearer ") if call.credentials else ""
        message = f"Incorrect API key provided: {key[:8]}*****{key[-4:]}."
        return json_response(wire.openai_error("invalid_request_error", message, "invalid_api_key"), 401)


class Public(Vendor):
    """Lists its models for everybody."""

    public = ("/v1/models", "/public/v1/models")


class Local(Public):
    """A server on the user's own machine."""

    open = True


def _named(name: str, base: type[Vendor]) -> Vendor:
    made: Vendor = type(name, (base,), {"id": name})()
    return made


_ODD = (
    Glm(),
    MiniMax(),
    Kimi(),
    DeepSeek(),
    OpenRouter(),
    SiliconFlow(),
    XAi(),
    StepFun(),
    Ai302(),
    Anthropic(),
    OpenAi(),
)
VENDORS: dict[str, Vendor] = {v.id: v for v in _ODD}
VENDORS |= {name: _named(name, Public) for name in ("modelscope", "nvidia", "cerebras")}
VENDORS |= {name: _named(name, Local) for name in ("ollama", "vllm", "lmstudio", "llamacpp")}


def vendor(preset_id: str) -> Vendor:
    """Return the provider of a preset; one without peculiarities when none are known."""
    return VENDORS.get(preset_id) or _named(preset_id, Vendor)


def key_of(vendor: Vendor, host: str) -> str:
    """Return a key that looks like the vendor's and occurs nowhere else."""
    place = "".join(c if c.isalnum() else "-" for c in host) or "plain"
    # Not the host first: "sk-api-…" is how keys of MiniMax begin.
    return f"{vendor.prefix}test-{place}-9f86d081884c7d65"
