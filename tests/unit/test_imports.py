"""The layers of the house: who imports whom, read from the source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for folder in ("dnai", "workers", "web") for path in (ROOT / folder).rglob("*.py"))

LAYERS = (
    ("dnai.tracks", "dnai.track_files", "dnai.text", "dnai.config", "dnai.command_line", "dnai.errors"),
    ("dnai.audio",),
    ("dnai.genre",),
    ("dnai.library",),
    ("dnai.recommend",),
    ("dnai.broker", "dnai.stream", "dnai.chatbot"),
    ("workers", "web"),
    ("dnai.cli",),
)
"""From the bottom to the top. A layer imports from those below it; parts beside each other do not know each other."""

BOTTOM = frozenset(LAYERS[0])

ALLOWED = {
    "pika": ("dnai.broker",),
    "socketio": ("dnai.stream", "web"),
    "engineio": ("dnai.stream", "web"),
    "flask": ("web",),
    "flask_socketio": ("web",),
    "tensorflow": ("dnai.genre.network", "dnai.genre.musicnn"),
    "keras": ("dnai.genre.network", "dnai.genre.training"),
    "sklearn": ("dnai.genre.training", "dnai.genre.evaluation"),
    "matplotlib": ("dnai.genre.pictures",),
    "librosa": ("dnai.audio",),
    "soundfile": ("dnai.audio",),
    "av": ("dnai.audio",),
    "mutagen": ("dnai.audio",),
    "PIL": ("dnai.audio",),
    "chatterbot": ("dnai.chatbot",),
    "sqlite3": ("dnai.library", "dnai.chatbot"),
}
"""Who may import what of others."""

NEVER = frozenset({"pickle", "shelve", "marshal", "dill", "cloudpickle"})
NO_INPUT_OR_OUTPUT = frozenset({"time", "random", "secrets", "socket", "threading", "asyncio", "os", "logging", "uuid"})


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def part_of(name: str) -> tuple[int, str] | None:
    """The layer and the part that a module belongs to; None for what others wrote."""
    return next(
        ((i, part) for i, parts in enumerate(LAYERS) for part in parts if is_within(name, part)),
        None,
    )


@pytest.fixture(params=MODULES, ids=module_name)
def module(request: pytest.FixtureRequest) -> tuple[str, ast.Module]:
    """The name and the tree of each module."""
    return module_name(request.param), ast.parse(request.param.read_text(encoding="utf-8"))


def test_imports_only_go_down(module: tuple[str, ast.Module]) -> None:
    """To the layers below, or within the same part; at the bottom also beside."""
    name, tree = module
    own = part_of(name)
    for other_name in imported(tree):
        other = part_of(other_name)
        if own is None or other is None:
            assert other is None or name == "dnai", f"{name} is in no layer and imports {other_name}"
            continue
        same = other == own or (own[1] in BOTTOM and other[1] in BOTTOM)
        assert same or other[0] < own[0], f"{name} imports {other_name}"


def test_a_library_is_imported_where_it_belongs(module: tuple[str, ast.Module]) -> None:
    """Only `broker` knows pika, only `audio` decoders, only the training TensorFlow, and so on."""
    name, tree = module
    for other in imported(tree):
        top = other.partition(".")[0]
        assert top not in NEVER, f"{name} imports {top}"
        allowed = ALLOWED.get(top)
        assert allowed is None or any(is_within(name, package) for package in allowed), f"{name} imports {other}"


def test_no_import_stands_inside_a_function(module: tuple[str, ast.Module]) -> None:
    """What a module needs stands at its top."""
    name, tree = module
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inside = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
            assert not inside, f"{name}, line {inside[0].lineno}"


def test_recommend_does_no_input_and_no_output() -> None:
    """Time, ids and messages are handed to it."""
    for path in (ROOT / "dnai" / "recommend").glob("*.py"):
        tops = {name.partition(".")[0] for name in imported(ast.parse(path.read_text(encoding="utf-8")))}
        assert not tops & NO_INPUT_OR_OUTPUT, f"{path.name} imports {tops & NO_INPUT_OR_OUTPUT}"


def test_every_folder_of_the_house_has_modules() -> None:
    """The test above would pass on an empty list, too."""
    parts = {part for part in (part_of(module_name(path)) for path in MODULES) if part is not None}
    assert {part for _, part in parts} == {part for layer in LAYERS for part in layer}
