"""Where the keys of the chain come from: the settings, or files in the data directory."""

from pydantic import SecretStr

from chain.wallets.cipher import KeyCipher
from chain.wallets.key_files import UnusableKey, WalletSecrets
from chain.wallets.platform_keys import KeySources, PlatformKeys
from ece.data_dir import DataDir
from ece.failure import Failure
from ece.settings import Settings


def key_sources(settings: Settings) -> KeySources:
    """The keys of the platform: for PlatformKeys, also in another process."""
    return KeySources(
        DataDir(settings.data_dir).chain_secrets,
        authority=_text(settings.chain_authority_key),
        vault=_text(settings.chain_vault_key),
        treasury=_text(settings.chain_treasury_key),
        fee_payers=_texts(settings.chain_fee_payers),
        signer_token=_text(settings.chain_signer_token),
    )


def wallet_secrets(settings: Settings) -> WalletSecrets:
    """The secrets of custodial wallets and second factors: for KeyCipher, also in another process."""
    return WalletSecrets(DataDir(settings.data_dir).secrets / "wallets", _texts(settings.wallet_key))


def check_keys(settings: Settings) -> None:
    """Make the keys that are missing. Raises Failure if one can't be used: no process could start then."""
    try:
        KeyCipher(wallet_secrets(settings))
        if settings.rpc_urls or settings.solana_rpc_url is None:
            PlatformKeys(key_sources(settings)).known_fee_payers()
    except (UnusableKey, ValueError) as error:
        raise Failure(f"The keys can't be used: {error}.") from error


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value().strip()


def _texts(secret: SecretStr | None) -> tuple[str, ...]:
    parts = [] if secret is None else secret.get_secret_value().split(",")
    return tuple(part.strip() for part in parts if part.strip())
