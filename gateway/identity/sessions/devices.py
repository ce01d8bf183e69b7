"""What users recognise a session by: its device, from the User-Agent, and its network, from the address."""

import ipaddress
import re
from functools import lru_cache

from gateway.identity.attempts import parsed_address

DEVICE_LENGTH_MAX = 60
USER_AGENT_LENGTH_MAX = 512
UNKNOWN = "unknown device"
# The first that fits: most browsers also claim to be those further down.
_BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox/", "Firefox"),
    ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"), ("Linux", "Linux"),
)  # fmt: skip
_OTHER = re.compile(r"[^A-Za-z0-9 ._/()+-]")
# About a city or a provider, and no single household.
_PREFIXES = {4: 24, 6: 48}


@lru_cache(1_024)
def device_of(user_agent: str) -> str:
    """A browser and its system ("Firefox on Windows"), or the first word of another client ("curl/8.5.0")."""
    text = user_agent[:USER_AGENT_LENGTH_MAX]
    browser = next((name for part, name in _BROWSERS if part in text), None)
    system = next((name for part, name in _SYSTEMS if part in text), None)
    if browser is not None:
        return browser if system is None else f"{browser} on {system}"
    words = _OTHER.sub("", text).split()
    return words[0][:DEVICE_LENGTH_MAX] if words else UNKNOWN


def network_of(address: str) -> str:
    """The network of an address: an IPv4 /24 or an IPv6 /48; empty for what is no address."""
    try:
        parsed = parsed_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((parsed.packed, _PREFIXES[parsed.version]), strict=False))
