"""What an actor can create where the signer of the authority refuses, or does not answer at its start."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from actors.minting import pool as minting_pool
from actors.minting.kinds.collection import SECRET_MS, UNKNOWN_STANDARD, CreateCollection
from actors.minting.kinds.kind import NotYet, Prepared, Unfit
from actors.minting.kinds.mint import MintCopies
from actors.minting.pool import MintingConfig, MintingMember, minting_standards_of
from chain.signing import SignerRefused, SignerUnavailable
from chain.standards.registry import STANDARDS
from chain.wallets.key_files import WalletSecrets
from chain.wallets.platform_keys import KeySources
from persistence.chain.rows import ChainJob
from persistence.minting.assets import CopyToMint, SetToCreate

CORE, AUTHORITY = "core", Keypair()
UNAVAILABLE = SignerUnavailable("out", AUTHORITY.pubkey())
JOB = ChainJob(1, "any", "1", b"", 1, 0, 64, None, uuid.uuid4())


class Keys:
    """The platform's; its authority raises these, one at each signature, and then signs."""

    def __init__(self, *faults: Exception) -> None:
        self._faults = list(faults)

    @property
    def authority(self) -> "Keys":
        return self

    @property
    def address(self) -> Pubkey:
        return AUTHORITY.pubkey()

    async def sign(self, message: bytes) -> Signature:
        if self._faults:
            raise self._faults.pop(0)
        return AUTHORITY.sign_message(message)


class Assets:
    """A copy and its set, both of Metaplex Core."""

    async def copies_of(self, jobs: Any) -> dict[int, CopyToMint]:
        return {JOB.id: CopyToMint(JOB.id, 7, CORE, 1, 5, None, None)}

    async def sets_of(self, jobs: Any) -> dict[int, SetToCreate]:
        return {JOB.id: SetToCreate(JOB.id, 5, "base", "Base", CORE, 3, 3, None, None)}


async def of_nothing(_: Any) -> dict[int, Any]:
    return {}


async def outcomes(standards: Any) -> list[Prepared]:
    """Of a collection and of a mint."""
    parts: Any = (Assets(), None, AUTHORITY.pubkey())
    payer = Keypair().pubkey()
    kinds: Any = (
        CreateCollection(*parts, of_nothing, standards),
        MintCopies(*parts, of_nothing, of_nothing, lambda _: None, standards),
    )
    return [one for kind in kinds for one in await kind.prepare([JOB], payer)]


def standards_of(*faults: Exception) -> Any:
    keys: Any = Keys(*faults)
    return minting_standards_of(keys)


async def test_jobs_wait_for_a_signer_that_does_not_answer():
    assert await outcomes(await standards_of(UNAVAILABLE)) == [NotYet(JOB, SECRET_MS)] * 2


async def test_jobs_end_where_the_signer_refuses():
    assert await outcomes(await standards_of(SignerRefused("the policy"))) == [Unfit(JOB, UNKNOWN_STANDARD)] * 2


@pytest.mark.parametrize(("fault", "created"), [(UNAVAILABLE, True), (SignerRefused("the policy"), False)])
async def test_an_actor_asks_until_the_signer_has_answered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Exception, created: bool
):
    monkeypatch.setattr(minting_pool, "SIGNER_RETRY_S", 0.0)
    config = MintingConfig(
        0, "", "", ("http://localhost",), KeySources(tmp_path), WalletSecrets(tmp_path / "s", ["s" * 40]), tmp_path,
        None, None, False,
    )  # fmt: skip
    parts: Any = (None, None, None)
    member = MintingMember(config, *parts, STANDARDS)
    keys: Any = Keys(UNAVAILABLE, fault)
    member._keys = keys
    await member._learn_standards()
    assert (CORE in member._standards) is created
    assert all(one.can_create for one in member._standards.values())
