"""The errors of RPC, each with a stable code. No other exception leaves the client."""


class ChainError(Exception):
    """The chain could not do what was asked."""

    code = "chain_error"


class ChainUnavailable(ChainError):
    """No endpoint answered, or not in time, or each is too busy or behind: the same call can be made again."""

    code = "chain_unavailable"


class OutcomeUnknown(ChainUnavailable):
    """A transaction was handed over and the answer was lost: send the same bytes again."""

    code = "outcome_unknown"


class InvalidAnswer(ChainUnavailable):
    """An endpoint answered with something else than JSON-RPC of the method, or contradicts what is known."""

    code = "invalid_answer"


class NodeBehind(ChainUnavailable):
    """An endpoint answered as of a slot that is older than what is known already, or says that it lags."""

    code = "node_behind"


class ForeignChain(ChainUnavailable):
    """An endpoint belongs to a chain with another genesis."""

    code = "foreign_chain"


class AccessDenied(ChainUnavailable):
    """An endpoint does not accept the key in its URL."""

    code = "access_denied"


class RateLimited(ChainUnavailable):
    """An endpoint takes no more calls before ``retry_after_s`` is over."""

    code = "chain_rate_limited"

    def __init__(self, text: str, retry_after_s: float) -> None:
        super().__init__(text, retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return str(self.args[0])


class RequestRejected(ChainError):
    """A call, other than that of a transaction, which no endpoint can answer as it is."""

    code = "request_rejected"


class MethodUnsupported(RequestRejected):
    """An endpoint does not have this method."""

    code = "method_unsupported"


class TransactionRejected(ChainError):
    """This transaction can't land as it is."""

    code = "transaction_rejected"


class BlockhashExpired(TransactionRejected):
    """The blockhash of this transaction is too old."""

    code = "blockhash_expired"


class AlreadyProcessed(TransactionRejected):
    """This transaction has landed."""

    code = "already_processed"
