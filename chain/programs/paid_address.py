"""Creating an account at an address that has SOL already: anybody can send some there, and then it can't be created."""

from solders.system_program import (
    AllocateWithSeedParams,
    TransferParams,
    allocate_with_seed,
    decode_create_account_with_seed,
    transfer,
)

from chain.bundle import Bundle
from chain.programs.addresses import SYSTEM

_UNITS = 1_000


def at_paid_address(bundle: Bundle) -> Bundle:
    """The same account, paid for and then given its size and owner, which takes one instruction more.

    A bundle that does not begin with the creation of an account with a seed stays as it is.
    """
    creation, *others = bundle.instructions
    if creation.program_id != SYSTEM:
        return bundle
    made = decode_create_account_with_seed(creation)
    pay = transfer(
        TransferParams(from_pubkey=made["from_pubkey"], to_pubkey=made["to_pubkey"], lamports=made["lamports"])
    )
    allocate = allocate_with_seed(
        AllocateWithSeedParams(
            address=made["to_pubkey"], base=made["base"], seed=made["seed"], space=made["space"], owner=made["owner"]
        )
    )
    return Bundle((pay, allocate, *others), bundle.signers, bundle.trace_entries + 1, bundle.compute_units + _UNITS)
