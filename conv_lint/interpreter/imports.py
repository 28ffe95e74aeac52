"""Import statements: names of the project are bound lazily, when they are first read."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import libcst as cst

from conv_lint.interpreter import assign
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.namespace import LazyImport, Namespace, load
from conv_lint.interpreter.objects import MISSING, Frame
from conv_lint.project import absolute
from conv_lint.tree import dotted


def run_import(machine: Machine, frame: Frame, node: cst.Import) -> None:
    for alias in node.names:
        name = dotted(alias.name)
        if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
            assign.bind(machine, frame, alias.asname.name.value, LazyImport(name, None))
        else:
            assign.bind(machine, frame, name.partition(".")[0], LazyImport(name.partition(".")[0], None))


def run_import_from(machine: Machine, frame: Frame, node: cst.ImportFrom) -> None:
    module = dotted(node.module)
    if node.relative:
        module = absolute(frame.namespace.package, "." * len(node.relative), module)
    if isinstance(node.names, cst.ImportStar):
        _import_star(machine, frame, module)
        return
    for alias in node.names:
        name = dotted(alias.name)
        target = alias.asname.name if alias.asname is not None else alias.name
        if isinstance(target, cst.Name):
            assign.bind(machine, frame, target.value, LazyImport(module, name))


def instead(machine: Machine, node: cst.Try) -> cst.ExceptHandler | None:
    """What a program has where a package is not there, if it defines that itself.

    ``try: from apex.normalization import FusedLayerNorm`` with a class of that name behind ``except ImportError``: the
    class says what the other does.
    """
    lines = [small for line in node.body.body if isinstance(line, cst.SimpleStatementLine) for small in line.body]
    asked = [small for small in lines if isinstance(small, cst.ImportFrom) and not small.relative]
    if len(asked) != len(lines) or len(lines) != len(node.body.body) or not asked:
        return None
    if not any(_is_absent(machine, dotted(small.module)) for small in asked):
        return None
    names = {target for small in asked for target in _bound(small)}
    for handler in node.handlers:
        defined = {s.name.value for s in handler.body.body if isinstance(s, (cst.ClassDef, cst.FunctionDef))}
        if names and names <= defined:
            return handler
    return None


def _is_absent(machine: Machine, module: str) -> bool:
    """Is a module neither known by rules of ours nor to be read?"""
    top = module.partition(".")[0]
    known = machine.project.is_opaque(module) or top in sys.stdlib_module_names
    return not known and machine.project.find(module) is None


def _bound(node: cst.ImportFrom) -> Iterator[str]:
    for alias in node.names if not isinstance(node.names, cst.ImportStar) else ():
        target = alias.asname.name if alias.asname is not None else alias.name
        if isinstance(target, cst.Name):
            yield target.value


def _imports_from(found: Namespace, other: Namespace) -> bool:
    """Does a package take over names of one of its modules that takes over the package's?"""
    linted: str = found.machine.project.name
    return any(name.startswith(f"{found.name}.") for name in (other.name, linted))


def _import_star(machine: Machine, frame: Frame, module: str) -> None:
    if frame.namespace.outline is not None and frame is frame.namespace.frame:
        frame.namespace.stars.append(module)
        return
    found = load(machine, module)
    if found is None or found is frame.namespace:
        return
    for name in found.star_names():
        value = found.frame.locals.get(name, MISSING)
        if isinstance(value, LazyImport) and value.loading:
            continue  # the very name that led here: Python has not bound it yet
        if value is MISSING and name in frame.locals and _imports_from(found, frame.namespace):
            continue  # packages that take names over from each other: it may be this very one
        assign.bind(machine, frame, name, LazyImport(module, name) if value is MISSING else value)
