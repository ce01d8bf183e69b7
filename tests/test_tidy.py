"""The house's order (docs/architecture.md), where no linter keeps it: sizes, names, and who may import what."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500
FOLDER_MODULES_MAX = 15
PACKAGES = ("domain", "persistence", "actors", "gateway", "ece", "bench", "chain", "clients")
CLIENT = "clients/python/"
NAMES_THAT_SAY_NOTHING = {"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "base", "core"}

# Who may know a library; the import contracts in pyproject.toml know of whole packages only.
KNOWN_BY = {
    "ray": ("actors/runtime/cluster.py",),
    "aiosmtplib": ("actors/workers/mail/sending.py",),
    "asyncpg": ("persistence/", "actors/runtime/host_process.py", "ece/"),
    "redis": ("persistence/redis/", "persistence/catalog/cache.py", "ece/"),
    "fastapi": ("gateway/", "ece/processes/gateway.py"),
    "jwt": ("gateway/identity/tokens.py",),
    "bcrypt": ("gateway/identity/passwords/hasher.py",),
    "PIL": (
        "ece/demo/",
        "chain/storage/images.py",
        "chain/storage/reencoding.py",
        "chain/storage/thumbnails.py",
        "actors/scanning/photographs.py",
    ),
    "cv2": ("actors/scanning/",),
    "regex": ("domain/text.py", "domain/catalog/words.py"),
    "anyascii": ("domain/catalog/words.py",),
    "icu4py": ("domain/catalog/words.py",),
    "cryptography": (
        "chain/wallets/cipher.py",
        "chain/wallets/envelope.py",
        "gateway/identity/signing_keys.py",
        "persistence/push/",
    ),
    "pywebpush": ("actors/workers/push/sending.py",),
    "py_vapid": ("actors/workers/push/sending.py",),
    "authlib": ("gateway/identity/openid.py",),
    "joserfc": ("gateway/identity/openid.py",),
    "webauthn": ("gateway/identity/passkeys.py",),
    "pyotp": ("gateway/identity/second_factor.py",),
    "solders": ("chain/", "actors/minting/", "bench/measures/mint.py", "gateway/rest/wallets/", "ece/processes/"),
    "email_validator": ("domain/users.py",),
}
# Where the environment may be read, and why.
ENVIRONMENT = {
    "ece/settings.py": "the one place",
    "ece/supervisor/services.py": "hands it on to our own processes",
    "ece/engine/running.py": "hands it on to an engine for the time of a block",
    "actors/runtime/cluster.py": "Ray is told some things no other way",
}
# Imports within functions, and why.
LATE_IMPORTS: dict[str, set[str]] = {}


def files_of(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if "node_modules" not in path.parts)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


LIVE = files_of(*(package for package in PACKAGES if (ROOT / package).is_dir()))
ALL = LIVE + files_of("tests")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions_of(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, Function))


def imports_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(module, line) of every import below this node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or "", node.lineno


def test_there_is_something_to_look_at():
    assert len(LIVE) > 60
    assert len(ALL) > len(LIVE) + 40


def test_no_function_is_longer_than_a_screen():
    long = [
        f"{name_of(path)}:{function.lineno} {function.name}: {length} lines"
        for path in ALL
        for function in functions_of(path)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_no_file_is_longer_than_one_can_keep_in_mind():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in ALL}
    # Of tests, each stands for itself: their files may be longer.
    limits = {name: FILE_LINES_MAX * (2 if name.startswith("tests/") else 1) for name in lengths}
    assert {name: length for name, length in lengths.items() if length > limits[name]} == {}


def test_no_folder_has_more_modules_than_one_can_survey():
    modules = Counter(name_of(path.parent) for path in ALL if path.name != "__init__.py")
    assert {folder: count for folder, count in modules.items() if count > FOLDER_MODULES_MAX} == {}


def module_of(path: Path) -> str:
    inside = path.relative_to(ROOT).with_suffix("").as_posix().removeprefix(CLIENT)
    return inside.replace("/", ".").removesuffix(".__init__")


def test_no_files_import_each_other_in_a_circle():
    """Imports for the type checker count, too."""
    modules = {module_of(path): path for path in LIVE}
    imported = {
        name: {other for other in names_imported_by(path) if other in modules and other != name}
        for name, path in modules.items()
    }  # fmt: skip
    try:
        TopologicalSorter(imported).prepare()
        circle = []
    except CycleError as error:
        circle = error.args[1]
    assert circle == []


def names_imported_by(path: Path) -> Iterator[str]:
    """Modules, and what may be one: ``from gateway.http import problems`` imports ``gateway.http.problems``."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_file_that_documents_and_comments_name_exists():
    """Decisions, the changelog and migrations are of their time: they may name what is gone."""
    documents = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / CLIENT / "README.md",
        *ALL,
        ROOT / "pyproject.toml",
    ]
    packages = "|".join([*PACKAGES, "tests"])
    path_named = re.compile(rf"(?<![\w/.-])(?:{packages})/[\w/]+\.(?:py|sql)\b")
    missing = [
        f"{name_of(document)}: {named}"
        for document in documents
        if document.name not in ("CHANGELOG.md", "test_tidy.py")
        for named in path_named.findall(document.read_text())
        if not (ROOT / named).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("library", sorted(KNOWN_BY))
def test_libraries_are_known_only_where_they_are_wrapped(library: str):
    allowed = KNOWN_BY[library]
    elsewhere = [
        f"{name_of(path)}:{line}"
        for path in LIVE
        for module, line in imports_of(tree_of(path))
        if module.partition(".")[0] == library and not name_of(path).startswith(allowed)
    ]
    assert elsewhere == []


@pytest.mark.parametrize("library", sorted(KNOWN_BY))
def test_every_place_that_may_know_a_library_does(library: str):
    knowing = {
        name_of(path)
        for path in LIVE
        for module, _ in imports_of(tree_of(path))
        if module.partition(".")[0] == library
    }  # fmt: skip
    idle = [place for place in KNOWN_BY[library] if not any(name.startswith(place) for name in knowing)]
    assert idle == []


def test_below_the_command_line_nothing_prints():
    printing = [
        f"{name_of(path)}:{node.lineno}"
        for path in files_of("domain", "persistence", "actors", "gateway")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_names_say_what_things_are():
    empty = [
        f"{name_of(path)}: {name}"
        for path in ALL
        for name in {*path.relative_to(ROOT).with_suffix("").parts, *classes_of(path)}
        if NAMES_THAT_SAY_NOTHING & set(words_of(name))
    ]
    assert empty == []


def classes_of(path: Path) -> set[str]:
    return {node.name for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)}


def words_of(name: str) -> list[str]:
    """``HostManager`` and ``host_manager`` are both made of host and manager."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return spaced.replace("_", " ").split()


def environment_uses(path: Path) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "environb", "getenv", "putenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ] + [
        line
        for module, line in imports_of(tree_of(path))
        if module in ("os.environ", "dotenv")
    ]  # fmt: skip


def test_the_environment_is_read_in_one_place():
    using = {name_of(path): environment_uses(path) for path in LIVE}
    assert {name for name, lines in using.items() if lines} == ENVIRONMENT.keys()


def test_imports_stand_at_the_top():
    late: dict[str, set[str]] = {}
    for path in LIVE:
        for function in functions_of(path):
            late.setdefault(name_of(path), set()).update(module for module, _ in imports_of(function))
    assert {name: modules for name, modules in late.items() if modules} == LATE_IMPORTS


def test_the_rules_know_no_clock_chance_or_world():
    forbidden = {
        "asyncio", "time", "random", "secrets", "os", "sys", "logging", "structlog", "socket", "pathlib", "datetime",
        "threading", "uuid",
    }  # fmt: skip
    knowing = [
        f"{name_of(path)}:{line} {module}"
        for path in files_of("domain")
        for module, line in imports_of(tree_of(path))
        if module.partition(".")[0] in forbidden
    ]
    assert knowing == []


def test_no_float_crosses_the_rules():
    floats = [
        f"{name_of(path)}:{node.lineno}"
        for path in files_of("domain")
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
    ]
    assert floats == []


def test_every_module_says_what_it_is():
    silent = [name_of(path) for path in LIVE if path.read_text().strip() and ast.get_docstring(tree_of(path)) is None]
    assert silent == []


def test_no_test_sleeps_for_a_fixed_time_in_real_time():
    """Waiting for a condition is a loop with a deadline; only virtual time may be slept through."""
    sleeping = [
        f"{name_of(path)}:{node.lineno}"
        for path in files_of("tests")
        if "virtual_time" not in path.read_text()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "sleep"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value > 1
    ]
    assert sleeping == []
