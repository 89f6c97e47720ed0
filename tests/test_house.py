"""The house: who may import whom, read from the imports themselves."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("weights", "extract", "basnet_e2e")
# From the ground up. A room may import what is listed before it, never what is listed behind.
ROOMS = (
    "weights",
    "extract.errors",
    "extract.streams",
    "extract.machine",
    "extract.sources",
    "extract.video",
    "extract.preprocessing",
    "extract.flow",
    "extract.backbones",
    "extract.features",
    "extract.inference",
    "extract.pipeline",
    "extract.jobs",
    "extract",
    "basnet_e2e.version",
    "basnet_e2e.errors",
    "basnet_e2e.package_conflicts",
    "basnet_e2e.display",
    "basnet_e2e.intervals",
    "basnet_e2e.data",
    "basnet_e2e.demo",
    "basnet_e2e.heads",
    "basnet_e2e.interchange",
    "basnet_e2e.evaluation",
    "basnet_e2e.localization",
    "basnet_e2e.training",
    "basnet_e2e.report",
    "basnet_e2e.reproduction",
    "basnet_e2e.studio",
    "basnet_e2e.cli",
    "basnet_e2e.__main__",
    "basnet_e2e",
)
MOST_FLOORS = 9
HEAVY = ("torch", "torchvision", "decord", "av", "numba", "matplotlib", "scipy", "numpy", "cv2")
# Modules whose names are public: they import from every room of theirs, and no room imports them.
FACES = ("basnet_e2e", "extract")


@cache
def modules():
    """Module name -> file."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def names_of(node, module):
    """Modules of the three packages that an import statement names."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{module} imports relative to itself"
        inner = {f"{node.module}.{alias.name}" for alias in node.names}
        # ``from package import module`` is that module; anything else is a name of ``package``.
        return {name if name in modules() else node.module for name in inner}
    return set()


@cache
def imports():
    """Module -> modules of ours that it imports, at the top, within functions or for types."""
    graph = {}
    for module, path in modules().items():
        used = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            used |= names_of(node, module)
        graph[module] = {name for name in used if name in modules() and name != module}
    return graph


def room_of(module):
    """The room of a module; the faces of packages are rooms of their own, and no more than that."""
    for room in ROOMS:
        if module == room or (room not in FACES and module.startswith(room + ".")):
            return room
    return None


def circles():
    """Groups of modules that import each other (Tarjan's strongly connected components)."""
    index, low, stack, found = {}, {}, [], []

    def visit(module):
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in imports()[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = []
            while not group or group[-1] != module:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for module in imports():
        if module not in index:
            visit(module)
    return found


def test_no_circle():
    assert circles() == []


def test_every_module_stands_in_a_room():
    homeless = [m for m in modules() if room_of(m) is None]
    assert homeless == []


@pytest.mark.parametrize("module", sorted(modules()))
def test_no_arrow_up(module):
    own = ROOMS.index(room_of(module))
    upwards = [other for other in imports()[module] if ROOMS.index(room_of(other)) > own]
    assert upwards == []


@pytest.mark.parametrize("package", PACKAGES)
def test_nine_floors_or_fewer(package):
    """A room is one floor above the highest room of its package that it imports."""
    floors = {}
    for room in (room for room in ROOMS if room.split(".")[0] == package and room not in FACES):
        below = {
            room_of(other)
            for module, used in imports().items()
            if room_of(module) == room
            for other in used
        } - {room}
        floors[room] = 1 + max((floors.get(other, 0) for other in below), default=0)
    assert max(floors.values(), default=0) <= MOST_FLOORS, floors


def test_help_imports_nothing_heavy():
    program = (
        "import sys; sys.argv = ['basnet', '--help']\n"
        "from basnet_e2e.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted(set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "Commands:" in done.stdout
    loaded = set(ast.literal_eval(done.stderr.strip().splitlines()[-1]))
    assert "click" in loaded
    assert sorted(loaded & set(HEAVY)) == []


def test_every_module_imports():
    """A name that exists for type checkers alone is missed by them when it is imported to run."""
    names = sorted(modules().keys() - {"basnet_e2e.__main__"})
    program = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    subprocess.run([sys.executable, "-c", program, *names], check=True, timeout=600)
