"""How a JSON-RPC request finds its method, and how its parameters get the types of the method's arguments."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

import msgspec
import structlog
from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.local.errors import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, RpcError
from chain.local.faults import AnswerLost

log = structlog.get_logger()

Call = TypeVar("Call", bound=Callable[..., Any])
_NAME = "rpc_name"


def rpc(name: str) -> Callable[[Call], Call]:
    """Marks a function as a method of the interface."""

    def mark(call: Call) -> Call:
        setattr(call, _NAME, name)
        return call

    return mark


@dataclass(frozen=True, slots=True)
class Method:
    """`types` are those of its positional parameters; the first `required` have no default."""

    call: Callable[..., Any]
    types: Sequence[Any]
    required: int

    async def __call__(self, params: Sequence[Any]) -> object:
        if not self.required <= len(params) <= len(self.types):
            raise RpcError(INVALID_PARAMS, f"Invalid params: {self.required} to {len(self.types)} are expected")
        result = self.call(*(_converted(value, to) for value, to in zip(params, self.types, strict=False)))
        return await result if isinstance(result, Awaitable) else result


def methods_of(groups: Iterable[object]) -> dict[str, Method]:
    """All marked functions of these objects, by name."""
    return {
        getattr(call, _NAME): _method(call)
        for group in groups
        for _, call in inspect.getmembers(group, inspect.ismethod)
        if hasattr(call, _NAME)
    }


async def answer(methods: dict[str, Method], request: object) -> dict[str, Any]:
    """The response to one request. Raises AnswerLost."""
    request_id = request.get("id") if isinstance(request, dict) else None
    try:
        return {"jsonrpc": "2.0", "id": request_id, "result": await _result(methods, request)}
    except RpcError as error:
        return error_response(request_id, error)
    except AnswerLost:
        raise
    except Exception:
        log.exception("rpc_failed", method=request.get("method") if isinstance(request, dict) else None)
        return error_response(request_id, RpcError(INTERNAL_ERROR, "Internal error"))


def error_response(request_id: object, error: RpcError) -> dict[str, Any]:
    """An error as a response. `data` is there only if the error has any."""
    content: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not None:
        content["data"] = error.data
    return {"jsonrpc": "2.0", "id": request_id, "error": content}


async def _result(methods: dict[str, Method], request: object) -> object:
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        raise RpcError(INVALID_REQUEST, "Invalid request")
    method = methods.get(request["method"])
    if method is None:
        raise RpcError(METHOD_NOT_FOUND, "Method not found")
    params = request.get("params")
    if params is not None and not isinstance(params, list):
        raise RpcError(INVALID_PARAMS, "Invalid params: an array is expected")
    return await method(params or [])


def _method(call: Callable[..., Any]) -> Method:
    hints = get_type_hints(call)
    parameters = inspect.signature(call).parameters.values()
    required = sum(parameter.default is parameter.empty for parameter in parameters)
    return Method(call, [hints[parameter.name] for parameter in parameters], required)


def _converted(value: object, to: Any) -> Any:
    if isinstance(value, dict):
        # Clients write null for what they leave open.
        value = {name: member for name, member in value.items() if member is not None}
    try:
        return msgspec.convert(value, to, dec_hook=_decode)
    except (msgspec.ValidationError, ValueError) as error:
        raise RpcError(INVALID_PARAMS, f"Invalid params: {error}") from error


def _decode(to: type, value: object) -> object:
    if to in (Pubkey, Signature, Hash) and isinstance(value, str):
        try:
            return to.from_string(value)
        except ValueError as error:
            raise ValueError(f"{value[:100]!r} is not a {to.__name__}: {error}") from error
    raise ValueError(f"a {to.__name__} is expected")
