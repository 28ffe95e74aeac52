"""The names of a module: the linted file, whose top level is run in order, and imported files, run as needed."""

from __future__ import annotations

import builtins
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conv_lint.interpreter.objects import MISSING, Frame, ProjectModule
from conv_lint.project import Outline, Statement
from conv_lint.values import Dict, List, Unknown, Value

if TYPE_CHECKING:
    from conv_lint.interpreter.machine import Machine


@dataclass(eq=False)
class LazyImport:
    """``from module import name``, not followed yet."""

    module: str
    name: str | None
    loading: bool = False
    value: Value = MISSING

    def load(self, machine: Machine) -> Value:
        """The value; of an import that leads back to itself, the submodule of this name, else unknown."""
        if self.value is MISSING:
            value = self._load(machine)
            if self.loading:
                return value
            self.value = value
        return self.value

    def _load(self, machine: Machine) -> Value:
        if self.loading:
            found = load(machine, f"{self.module}.{self.name}") if self.name is not None else None
            if found is not None:  # ``from package import part`` in the package itself
                return ProjectModule(found)
            return Unknown(f"the import of {self.name or self.module} leads back to itself")
        self.loading = True
        try:
            if self.name is None:
                return import_name(machine, self.module)
            return import_from(machine, self.module, self.name)
        finally:
            self.loading = False


class Namespace:
    """The top-level names of one file.

    Of an imported file only those statements are run that bind or change a name that someone asks for, in their order,
    outside every branch of the program that asks.
    """

    def __init__(self, machine: Machine, name: str, path: str, outline: Outline | None = None) -> None:
        self.machine, self.name, self.path, self.outline = machine, name, path, outline
        self.frame = Frame(machine.tree, self)
        self.started: set[int] = set()
        self.stars: list[str] = []  # modules whose names it takes over by ``import *``, looked up when one is asked for
        self.is_folder = os.path.basename(path) == "__init__.py" or os.path.isdir(path)
        self.asked: set[str] = set()
        self.settled: set[str] = set()  # names of which every statement was run
        self.absent: set[str] = set()  # names that neither a statement nor ``import *`` brings

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        return self.name if self.is_folder else self.name.rpartition(".")[0]

    def get(self, name: str) -> Value:
        """The value of a name, or :data:`MISSING`; an import is followed now."""
        value = self._raw(name)
        if isinstance(value, LazyImport):
            value = value.load(self.machine)
            self.frame.locals[name] = value
        return value

    def _raw(self, name: str) -> Value:
        if self.outline is not None and name not in self.settled:
            self.settled.add(name)
            new = [statement for statement in self.outline.about(name) if statement.first not in self.started]
            for statement in new:
                self._run(statement)
            if new:
                _open_registry(self.frame.locals.get(name), self.path)
        if name in self.frame.locals:
            return self.frame.locals[name]
        if self.outline is None:
            return MISSING
        value = self._from_star(name) if name not in self.absent else MISSING
        return value if value is not MISSING else self._submodule(name)

    def _from_star(self, name: str) -> Value:
        """The value of a name that an ``import *`` brings, the last one if several do."""
        if name in self.asked or name.startswith("__") or hasattr(builtins, name):
            return MISSING  # asked already: the modules take names over from each other
        self.asked.add(name)
        try:
            self._run_stars()
            for module in reversed(self.stars):
                if name in self.frame.locals:
                    return self.frame.locals[name]
                if self.machine.project.may_bring(module, name, {self.name}):
                    found = load(self.machine, module)
                    value = found.get(name) if found is not None and found.exports(name) else MISSING
                    if value is not MISSING:
                        return self.frame.locals.setdefault(name, value)
        finally:
            self.asked.discard(name)
        self.absent.add(name)
        return MISSING

    def _run_stars(self) -> None:
        assert self.outline is not None
        for statement in self.outline.statements:
            if statement.star_import:
                self._run(statement)

    def exports(self, name: str) -> bool:
        """Would ``from module import *`` bring this name, if the module has it?"""
        declared = self._declared()
        return name in declared if declared is not None else not name.startswith("_")

    def _declared(self) -> list[str] | None:
        """``__all__``, if it is there and known."""
        declared = self.get("__all__")
        if not isinstance(declared, List) or declared.open:
            return None
        return [n for n in declared.items if isinstance(n, str)]

    def star_names(self) -> list[str]:
        """The names that ``from module import *`` would bring."""
        declared = self._declared()
        if declared is not None:
            return declared
        if self.outline is None:
            return [n for n in self.frame.locals if not n.startswith("_")]
        names = [n for s in self.outline.statements for n in sorted(s.binds)]
        if "*" not in self.asked:
            self.asked.add("*")
            self._run_stars()
            for module in self.stars:
                found = load(self.machine, module)
                names += found.star_names() if found is not None else ()
            self.asked.discard("*")
        return [n for n in dict.fromkeys([*names, *self.frame.locals]) if not n.startswith("_") and n != "*"]

    def _submodule(self, name: str) -> Value:
        if not self.is_folder:
            return MISSING
        found = load(self.machine, f"{self.name}.{name}")
        return ProjectModule(found) if found is not None else MISSING

    def _run(self, statement: Statement) -> None:
        from conv_lint.interpreter.machine import PythonRaise
        from conv_lint.interpreter.statements import execute_block

        if statement.first in self.started:
            return
        self.started.add(statement.first)
        assert self.outline is not None
        tree = self.outline.tree(statement)
        if tree is None:
            return
        self.machine.journal.memory.outlast()
        before, self.frame.tree = self.frame.tree, tree
        try:
            with self.machine.isolated():
                execute_block(self.machine, self.frame, tree.module.body)
        except PythonRaise:
            pass
        finally:
            self.frame.tree = before


def _open_registry(value: Value, path: str) -> None:
    """An empty list or dict at the top level of an imported file is there to be filled, by files not read here."""
    if isinstance(value, (List, Dict)) and not value.items and not value.open:
        value.open = "is filled from elsewhere"
        if isinstance(value, Dict):
            value.home = path


#: What the dict of ``globals()`` holds besides what has been asked for.
NAMES = "the names of a module"


def names_of(namespace: Namespace) -> Dict:
    """``globals()``, or the ``__dict__`` of a module."""
    made = Dict({n: v for n, v in namespace.frame.locals.items() if not isinstance(v, LazyImport)}, NAMES)
    made.home = namespace.path
    return made


def registered(machine: Machine, registry: Dict, name: object) -> Value:
    """The function or class that a decorator puts into a registry under its own name, or :data:`MISSING`.

    It stands in a file of the folder of the registry.  ``globals()`` is one, of the names of its own file.
    """
    if registry.home is None or not isinstance(name, str) or not name.isidentifier():
        return MISSING
    for namespace in list(machine.namespaces.values()):
        if namespace is not None and namespace.path == registry.home:
            if registry.others == NAMES:
                return namespace.get(name)
            module = machine.project.defines(os.path.dirname(registry.home), name)
            found = load(machine, f"{namespace.package}.{module}") if module is not None else None
            return found.get(name) if found is not None else MISSING
    return MISSING


def load(machine: Machine, name: str) -> Namespace | None:
    """The namespace of the module with this dotted name, or ``None`` if its source is not to be had."""
    if name in machine.namespaces:
        found: Namespace | None = machine.namespaces[name]
        return found
    machine.namespaces[name] = None
    path = machine.project.find(name)
    if path is None:
        return None
    if path == machine.project.path:
        machine.namespaces[name] = machine.namespaces["__main__"]
    elif os.path.isdir(path):
        machine.namespaces[name] = Namespace(machine, name, path, Outline(path, "", []))
    else:
        outline = machine.project.outline(path)
        if outline is not None:
            machine.namespaces[name] = Namespace(machine, name, path, outline)
    return load(machine, name)


def import_name(machine: Machine, name: str) -> Value:
    """What ``import name`` makes: a module of the project, a library's name, or unknown."""
    from conv_lint.interpreter.libraries import library

    found = load(machine, name)
    if found is not None:
        return ProjectModule(found)
    return library(name)


def import_from(machine: Machine, module: str, name: str) -> Value:
    """What ``from module import name`` makes."""
    from conv_lint.interpreter.libraries import library

    found = load(machine, module)
    if found is None or machine.project.is_opaque(f"{module}.{name}"):
        return library(f"{module}.{name}")
    value = found.get(name)
    if value is not MISSING:
        return value
    inner = load(machine, f"{module}.{name}")
    return ProjectModule(inner) if inner is not None else Unknown(f"{module} has no {name}")
