"""The result of a simulation as RPC servers write it."""

import base64
from typing import Any

from chain.local.ledger.bank import Simulated


def simulation_json(simulated: Simulated) -> dict[str, Any]:
    """Without accounts, which the caller of simulateTransaction names."""
    returned = simulated.return_data
    data = b"" if returned is None else bytes(returned.data)
    return {
        "err": simulated.error,
        "logs": simulated.logs,
        "accounts": None,
        "unitsConsumed": simulated.units,
        "fee": simulated.fee,
        "innerInstructions": None,
        "loadedAccountsDataSize": 0,
        "replacementBlockhash": None,
        "returnData": {"programId": str(returned.program_id), "data": [base64.b64encode(data).decode(), "base64"]}
        if data
        else None,
    }
