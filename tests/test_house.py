"""The house: who imports whom. Read from the source, so that imports inside functions count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bench", "configs", "dassl", "datasets", "prompted_clip", "reporting", "sweep", "tools", "trainers")


def modules() -> dict[str, Path]:
    """Module name → file."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): f for f in files}


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a module but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            yield from executed(node)


def imported(name: str, file: Path, known: dict[str, Path]) -> set[str]:
    """The modules of ours that a module imports, anywhere in it."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in executed(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parent = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (parent, node.module) if part)
            # a name may be a module of the package, or something in it
            names = [f"{base}.{a.name}" if f"{base}.{a.name}" in known else base for a in node.names]
        else:
            continue
        found |= {each for each in names if each in known}
    return found - {name}


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    known = modules()
    return {name: imported(name, file, known) for name, file in known.items()}


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """A circle of imports, or an empty list."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for target in sorted(graph[name]):
            circle = walk(target, [*path, name])
            if circle:
                return circle
        done.add(name)
        return []

    return next((circle for name in sorted(graph) if (circle := walk(name, []))), [])


def test_no_circle_of_imports(graph) -> None:
    assert circle_in(graph) == []


def test_a_circle_is_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


#: Who may import whom; what is not here imports none of the others.
MAY_IMPORT = {
    "trainers": {"dassl", "prompted_clip"},
    "datasets": {"dassl"},
    "reporting": {"configs", "dassl.records"},
    "sweep": {"configs", "dassl.records"},
}


def test_imports_go_downwards(graph) -> None:
    for name, targets in graph.items():
        package = name.split(".")[0]
        if package in ("bench", "tools"):  # programs of the maintainer, which may use everything
            continue
        for target in targets:
            allowed = (package, *MAY_IMPORT.get(package, ()))
            found = any(target == each or target.startswith(f"{each}.") for each in allowed)
            assert found or (target == "dassl" and package in MAY_IMPORT), f"{name} imports {target}"
