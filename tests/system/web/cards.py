"""Cards and copies for the tests in browsers, made by an operator."""

import itertools
import os
import subprocess
import sys
import time
from typing import Any

import httpx
from browsers import PASSWORD
from engines import SharedEngine

_numbers = itertools.count(1)
OPERATOR = "webcurator"
FOUND_WITHIN_S = 30.0
FINGERPRINTED_WITHIN_S = 120.0


class Curator:
    """An operator who makes cards of a set of its own, and copies of them."""

    def __init__(self, http: httpx.Client, engine: SharedEngine) -> None:
        self._http = http
        registered = {"email": f"{OPERATOR}@example.org", "username": OPERATOR, "password": PASSWORD}
        self._http.post("/auth/register", json=registered)
        environment = {**os.environ, "ECE_DATA_DIR": str(engine.data_dir.path)}
        command = [sys.executable, "-m", "ece.cli", "roles", "grant", OPERATOR, "admin"]
        subprocess.run(command, env=environment, check=True, timeout=60)
        answer = self._http.post("/auth/login", json={"login": OPERATOR, "password": PASSWORD})
        self._token = str(answer.json()["access_token"])

    def card(self, name: str, **fields: Any) -> str:
        """A new card, once the catalog finds it: its id."""
        number = str(next(_numbers))
        body = {"set": "web-cards", "set_name": "Web Cards", "number": number, "name": name, "rarity": "rare"}
        self._post("/admin/catalog/cards", body | fields)
        deadline = time.monotonic() + FOUND_WITHIN_S
        while time.monotonic() < deadline:
            items = self._http.get("/catalog/cards", params={"q": name}).json()["items"]
            if found := [item["id"] for item in items if item["number"] == number]:
                return str(found[0])
        raise AssertionError(f"{name} is not found")

    def sees(self, card: str, photograph: bytes) -> None:
        """Once a scan of this photograph finds the card first: its picture gets its fingerprint a little later."""
        deadline = time.monotonic() + FINGERPRINTED_WITHIN_S
        headers = {"Authorization": f"Bearer {self._token}"}
        while time.monotonic() < deadline:
            matches = self._http.post("/scans", content=photograph, headers=headers).json().get("matches", [])
            if matches and matches[0]["card"]["id"] == card:
                return
        raise AssertionError(f"{card} is not found by its photograph")

    def copies(self, card: str, owner: str, count: int = 1) -> list[str]:
        """Copies of a card for somebody."""
        made = self._post(f"/admin/catalog/cards/{card}/copies", {"count": count, "owner": owner})
        return list(made["copies"])

    def sees_listed(self, seller: str, count: int) -> None:
        """Once the list of auctions, which is a little behind them, has so many of this seller."""
        deadline = time.monotonic() + FOUND_WITHIN_S
        while time.monotonic() < deadline:
            if len(self._http.get("/auctions", params={"seller": seller}).json()["items"]) == count:
                return
        raise AssertionError(f"{seller} has not {count} auctions")

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Idempotency-Key": f"curator-{next(_numbers)}", "Authorization": f"Bearer {self._token}"}
        answer = self._http.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()
