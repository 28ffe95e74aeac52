"""Import statements: names of the project are bound lazily, when they are first read."""

from __future__ import annotations

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
