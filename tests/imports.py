"""Which module of a package imports which: also inside functions, and for types only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def graph(package: Path) -> dict[str, set[str]]:
    """The modules of a package, by names within it, each with those that it imports.

    A name that a package's ``__init__`` only hands on counts as imported from where it is defined.
    """
    sources = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text())
    imported = {module: list(_imports(tree)) for module, tree in sources.items()}

    def defining(module: str, name: str | None, seen: frozenset = frozenset()) -> set[str]:
        """Where the name that is imported from a module is defined; none if it is of another package."""
        if name is None or f"{module}.{name}" in sources:
            module, name = (module if name is None else f"{module}.{name}"), None
        if module not in sources or (module, name) in seen:
            return set()
        if name is not None and any(other.startswith(f"{module}.") for other in sources):  # a package, and a name
            for source, given, known_as in imported[module]:
                if known_as in (name, "*") or name == "*":
                    found = defining(source, name if known_as == "*" else given, seen | {(module, name)})
                    if found and name != "*":
                        return found
        return {module}

    edges = {
        module: set().union(*(defining(source, given) for source, given, _ in imported[module])) for module in sources
    }
    return {_short(module): {_short(other) for other in found - {module}} for module, found in edges.items()}


def _short(module: str) -> str:
    return module.partition(".")[2] or "__init__"


def _imports(tree: ast.AST) -> Iterator[tuple[str, str | None, str]]:
    """Of every import the module, the name in it, if one is given, and what it is called here."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not read here"
            yield from ((node.module, alias.name, alias.asname or alias.name) for alias in node.names)


def circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """Sets of nodes that all lead to each other (strongly connected components of more than one)."""
    reachable = {node: _reachable(edges, node) for node in edges}
    found: list[set[str]] = []
    for node in edges:
        circle = {other for other in reachable[node] if node in reachable[other]}
        if len(circle) > 1 and circle not in found:
            found.append(circle)
    return found


def _reachable(edges: dict[str, set[str]], start: str) -> set[str]:
    found, todo = set(), [start]
    while todo:
        for node in edges.get(todo.pop(), ()):
            if node not in found:
                found.add(node)
                todo.append(node)
    return found
