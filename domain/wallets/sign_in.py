"""Sign-In With Solana: the text that an outside wallet signs to be linked.

Source of the format: https://github.com/phantom/sign-in-with-solana, after EIP-4361. The parser is strict: it accepts
the texts that ``message_of`` makes and no others.
"""

import re

import msgspec

VERSION = "1"
MESSAGE_BYTES_MAX = 2_048
KEY_BYTES = 32

_INTRODUCTION = " wants you to sign in with your Solana account:"
# In the order in which the fields stand in the text.
_FIELDS = {
    "uri": "URI",
    "version": "Version",
    "chain_id": "Chain ID",
    "nonce": "Nonce",
    "issued_at": "Issued At",
    "expiration_time": "Expiration Time",
    "not_before": "Not Before",
    "request_id": "Request ID",
}
_NAMES = {label: name for name, label in _FIELDS.items()}
_RESOURCES = "Resources:"
# No line breaks, nor anything else that is not seen.
_VALUE = re.compile(r"(?! )[^\x00-\x1f\x7f-\x9f\u2028\u2029]+(?<! )")
_DOMAIN = re.compile(r"[\x21-\x7e]{1,253}")
_ADDRESS = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}")
_RESOURCES_MAX = 20

# Keys of small order, without the bit of the sign: a signature for them can be made without a secret key.
# Source: https://eprint.iacr.org/2020/1244, table 1.
_SMALL_ORDER = frozenset(
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)


class InvalidMessage(ValueError):
    """The text is not a sign-in message. Its argument says what is wrong."""


class SignIn(msgspec.Struct, frozen=True):
    """The fields of a message; those that are None are not in the text. Times are RFC 3339."""

    domain: str
    address: str
    statement: str | None = None
    uri: str | None = None
    version: str | None = None
    chain_id: str | None = None
    nonce: str | None = None
    issued_at: str | None = None
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] = ()


def message_of(sign_in: SignIn) -> str:
    """The text that a wallet signs."""
    parts = [f"{sign_in.domain}{_INTRODUCTION}\n{sign_in.address}"]
    if sign_in.statement is not None:
        parts.append(sign_in.statement)
    lines = [
        f"{label}: {value}" for name, label in _FIELDS.items() if (value := getattr(sign_in, name)) is not None
    ]  # fmt: skip
    if sign_in.resources:
        lines += [_RESOURCES, *(f"- {resource}" for resource in sign_in.resources)]
    if lines:
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def parse(text: str) -> SignIn:
    """The fields of a text. Raises InvalidMessage unless ``message_of`` makes exactly this text of them."""
    head, *rest = text.split("\n\n")
    introduction, line_break, address = head.partition("\n")
    domain = introduction.removesuffix(_INTRODUCTION)
    if not line_break or domain == introduction or _DOMAIN.fullmatch(domain) is None:
        raise InvalidMessage("it does not begin as a sign-in message does")
    if _ADDRESS.fullmatch(address) is None:
        raise InvalidMessage("the second line is not an address")
    if len(rest) > 2:
        raise InvalidMessage("it has too many parts")
    statement = rest.pop(0) if rest and not _is_fields(rest[0]) else None
    fields = _fields_in(rest[0]) if rest else {}
    found = msgspec.convert({"domain": domain, "address": address, "statement": statement, **fields}, SignIn)
    for value in (found.statement, *(getattr(found, name) for name in _FIELDS), *found.resources):
        if value is not None and _VALUE.fullmatch(value) is None:
            raise InvalidMessage("a field is empty, or has a character that it may not have")
    if message_of(found) != text:
        raise InvalidMessage("its fields are not in their order, or not spaced as they must be")
    return found


def difference(expected: SignIn, signed: SignIn) -> str | None:
    """The name of the first field in which a signed message is not the expected one; None if they are equal."""
    for name in SignIn.__struct_fields__:
        if getattr(expected, name) != getattr(signed, name):
            return name
    return None


def is_small_order(key: bytes) -> bool:
    """Whether a public key (32 bytes) is one that everybody can sign for."""
    return key[:-1] + bytes([key[-1] & 0x7F]) in _SMALL_ORDER


def _is_fields(part: str) -> bool:
    label = part.partition(": ")[0]
    return label in _NAMES or part.startswith(_RESOURCES)


def _fields_in(part: str) -> dict[str, str | tuple[str, ...]]:
    lines, found = part.split("\n"), dict[str, str | tuple[str, ...]]()
    for index, line in enumerate(lines):
        if line == _RESOURCES:
            resources = lines[index + 1 :]
            if len(resources) > _RESOURCES_MAX or not all(one.startswith("- ") for one in resources):
                raise InvalidMessage("its resources are not a list")
            found["resources"] = tuple(one.removeprefix("- ") for one in resources)
            break
        label, colon, value = line.partition(": ")
        if not colon or label not in _NAMES or _NAMES[label] in found:
            raise InvalidMessage("it has a line that is no field, or a field twice")
        found[_NAMES[label]] = value
    return found
