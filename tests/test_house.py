"""The laws of the house, read from the imports and held by fresh processes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "headstart"

# A room imports only rooms that stand before it.
ROOMS = (
    *("version", "errors", "storage", "progress", "machine", "recipe", "evaluation", "data", "backbones", "features"),
    *("training", "classifier", "runs", "study", "report", "serve", "api", "estimator", "doctor", "options"),
    *("terminal", "prediction_job", "cli"),
)
MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))

KERAS_ROOMS = ("backbones/", "features/", "training/", "classifier/export/")
OPENVINO_ROOMS = ("features/", "classifier/")
HEAVY = ("keras", "tensorflow", "jax", "torch", "sklearn", "scipy", "matplotlib")
STUDY_ONLY = (*HEAVY, "h5py", "jinja2", "tomli_w", "threadpoolctl")

UNSEEN_BY_HELP = {*HEAVY, "openvino", "numpy", "PIL"}

RESULT_FILES = re.compile(
    r"(study\.toml|environment\.json|images\.csv|folds\.csv|audit\.json|results\.csv|history\.csv"
    r"|doubts\.csv|predictions\.csv(\.gz)?|summary\.json|timings\.json|log\.jsonl|report\.html)"
)
COMMITTED = ("src", "tests", "benchmarks", "docs", "examples", ".ci")
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".html", ".json", ".css", ".js", ".svg", ""}
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|root|opt|tmp/w|home/\w+)/\w")
# written in two parts, so that this file does not break its own law
REGISTRIES = [first + second for first, second in (("py", "pi.org"), ("python", "hosted.org"), ("npm", "js.org"))]


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module name; ``for_types``: under TYPE_CHECKING, so it never runs."""

    name: str
    for_types: bool


def imports_of(module: str) -> list[Import]:
    tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
    return list(_imports(tree, for_types=False))


def _imports(node: ast.AST, *, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, for_types) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            yield from (Import(f"{child.module}.{alias.name}", for_types) for alias in child.names)
        elif isinstance(child, ast.Call) and ast.unparse(child.func).endswith("import_module"):
            yield Import(ast.literal_eval(child.args[0]), for_types)
        else:
            types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from _imports(child, for_types=for_types or types)


def packages_of(module: str) -> set[str]:
    """Return the first names of what a module imports when it runs."""
    return {found.name.split(".")[0] for found in imports_of(module) if not found.for_types}


def own_modules_of(module: str) -> set[str]:
    """Return the modules of headstart, as paths, that a module imports, for types too."""
    found = set()
    for one in imports_of(module):
        parts = one.name.split(".")
        if parts[0] == "headstart":
            while parts and not (path := module_path(parts)):
                parts = parts[:-1]
            found.add(path)
    return found


def module_path(parts: list[str]) -> str | None:
    inside = "/".join(parts[1:])
    for path in (f"{inside}.py", f"{inside}/__init__.py".lstrip("/")):
        if path in MODULES:
            return path
    return None


def room_of(module: str) -> str:
    return module.split("/")[0].removesuffix(".py")


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_every_room_has_its_place():
    assert {room_of(module) for module in MODULES} - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("module", [module for module in MODULES if module != "__init__.py"])
def test_no_import_runs_up(module):
    allowed = ROOMS[: ROOMS.index(room_of(module)) + 1]
    above = {name for name in own_modules_of(module) - {"__init__.py"} if room_of(name) not in allowed}
    assert not above


def test_no_circle():
    order: list[str] = []

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"circle: {' -> '.join((*path, module))}"
        if module not in order:
            for other in sorted(own_modules_of(module) - {module}):
                visit(other, (*path, module))
            order.append(module)

    for module in MODULES:
        visit(module, ())
    assert sorted(order) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_engines_stay_in_their_rooms(module):
    used = packages_of(module)
    if not module.startswith(KERAS_ROOMS):
        assert not used & {"keras", "tensorflow", "jax", "torch"}
        assert "headstart.backbones.engine.keras_module" not in {found.name for found in imports_of(module)}
    if not module.startswith(OPENVINO_ROOMS):
        assert "openvino" not in used


@pytest.mark.parametrize("module", MODULES)
def test_one_module_opens_images_and_one_opens_pretrained_weights(module):
    text = (SOURCE / module).read_text(encoding="utf-8")
    if module != "data/decode.py":
        assert "Image.open" not in text
    if module != "backbones/weights.py":
        assert "h5py" not in packages_of(module)
        assert "load_weights(" not in text


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith("runs/")])
def test_only_runs_knows_the_names_of_result_files(module):
    tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
    words = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    # a docstring may speak of a file; a value that is its name, or a path that ends in it, may not stand here
    assert not [word for word in words if RESULT_FILES.fullmatch(word.rpartition("/")[2])]


@pytest.mark.parametrize("module", MODULES)
def test_no_function_is_longer_than_60_lines(module):
    tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert not [node.name for node in functions if (node.end_lineno or 0) - node.lineno + 1 > 60]


@pytest.mark.parametrize(
    "imported",
    [
        *("cli", "report", "report.page", "report.several", "report.pdf", "terminal"),
        *("classifier.predict", "classifier.explanation", "runs.folder", "runs.history", "serve.app"),
    ],
)
def test_light_modules_do_not_import_networks(imported):
    code = f"import sys, headstart.{imported}; print(sorted({set(HEAVY[:4])!r} & set(sys.modules)))"
    assert run_python(code).strip() == "[]"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from click.testing import CliRunner; from headstart.cli import app; "
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0; "
        f"print(sorted({UNSEEN_BY_HELP!r} & set(sys.modules)))"
    )
    assert run_python(code).strip() == "[]"


def test_prediction_needs_only_the_base_install():
    code = (
        "import sys\n"
        f"for name in {STUDY_ONLY!r}: sys.modules[name] = None\n"
        "import headstart.cli, headstart.classifier.explanation, headstart.classifier.predict\n"
        "print('imported')"
    )
    assert run_python(code).strip() == "imported"


def committed_texts() -> Iterator[tuple[str, str]]:
    files = [path for folder in COMMITTED for path in (ROOT / folder).rglob("*")]
    for path in [*files, *ROOT.glob("*")]:
        if path.is_file() and path.suffix in TEXT_SUFFIXES and "results" not in path.parts:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8", errors="replace")


def test_no_file_names_one_machine_or_a_package_registry():
    named = {
        name: found.group(0)
        for name, text in committed_texts()
        if (found := MACHINE_PATHS.search(text) or re.search("|".join(map(re.escape, REGISTRIES)), text))
    }
    assert not named


def test_the_constraints_are_plain_pins():
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert lines and not [line for line in lines if not re.fullmatch(r"[A-Za-z0-9.-]+==[0-9][\w.]*(; .+)?", line)]


def test_every_requirement_is_pinned_and_every_import_is_required():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    tested = [*extras["cpu"], *extras["study"], *extras["serve"], *extras["export"], *extras["dev"]]
    required = {name_of(line) for line in [*project["dependencies"], *tested]}
    pinned = {name_of(line) for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()}
    assert required - {"headstart"} <= pinned
    imported = set().union(*(packages_of(module) for module in MODULES)) - set(sys.stdlib_module_names) - {"headstart"}
    distributions = {
        "PIL": "pillow",
        "sklearn": "scikit-learn",
        "tomli_w": "tomli-w",
        "python_multipart": "python-multipart",
        "pillow_heif": "pillow-heif",
        "ai_edge_litert": "ai-edge-litert",
    }
    declared = required | {name_of(line) for lines in extras.values() for line in lines}
    assert {distributions.get(name, name) for name in imported} <= declared


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=;# ]", requirement, maxsplit=1)[0].lower()
