"""What the rest of the project does with a file: the models and programs that use its classes and functions.

A file of blocks does not say which numbers its blocks are given; the models of its neighbours do.  Whatever the file
itself has not run is run from them: their scripts, their factories, their classes, the nearest first, until each
definition has been used a few times.  What is wrong is said here only where this file has written it.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import libcst as cst

from conv_lint.importers import File, Importers
from conv_lint.interpreter import entries, rounds
from conv_lint.interpreter.machine import Machine, OutOfBudget, PythonRaise, TooLong
from conv_lint.interpreter.namespace import Namespace, load
from conv_lint.interpreter.objects import MISSING, Class, Frame, Function
from conv_lint.interpreter.statements import execute_block
from conv_lint.project import Statement
from conv_lint.tree import Tree
from conv_lint.values import Value

#: What all users of a file may cost together: seconds of the processor, entries; and one entry: steps.
SECONDS, MOST_ENTRIES, STEPS = 2.0, 12, 100_000
#: Functions alone are worth less: most of them only look after what the models do.
SECONDS_OF_FUNCTIONS = 0.3
#: A definition that so many entries might have used, and have not, is given up.
FRUITLESS = 3
#: A definition has been seen enough with so many points: an entry whose numbers are all known gives two, any other one.
ENOUGH = 4
#: So many files may lie between a definition and the program that uses it.
DEPTH = 3
_WORD = re.compile(r"\w+")
_TEXTS = re.compile(r"\"{3}.*?\"{3}|'{3}.*?'{3}|\"(?:\\.|[^\"\n])*\"|'(?:\\.|[^'\n])*'|#[^\n]*", re.DOTALL)
_DEFINES = re.compile(r"\s*(?:@.*\n\s*)*(?:async\s+)?(def|class)\s")


@dataclass(frozen=True)
class Use:
    """A top-level statement of another file, and which definitions it reaches, directly or through others of its
    file."""

    file: File
    namespace: Namespace
    statement: Statement
    reaches: frozenset[str]


def run_users(machine: Machine, wanted: dict[str, Value]) -> None:
    """Run what uses the definitions ``wanted``, which nobody in the file itself has run."""
    limits, stopped, count = machine.limits, machine.stop, 0
    points: Counter[str] = Counter()
    tries: Counter[str] = Counter()
    spent = time.thread_time() - machine.started
    seconds = SECONDS if any(isinstance(value, Class) for value in wanted.values()) else SECONDS_OF_FUNCTIONS
    machine.limits = replace(limits, seconds=min(limits.seconds, spent + seconds))
    machine.visiting, found, known = True, len(machine.findings), set[str]()
    machine.exercised -= machine.of_defaults.keys()
    with contextlib.suppress(OutOfBudget, PythonRaise, RecursionError):  # what the file itself has shown stays
        for use in _uses(machine, wanted, points):
            if count >= MOST_ENTRIES or machine.stop:
                break
            if any(points[name] < ENOUGH for name in use.reaches):
                used = _run(machine, use, wanted, points)
                known |= {name for name in used or () if points[name] > 1}
                count += bool(used)
                tries.update(use.reaches - used if used is not None else ())
                given_up = (name for name, number in tries.items() if number >= FRUITLESS and not points[name])
                points.update(dict.fromkeys(list(given_up), ENOUGH))
    machine.visiting, machine.limits, machine.stop = False, limits, stopped
    _excuse_defaults(machine, known, found)


def _excuse_defaults(machine: Machine, known: set[str], found: int) -> None:
    """Forget what was found of a class with its own defaults, if those who use it give it other numbers, and nothing is
    wrong then."""
    seen = {(finding.code, finding.position) for finding in machine.findings[found:]}
    codes = {finding.code for finding in machine.findings[found:] if finding.of_user}
    for made, findings in machine.of_defaults.items():
        if made.name in known and made in machine.exercised:
            excused = {id(f) for f in findings if (f.code, f.position) not in seen and f.code not in codes}
            machine.findings = [finding for finding in machine.findings if id(finding) not in excused]


def _uses(machine: Machine, wanted: dict[str, Value], points: Counter[str]) -> Iterator[Use]:
    """What uses the definitions, the nearest files first; further ones as long as a definition has too few points."""
    project = machine.project
    finder = Importers(project)
    seen = {project.path}
    level = [(File(project.path, project.name), {name: frozenset({name}) for name in wanted})]
    for _ in range(DEPTH):
        following: list[tuple[File, dict[str, frozenset[str]]]] = []
        for target, leads in level:
            for file, bound in finder.of(target, leads):
                names = {name: frozenset().union(*(leads[n] for n in to)) for name, to in bound.items()}
                if file.path in seen or all(points[n] >= ENOUGH for n in frozenset().union(*names.values())):
                    continue
                if time.thread_time() - machine.started > machine.limits.seconds:
                    return
                seen.add(file.path)
                uses = _of_file(machine, file, names)
                following.append((file, names | {n: use.reaches for use in uses for n in use.statement.binds}))
                yield from _in_order(uses)
        level = following


def _of_file(machine: Machine, file: File, names: dict[str, frozenset[str]]) -> list[Use]:
    """The statements of a file that reach something by its ``names``, each of which leads to definitions."""
    namespace = load(machine, file.module)
    if namespace is None or namespace.outline is None or namespace.path != file.path:
        return []
    lines, leads = namespace.outline.lines, dict(names)
    words = [(s, _names("".join(lines[s.first - 1 : s.last]))) for s in namespace.outline.statements]
    found: dict[int, frozenset[str]] = {}
    while True:
        before = sum(map(len, found.values()))
        for statement, own in words:
            reached = frozenset().union(*(leads[name] for name in own & leads.keys()))
            if reached and not lines[statement.first - 1].lstrip().startswith(("import ", "from ")):
                found[statement.first] = reached
                for name in statement.binds:
                    leads[name] = leads.get(name, frozenset()) | reached
        if sum(map(len, found.values())) == before:
            break
    return [Use(file, namespace, s, found[s.first]) for s, _ in words if s.first in found]


def _names(text: str) -> set[str]:
    """The words of a statement outside its texts and comments: tables of the names of models use none of them."""
    return set(_WORD.findall(_TEXTS.sub(" ", text)))


def _in_order(uses: Iterable[Use]) -> Iterator[Use]:
    """What makes up nothing first: statements, then functions, then classes from the last, which is the outermost."""
    kinds: dict[str, list[Use]] = {"": [], "def": [], "class": []}
    for use in uses:
        assert use.namespace.outline is not None
        found = _DEFINES.match("".join(use.namespace.outline.lines[use.statement.first - 1 : use.statement.last]))
        kinds[found.group(1) if found else ""].append(use)
    yield from kinds[""]
    yield from kinds["def"]
    yield from reversed(kinds["class"])


def _run(machine: Machine, use: Use, wanted: dict[str, Value], points: Counter[str]) -> set[str] | None:
    """Run one statement, or what it defines; returns the definitions that it has used, ``None`` if it cannot be run."""
    outline = use.namespace.outline
    tree = outline.tree(use.statement) if outline is not None else None
    if tree is None or not tree.module.body:
        return None
    node = tree.module.body[0]
    frame = Frame(tree, use.namespace)
    worth = 2
    machine.entry_start = machine.steps
    if isinstance(node, cst.FunctionDef):
        if not entries.needs_nothing(node):
            return None
        entry = partial(entries.factory, machine, frame, node, use.namespace.get(node.name.value))
    elif isinstance(node, cst.ClassDef):
        value = use.namespace.get(node.name.value)
        if not isinstance(value, Class) or not value.is_module or value in machine.exercised:
            return None
        entry, worth = partial(entries.feed_class, machine, frame, value), 1 + _has_defaults(value)
    else:
        entry = partial(_as_program, machine, use.namespace, tree)
    before, machine.used = machine.used, set()
    rounds.supposing(machine, machine.tree.module, partial(_briefly, machine, entry))
    used = {name for name, value in wanted.items() if value in machine.used}
    points.update(dict.fromkeys(used, worth))
    machine.used |= before
    return used


def _has_defaults(made: Class) -> bool:
    """Does the constructor take nothing that is not given?"""
    init = made.find("__init__")
    return not isinstance(init, Function) or all(p.default is not None for p in init.node.params.params[1:])


def _briefly(machine: Machine, entry: Callable[[], object]) -> None:
    try:
        with machine.at_most(STEPS):
            entry()
    except TooLong:
        machine.was_cut = True


def _as_program(machine: Machine, namespace: Namespace, tree: Tree) -> None:
    """Run a statement as when the file is started by itself."""
    frame = namespace.frame
    before, name = frame.tree, frame.locals.get("__name__", MISSING)
    frame.tree, frame.locals["__name__"] = tree, "__main__"
    try:
        execute_block(machine, frame, tree.module.body)
    finally:
        frame.tree = before
        del frame.locals["__name__"]
        if name is not MISSING:
            frame.locals["__name__"] = name
