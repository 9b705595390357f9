"""Who imports whom: `python -m tests.architecture` prints the table of `docs/architecture.md`."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.places import ROOT

OURS = ("bench", "methods", "metrics", "cambench", "run_benchmark")
FLOORS = (
    ("bench.core", "contracts; how a network is cut and run (`core/net`)"),
    ("bench.classifiers", "networks by name, by file, in memory"),
    ("bench.data", "data sets; from a file to the network's pixels"),
    ("metrics", "one file per family of metrics"),
    ("methods", "one file per explainer; a folder per trained one"),
    ("bench.scoring", "pixels to rows: no disk, no flags"),
    ("bench.tables", "rows to a leaderboard and its files (`tables/formats`)"),
    ("bench.report", "what people see of a run: its page and its pictures"),
    ("bench.run", "plan to stored rows, by an engine (`run/engine`)"),
    ("bench.paper", "the papers' tables beside ours"),
    ("bench.inspection", "what a network looks for"),
    ("bench.plugins", "imports everything that registers"),
    ("bench.api", "evaluate, explain, results"),
    ("bench.cli", "flags, messages, exit codes"),
    ("methods.training", "trainings: what all share, and the decoder's (`methods/decoder/training`)"),
    ("bench.speed", "`python -m bench.speed`"),
    (
        "programs",
        "`bench.inspect`, `bench.remake`, `bench.scale`, `bench.coverage`, `bench.trust`, `methods.*.train`, "
        "`cambench.py`, `run_benchmark.py`",
    ),
)
"""From the ground up: a room imports from those below it only."""
PROGRAMS = ("bench.inspect", "bench.remake", "bench.trust", "bench.scale", "bench.coverage", "methods.castream.train",
            "methods.decoder.train", "methods.decoder.study", "methods.denoise.train", "methods.perception.show",
            "methods.perception.train", "methods.trigger.train",
            "methods.walls.train", "cambench", "run_benchmark")  # fmt: skip
TRAININGS = r"methods\.(\w+\.)?training\b"


def modules() -> dict[str, Path]:
    """Our modules by dotted name."""
    files = [*(file for folder in OURS[:3] for file in (ROOT / folder).rglob("*.py")),
             ROOT / "cambench.py", ROOT / "run_benchmark.py"]  # fmt: skip
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def room(module: str) -> str:
    """The room that a module lies in."""
    if module in PROGRAMS:
        return "programs"
    if re.match(TRAININGS, module):
        return "methods.training"
    first, *rest = module.split(".")
    return f"{first}.{rest[0]}" if first == "bench" and rest else first


def typing_only(tree: ast.AST) -> set[int]:
    """Nodes below `if TYPE_CHECKING`."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    return {id(child) for block in blocks for child in ast.walk(block)}


def imported(tree: ast.AST, known: Mapping[str, Path]) -> Iterator[str]:
    """Names of our modules that a module imports when it runs, anywhere in it."""
    skipped = typing_only(tree)
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def imports() -> dict[str, set[str]]:
    """By module, the modules of ours that it imports."""
    known = modules()
    return {name: {other for other in imported(ast.parse(file.read_text()), known) if other in known and other != name}
            for name, file in known.items()}  # fmt: skip


def between_rooms() -> dict[str, dict[str, list[tuple[str, str]]]]:
    """By room, the rooms that it imports from, with the pairs of modules."""
    found: dict[str, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for module, others in imports().items():
        for other in others:
            if room(module) != room(other) and room(other) != "bench":
                found[room(module)][room(other)].append((module, other))
    return found


def circles(graph: Mapping[str, set[str]]) -> list[str]:
    """Nodes that can be reached from themselves."""

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        queue = [start]
        while queue:
            for other in graph.get(queue.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
        return seen

    return sorted(node for node in graph if node in reachable(node))


def upward() -> list[str]:
    """Imports from a room that does not lie below."""
    floor = {name: number for number, (name, _) in enumerate(FLOORS)}
    return sorted(
        f"{module} imports {other}"
        for source, targets in between_rooms().items()
        for target, pairs in targets.items()
        if floor[target] >= floor[source]
        for module, other in pairs
    )


def named_by_string() -> list[str]:
    """Imports of our own modules by a name in quotes."""
    found = []
    for name, file in modules().items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
                named = node.args[0] if node.args else None
                if isinstance(named, ast.Constant) and str(named.value).split(".")[0] in OURS:
                    found.append(f"{name} imports {named.value!r} by its name")
    return found


def table() -> str:
    """Markdown: the rooms from the top down, and what each imports from."""
    graph = between_rooms()
    lines = ["| room | what is in it | imports from |", "| --- | --- | --- |"]
    for name, what in reversed(FLOORS):
        others = ", ".join(f"{other} ({len(pairs)})" for other, pairs in sorted(graph.get(name, {}).items())) or "–"
        lines.append(f"| {name} | {what} | {others} |")
    rooms = {name: set(targets) for name, targets in graph.items()}
    arrows = sum(map(len, rooms.values()))
    counts = [
        f"{len(FLOORS)} rooms, {arrows} arrows between them",
        f"circles between rooms: {len(circles(rooms))}, between modules: {len(circles(imports()))}",
        f"arrows upward: {len(upward())}",
    ]
    return "\n".join([*lines, "", "; ".join(counts) + "."])


if __name__ == "__main__":
    print(table())
