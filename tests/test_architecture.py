"""The house stands as drawn: direction of imports, who imports what, and what an import costs."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ofox_middleware

PACKAGE = Path(ofox_middleware.__file__).parent
TESTS = Path(__file__).parent

# A file may import only files above it.
ORDER = """
    types cards decision errors settings_file settings redis_urls variables
    model_names tables abilities model_map providers model_facts catalog pools
    tokens shape harness messages skim trajectory signals courtesies plain_text features packed_rows heads difficulty
    failures lacks adapting windows latency breaker fleet model_health leases health turns outage envelope sharing
    lack_book sessions rules scoring staying judging observers router reload
    attempts ledger
    members body splice headers sniff hollow replies replay guard patience answer exchange hedging dispatch beside asgi
    plugin_state litellm_registry litellm_facts litellm_pool litellm_stamp litellm_events litellm_spans
    litellm_adapting litellm_routed
    litellm_retries litellm_beginning litellm_patience litellm_wildcards litellm_stream litellm_private
    litellm_keeper litellm_tags
    litellm_keys litellm_memory litellm_usage
    litellm_access litellm_limits litellm_reach litellm_shapes
    litellm_proxy litellm_hook litellm_plain litellm_attach litellm_setup litellm_plugin
    savings redaction decision_file decision_store metrics tracing console_access console_feed
    console_wire console_live console
    gateway_access gateway_requests gateway_errors gateway_answers gateway simulated demo tour
    regress tune_fit tune_quality tune labelled
    server explain bench bench_speed check render progress site starter completion commands commands_serve cli
""".split()  # noqa: SIM905 - the rows are rooms of the house
ONLY_IN = {
    "litellm": {"litellm_plugin", "gateway", "demo", *(name for name in ORDER if name.startswith("litellm_"))},
    "aiocache": {"sharing"},
    "rich": {"render"},
    "uvicorn": {"server"},
    "numpy": set[str](),
}
PUBLIC = {
    "Classifier", "Decision", "Difficulty", "HealthBook", "ModelCard", "OfoxError", "OfoxMiddleware", "Outcome",
    "Preference", "Profile", "Settings", "Signals", "SmartRouter", "__version__",
}  # fmt: skip


@functools.cache
def modules() -> dict[str, ast.Module]:
    return {path.stem: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.glob("*.py"))}


def imported(tree: ast.AST) -> set[str]:
    """Every dotted name that ``tree`` imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def defined(tree: ast.Module) -> set[str]:
    """The names that a module defines, those of its classes as ``Class.name``."""
    names: set[str] = set()
    for node in tree.body:
        names |= bound(node)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for inside in ast.walk(node) for name in bound(inside)}
    return names


def bound(node: ast.AST) -> set[str]:
    """The names that one statement defines."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    named = {target.id for target in targets if isinstance(target, ast.Name)}
    return named | {target.attr for target in targets if isinstance(target, ast.Attribute)}


def leads_somewhere(target: str, known: dict[str, set[str]]) -> bool:
    """Whether ``module``, ``module.name`` or ``module.Class.name`` exists."""
    module, _, name = target.partition(".")
    return module in known and (not name or name in known[module])


@pytest.mark.parametrize("name", sorted(set(modules()) - {"__init__", "__main__"}))
def test_imports_point_up(name: str) -> None:
    """A file imports only what stands above it in the house."""
    assert name in ORDER, f"{name}.py has no place in ORDER"
    for target in imported(modules()[name]):
        package, _, rest = target.partition(".")
        if package == "ofox_middleware" and rest:
            above = rest.partition(".")[0]
            if above in modules():
                assert ORDER.index(above) < ORDER.index(name), f"{name} imports {above}"


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_heavy_libraries_have_one_place(library: str) -> None:
    """A heavy library is imported only in the files that exist for it."""
    users = {name for name, tree in modules().items() if any(t.partition(".")[0] == library for t in imported(tree))}
    assert users <= ONLY_IN[library]


@pytest.mark.parametrize("module", ["ofox_middleware", "ofox_middleware.asgi", "ofox_middleware.cli"])
def test_import_stays_light(module: str) -> None:
    """Importing the package, the ASGI door or the command line loads no heavy library."""
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"litellm", "numpy", "rich", "aiocache", "redis", "uvicorn", "openai", "fastapi"}


def test_public_names() -> None:
    """The public names are these and no others, and each one exists."""
    assert set(ofox_middleware.__all__) == PUBLIC
    assert all(getattr(ofox_middleware, name) is not None for name in PUBLIC)


def test_every_test_says_what_it_pins() -> None:
    """Each test has a docstring: one sentence on the behaviour it pins."""
    silent = [
        f"{path.relative_to(TESTS)}:{node.lineno}"
        for path in sorted(TESTS.rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent


def test_references_in_docstrings_lead_somewhere() -> None:
    """What a docstring refers to by its full name exists where it says."""
    known = {name: defined(tree) for name, tree in modules().items()}
    lost = [
        f"{name}.py: {target}"
        for name in known
        for target in re.findall(r":\w+:`~?ofox_middleware\.([\w.]+)`", (PACKAGE / f"{name}.py").read_text("utf-8"))
        if not leads_somewhere(target, known)
    ]
    assert not lost


def test_tests_that_pages_name_exist() -> None:
    """A page that names a test as its proof names one that is there."""
    lost = []
    for page in sorted(TESTS.rglob("*.md")):
        for file, test in re.findall(r"`([\w/]+\.py)::(\w+)", page.read_text("utf-8")):
            path = TESTS / file
            if not path.is_file() or f"def {test}(" not in path.read_text("utf-8"):
                lost.append(f"{page.name}: {file}::{test}")
    assert not lost
