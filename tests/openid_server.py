"""An OpenID Connect provider in a process of its own. It does what the protocol says, or what a test asks for.

``python tests/openid_server.py CLIENT_ID CLIENT_SECRET REDIRECT_URI`` prints its port. ``POST /misbehave`` takes

``claims``: claims in place of the right ones (null: without); ``algorithm``: of the signature; ``key``: `other`;
``kid``: of the header; ``token``: the whole answer of the token endpoint; ``metadata``: fields in place of the right
ones; ``size``: bytes of the answer of the token endpoint; ``status``: its status; ``rotate``: new keys from now on.
"""

import base64
import hashlib
import json
import secrets
import sys
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

CLIENT, SECRET, REDIRECT_URI = sys.argv[1:4]
SUBJECT = "248289761001"


class State:
    """What the provider knows."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.other = RSAKey.generate_key(2048, {"kid": "one"})
        self.codes: dict[str, dict[str, str]] = {}
        self.wrong: dict[str, Any] = {}
        self.requests: list[str] = []


STATE = State()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        STATE.requests.append(url.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        match url.path:
            case "/.well-known/openid-configuration":
                self._answer(200, self._metadata() | STATE.wrong.get("metadata", {}))
            case "/jwks":
                self._answer(200, KeySet([STATE.key]).as_dict(private=False))
            case "/requests":
                self._answer(200, STATE.requests)
            case "/authorize" if query.get("redirect_uri") == REDIRECT_URI and query.get("client_id") == CLIENT:
                code = secrets.token_urlsafe(16)
                STATE.codes[code] = query
                answer = {"code": code, "state": query["state"], "iss": self._issuer()}
                self._redirect(f"{REDIRECT_URI}?{urlencode(answer)}")
            case _:
                self._answer(404, {"error": "not_found"})

    def do_POST(self) -> None:
        STATE.requests.append(self.path)
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/misbehave":
            STATE.wrong = json.loads(body)
            if STATE.wrong.get("rotate"):
                STATE.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4)})
            self._answer(200, {})
        else:
            self._token({name: values[0] for name, values in parse_qs(body.decode()).items()})

    def _token(self, form: dict[str, str]) -> None:
        begun = STATE.codes.pop(form.get("code", ""), None)
        if "size" in STATE.wrong:
            self._answer(200, {"filler": "x" * STATE.wrong["size"]})
        elif "status" in STATE.wrong:
            self._answer(STATE.wrong["status"], {})
        elif not self._is_client():
            self._answer(401, {"error": "invalid_client"})
        elif begun is None or form.get("redirect_uri") != REDIRECT_URI or not _proved(begun, form):
            self._answer(400, {"error": "invalid_grant"})
        else:
            right = {"access_token": "an-access-token", "token_type": "Bearer", "id_token": self._id_token(begun)}
            self._answer(200, STATE.wrong.get("token", right))

    def _id_token(self, begun: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self._issuer(), "sub": SUBJECT, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": begun["nonce"],
            "email": "ann@provider.example", "email_verified": True,
        } | STATE.wrong.get("claims", {})  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        algorithm = STATE.wrong.get("algorithm", "RS256")
        header = {"alg": algorithm, "kid": STATE.wrong.get("kid", STATE.key.kid)}
        key: Any = STATE.other if STATE.wrong.get("key") == "other" else STATE.key
        if algorithm == "none":
            return f"{_encoded(header)}.{_encoded(claims)}."
        if algorithm == "HS256":
            key = OctKey.import_key(SECRET)
        return jwt.encode(header, claims, key, [algorithm])

    def _is_client(self) -> bool:
        kind, _, value = self.headers.get("authorization", "").partition(" ")
        if kind != "Basic":
            return False
        name, _, secret = base64.b64decode(value).decode().partition(":")
        return (unquote(name), unquote(secret)) == (CLIENT, SECRET)

    def _issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def _metadata(self) -> dict[str, Any]:
        issuer = self._issuer()
        return {
            "issuer": issuer, "authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks", "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "authorization_response_iss_parameter_supported": True,
        }  # fmt: skip

    def _redirect(self, location: str) -> None:
        self.send_response(302)
        self.send_header("location", location)
        self.send_header("content-length", "0")
        self.end_headers()

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _proved(begun: dict[str, str], form: dict[str, str]) -> bool:
    """PKCE, S256 only."""
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return begun.get("code_challenge_method") == "S256" and challenge == begun.get("code_challenge")


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)  # noqa: T201
    server.serve_forever()
