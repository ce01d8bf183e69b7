"""Serves the docs of the WebSocket protocol: the AsyncAPI file as it stands in docs/, as JSON, and as a page."""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import yaml
from fastapi import APIRouter
from starlette.responses import Response

from gateway.http.problems import Problem

SOURCE = Path(__file__).parent.parent.parent / "docs" / "asyncapi.yaml"
HEADERS = {"Cache-Control": "public, max-age=300"}

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem }
h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 2.5rem } h3 { margin-bottom: 0 }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884 }
pre { overflow-x: auto; padding: .75rem; background: #8881; border-radius: .4rem }
code { font: .9em ui-monospace, monospace }
"""
# The page needs nothing but its own style: no script, no other host.
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PAGE_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'"

router = APIRouter(include_in_schema=False)


@router.get("/asyncapi.yaml")
def asyncapi_yaml() -> Response:
    """The file itself."""
    return Response(_text(), headers=HEADERS, media_type="application/yaml")


@router.get("/asyncapi.json")
def asyncapi_json() -> Response:
    """The same as JSON, for tools."""
    return Response(json.dumps(document()), headers=HEADERS, media_type="application/json")


@router.get("/docs/ws")
def page() -> Response:
    """The same for people."""
    html = "".join(_page(document()))
    headers = HEADERS | {"Content-Security-Policy": PAGE_POLICY}
    return Response(html, headers=headers, media_type="text/html; charset=utf-8")


@cache
def document() -> dict[str, Any]:
    """The AsyncAPI document. Raises the problem ``not_found`` where the program was installed without its docs."""
    parsed: dict[str, Any] = yaml.safe_load(_text())
    return parsed


@cache
def _text() -> str:
    try:
        return SOURCE.read_text("utf-8")
    except OSError:
        raise Problem("not_found", "this installation came without docs/asyncapi.yaml") from None


def resolve(whole: dict[str, Any], node: Any) -> Any:
    """What a ``$ref`` points to, in the end; anything else is itself. Raises KeyError for a dangling one."""
    while isinstance(node, dict) and "$ref" in node:
        place: Any = whole
        for part in node["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        node = place
    return node


def _page(whole: dict[str, Any]) -> Iterator[str]:
    info, socket = whole["info"], whole["channels"]["socket"]
    title = escape(info["title"])
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
    yield f"<h1>{title}</h1>{_paragraphs(info['description'])}{_paragraphs(socket['description'])}"
    yield '<p>For tools: <a href="/asyncapi.yaml">asyncapi.yaml</a>, <a href="/asyncapi.json">asyncapi.json</a>.'
    yield ' REST: <a href="/docs">/docs</a>.</p>'
    for operation in whole["operations"].values():
        yield from _operation(whole, operation)
    codes = resolve(whole, whole["components"]["schemas"]["ErrorCode"])
    yield f"<h2>Error codes</h2>{_paragraphs(codes['description'])}"
    rows = [
        (code, ", ".join(f"`{field}`" for field in about["fields"]), about["happened"], about["do"])
        for code, about in codes["x-codes"].items()
    ]
    yield _table(("code", "fields", "what happened", "what to do"), rows)
    yield "<h2>Close codes</h2>"
    closings = socket["x-close-codes"].items()
    yield _table(
        ("code", "reconnect", "meaning"), [(c, "yes" if a["reconnect"] else "no", a["meaning"]) for c, a in closings]
    )


def _operation(whole: dict[str, Any], operation: dict[str, Any]) -> Iterator[str]:
    yield f"<h2>{escape(operation['summary'])}</h2>{_paragraphs(operation.get('description', ''))}"
    answers = operation.get("reply", {}).get("messages", [])
    for sender, references in (("server" if operation["action"] == "send" else "client", operation["messages"]),
                               ("server", answers)):  # fmt: skip
        for reference in references:
            message = resolve(whole, reference)
            # How failures look is the same everywhere: once is enough.
            if message["title"].startswith("any reply"):
                continue
            yield f"<h3>{escape(message['title'])} <small>from the {sender}</small></h3>"
            yield from _message(whole, message)


def _message(whole: dict[str, Any], message: dict[str, Any]) -> Iterator[str]:
    schema = resolve(whole, message["payload"])
    required = schema.get("required", [])
    rows = []
    for name, reference in schema["properties"].items():
        field = resolve(whole, reference)
        about = (reference if "description" in reference else field).get("description", "")
        rows.append((name if name in required else f"{name}?", _kind(whole, field), about))
    yield _table(("field", "type", ""), rows)
    for example in message.get("examples", []):
        if "name" in example:
            yield f"<p>{escape(example['name'].capitalize())}:</p>"
        yield f"<pre><code>{escape(json.dumps(example['payload'], indent=2, ensure_ascii=False))}</code></pre>"


def _kind(whole: dict[str, Any], schema: dict[str, Any]) -> str:
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(schema["enum"])
    if "type" not in schema and "oneOf" in schema:
        return " | ".join(_kind(whole, resolve(whole, choice)) for choice in schema["oneOf"])
    kinds = schema.get("type", "any")
    return kinds if isinstance(kinds, str) else " | ".join(kinds)


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(_cell(i, cell) for i, cell in enumerate(row))}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(column: int, text: str) -> str:
    return f"<td><code>{escape(text)}</code></td>" if column == 0 else f"<td>{_inline(text)}</td>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.strip().split("\n\n") if part)


def _inline(text: str) -> str:
    """Escaped, with what stands in backticks as code."""
    parts = escape(text.strip()).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
