"""The tables of docs/permissions.md, from the code: `python -m tests.rest.roles.permission_tables` cannot be wrong."""

from typing import Any

from domain.permissions import GRANTABLE, MEANINGS, ROLES, SCOPES, SUSPENDED, Access, Permission
from gateway.websocket.operations.table import OPERATIONS

METHODS = ("get", "post", "put", "patch", "delete")
PREFIX = "/api/v1/"


def role_table() -> list[str]:
    """Roles by permissions."""
    roles = (*GRANTABLE, SUSPENDED)
    lines = [
        "| permission | meaning | " + " | ".join(f"`{role}`" for role in roles) + " | scope of a key |",
        "|---" * (len(roles) + 3) + "|",
    ]
    for permission in Permission:
        marks = ["yes" if permission in ROLES[role] else "" for role in roles]
        marks.append("yes" if permission in SCOPES else "never")
        lines.append(f"| `{permission}` | {MEANINGS[permission]} | " + " | ".join(marks) + " |")
    return lines


def needed_by(document: dict[str, Any]) -> dict[str, list[str]]:
    """Routes and operations by what they need."""
    found: dict[str, list[str]] = {one.value: [] for one in (*Access, *Permission)}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path.startswith(PREFIX):
                found[operation["x-permission"]].append(f"`{method.upper()} {path.removeprefix(PREFIX)}`")
    for operation in OPERATIONS:
        found[operation.needs.value].append(f"`{operation.op}` (WebSocket)")
    return found


def route_table(document: dict[str, Any]) -> list[str]:
    """What each permission is needed for."""
    rows = needed_by(document).items()
    return ["| needs | routes and operations |", "|---|---|"] + [
        f"| `{needed}` | {', '.join(sorted(names))} |" for needed, names in rows if names
    ]
