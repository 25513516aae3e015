"""What a component's source says of it, read with `ast`: nothing is imported."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from attrs import frozen

from frx.specs import DATA_KINDS, HOOK_ARGUMENTS

# Kinds that work on pictures before there is a tensor.
WITHOUT_TORCH = (*DATA_KINDS, "baseline")


@frozen
class Reading:
    """A component's docstring, why it cannot be used, and what is unwise; empty: nothing."""

    documentation: str = ""
    problem: str = ""
    remark: str = ""


def read(kind: str, module: str, attribute: str, package: str) -> Reading:
    """Read the component `attribute` of a module, as far as that can be without running it."""
    try:
        path = _source(module)
        if path is None:
            return Reading(problem=f"no module {module!r}; is the package {package} still there?")
        tree = ast.parse(path.read_bytes())
    except SyntaxError as error:
        return Reading(problem=f"syntax error in {module}, line {error.lineno}")
    except Exception as error:  # a finder of another package may fail in any way
        return Reading(problem=f"{type(error).__name__}: {error}")
    imported = _imported_packages(tree)
    missing = sorted(name for name in imported if not _is_installed(name))
    problem = f"needs the package {', '.join(missing)}, not installed" if missing else ""
    problem = problem or next(_endings(tree), "")
    remark = "imports torch at its top, and data code has to do without: import it where it is used"
    remark = remark if kind in WITHOUT_TORCH and "torch" in imported else ""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            problem = problem or next(_mistaken_hooks(node), "")
            return Reading(ast.get_docstring(node) or "", problem, remark)
    if attribute in {name for node in tree.body for name in _assigned(node)}:
        return Reading(ast.get_docstring(tree) or "", problem, remark)
    return Reading(problem=problem or f"{module} has no {attribute!r}")


def _source(module: str) -> Path | None:
    """The file of a module, found without importing its parents as `find_spec` would."""
    where = None
    for name in accumulate(module.split("."), "{}.{}".format):
        spec = _find_spec(name, where)
        if spec is None:
            return None
        where = spec.submodule_search_locations
    return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None


def _find_spec(name: str, where: Any) -> Any:
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next((spec for f in finders if (spec := f.find_spec(name, where))), None)


@cache
def _is_installed(package: str) -> bool:
    return package in sys.builtin_module_names or _find_spec(package, None) is not None


def _imported_packages(tree: ast.Module) -> set[str]:
    """Top-level packages that the module imports when it is imported, outside any `try`."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _assigned(node: ast.stmt) -> set[str]:
    """Names that a statement binds by assignment or import."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _endings(tree: ast.Module) -> Iterator[str]:
    """Why importing the module is certain to end in an error."""
    for node in tree.body:
        if isinstance(node, ast.Raise) and node.exc is not None:
            yield f"raises {_error_text(node.exc)} when it is imported, line {node.lineno}"
        elif (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func) in ("sys.exit", "exit", "quit", "os._exit")
        ):
            yield f"calls {ast.unparse(node.value)} when it is imported, line {node.lineno}"


def _error_text(raised: ast.expr) -> str:
    """`RuntimeError: no CUDA` for `RuntimeError("no CUDA")`."""
    if isinstance(raised, ast.Call) and raised.args and isinstance(raised.args[0], ast.Constant):
        return f"{ast.unparse(raised.func)}: {raised.args[0].value!s}"
    return ast.unparse(raised)


def _mistaken_hooks(node: ast.ClassDef | ast.FunctionDef) -> Iterator[str]:
    """Listening to what does not exist, or with arguments that it does not have."""
    for method in node.body if isinstance(node, ast.ClassDef) else ():
        if not isinstance(method, ast.FunctionDef) or not any(map(_is_mark, method.decorator_list)):
            continue
        there = HOOK_ARGUMENTS.get(method.name)
        if there is None:
            known = ", ".join(HOOK_ARGUMENTS)
            yield f"listens to {method.name}, which does not exist; there is {known}"
            continue
        given = [argument.arg for argument in method.args.args[1:]]
        if wrong := [name for name in given if name not in there]:
            yield f"its {method.name} asks for {', '.join(wrong)}; there is {', '.join(there)}"


def _is_mark(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rpartition(".")[2] == "hookimpl"
