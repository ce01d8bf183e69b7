"""Errors of the local chain as JSON-RPC has them: codes of Agave's RPC server, and transaction errors as JSON."""

from typing import Any

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
PREFLIGHT_FAILURE = -32002
SIGNATURE_VERIFICATION_FAILURE = -32003
NODE_UNHEALTHY = -32005
SLOT_SKIPPED = -32007
UNSUPPORTED_VERSION = -32015
MIN_CONTEXT_SLOT_NOT_REACHED = -32016

# A transaction error as JSON: a name, or an object with one member.
ErrorJson = str | dict[str, Any]

_SENTENCES = {
    "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
    "AlreadyProcessed": "This transaction has already been processed",
    "BlockhashNotFound": "Blockhash not found",
    "InsufficientFundsForFee": "Insufficient funds for fee",
    "SignatureFailure": "Transaction did not pass signature verification",
}


class RpcError(Exception):
    """A JSON-RPC error: what a request is answered with."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class StartFailed(Exception):
    """The local chain can't start: its data are damaged or in use."""


def error_json(error: Any) -> ErrorJson:
    """A transaction error of LiteSVM as RPC servers write it."""
    name = type(error).__name__
    if name == "TransactionErrorInstructionError":
        return {"InstructionError": [error.index, _instruction_error(error.err)]}
    if name == "TransactionErrorDuplicateInstruction":
        return {"DuplicateInstruction": error.index}
    if hasattr(error, "account_index"):
        return {name.removeprefix("TransactionError"): {"account_index": error.account_index}}
    return str(error).rpartition(".")[2]


def _instruction_error(error: Any) -> ErrorJson:
    name = type(error).__name__
    if name == "InstructionErrorCustom":
        return {"Custom": error.code}
    if name == "InstructionErrorBorshIO":
        return "BorshIoError"
    return str(error).rpartition(".")[2]


def error_sentence(error: ErrorJson) -> str:
    """The text that Agave gives for a transaction error."""
    if isinstance(error, str):
        return _SENTENCES.get(error, error)
    if "InstructionError" not in error:
        return next(iter(error))
    index, cause = error["InstructionError"]
    reason = f"custom program error: {cause['Custom']:#x}" if isinstance(cause, dict) else cause
    return f"Error processing Instruction {index}: {reason}"
