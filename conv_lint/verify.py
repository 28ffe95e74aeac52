"""The shapes that the interpreter reads beside those that torch computes, layer call by layer call.

The static half of ``conv-lint verify`` and the comparison.  Nothing is executed here; ``runtime/verify.py`` runs the
user's code.
"""

from __future__ import annotations

import ast
import collections
import keyword
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conv_lint import dims
from conv_lint.check import RECURSION
from conv_lint.config import ConfigError
from conv_lint.dims import Dim
from conv_lint.finding import Place
from conv_lint.interpreter.entries import start
from conv_lint.interpreter.machine import LayerCall, Limits, Machine, OutOfBudget, PythonRaise
from conv_lint.interpreter.modules import CONTAINERS, walk
from conv_lint.interpreter.objects import Instance
from conv_lint.interpreter.statements import execute
from conv_lint.project import OPAQUE, Project
from conv_lint.tree import Tree
from conv_lint.values import Dict, List, Tensor, Unknown, Value

LIMITS = Limits(steps=50_000_000, entry_steps=50_000_000, seconds=120)
#: Said of code that torch runs, so no contradiction to a forward that works.
SAID_OF_WORKING_CODE = re.compile(r"CONV(301|302|407|5..|9..)\Z")

# what is asked ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A class, function or instance: ``name`` in the module that is called ``module``.

    ``file``: its path, if a file was named.  ``folders``: where imports are looked up first.
    """

    text: str
    module: str
    name: str
    folders: tuple[str, ...]
    file: str | None = None


@dataclass(frozen=True)
class Input:
    """The shape of an argument of forward, perhaps with the name of its parameter and a dtype of torch's."""

    sizes: tuple[int, ...]
    name: str | None = None
    dtype: str | None = None


def parse_target(text: str) -> Target:
    """``FILE.py:Net`` or ``package.module:factory``.  Raises ``ConfigError``."""
    left, _, name = text.rpartition(":")
    if not left or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(f"{text}: write FILE.py:NAME or package.module:NAME, with the name of a class or function")
    if not left.endswith(".py") and os.sep not in left:
        if not all(part.isidentifier() for part in left.split(".")):
            raise ConfigError(f"{left}: is neither a file FILE.py nor the dotted name of a module")
        return Target(text, left, name, (os.getcwd(),))
    if not os.path.isfile(left):
        raise ConfigError(f"{left}: there is no such file")
    file = os.path.abspath(left)
    project = Project(file)
    module = project.name
    if not _is_free(module):
        module = "verified_" + re.sub(r"\W", "_", module)
    return Target(text, module, name, tuple(dict.fromkeys([project.roots[0], os.path.dirname(file)])), file)


def _is_free(module: str) -> bool:
    """Can a file be imported under this name, without hiding a library of that name?"""
    top = module.partition(".")[0]
    taken = top in OPAQUE or top in sys.stdlib_module_names or ("." not in module and module in sys.modules)
    return not taken and all(part.isidentifier() and not keyword.iskeyword(part) for part in module.split("."))


_INPUT = re.compile(
    r"(?:(?P<name>[A-Za-z_]\w*)=)?\(?(?P<sizes>\d+(?:\s*,\s*\d+)*),?\s*\)?(?::(?P<dtype>[a-z]\w*))?\Z", re.A
)


def parse_input(text: str) -> Input:
    """``1,3,224,224``, ``1,12:long``, ``mask=1,12:bool``.  Raises ``ConfigError``."""
    match = _INPUT.match(text.strip())
    if match is None:
        raise ConfigError(f"--input {text}: write whole numbers, 1,3,224,224; or 1,12:long, or mask=1,12:bool")
    return Input(tuple(int(size) for size in match["sizes"].split(",")), match["name"], match["dtype"])


def parse_argument(text: str) -> tuple[str, Any]:
    """``num_classes=10``: a name and a Python literal.  Raises ``ConfigError``."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise ConfigError(f"--arg {text}: write NAME=VALUE, num_classes=10")
    try:
        return name.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise ConfigError(f"--arg {text}: {value} is no Python literal; a text needs quotes, {name}='...'") from None


# the static half --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What is known of one tensor: its last sizes, all of them unless ``more`` says why there may be others."""

    sizes: tuple[Dim, ...]
    more: str | None = None

    def __str__(self) -> str:
        text = [*(["..."] if self.more else []), *map(dims.render, self.sizes)]
        return f"({text[0]},)" if len(text) == 1 and not self.more else f"({', '.join(text)})"


@dataclass(frozen=True)
class Unseen:
    """Something of which nothing is known, and why."""

    reason: str


@dataclass(frozen=True)
class StaticCall:
    """A call of a layer: where it hangs, ``layer2.0.conv1``; and what came out, see :func:`_seen`."""

    path: str
    type: str
    output: Any


@dataclass
class StaticRun:
    """What the interpreter saw.

    ``findings``: the codes and lines of what it reported.  ``ended``: why it did not come to the end, if so.
    ``gaps``: for a module of which something is not known, why.  ``notes``: what was not understood, in order.
    """

    calls: list[StaticCall] = field(default_factory=list)
    output: Any = None
    findings: list[tuple[str, str]] = field(default_factory=list)
    ended: str | None = None
    gaps: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def reason(self, path: str) -> str:
        """Why there is nothing to see of the module at ``path``."""
        parts = path.split(".") if path else []
        above = [".".join(parts[:count]) for count in range(len(parts), -1, -1)]
        known = next((f"{name or 'the model'}: {self.gaps[name]}" for name in above if name in self.gaps), None)
        return known or self.ended or next(iter(self.notes), "the interpreter did not come here")


def script(target: Target, arguments: Mapping[str, Any] | None, inputs: Iterable[Input], training: bool) -> str:
    """The program that the interpreter reads.  ``arguments`` are ``None`` for a module that need not be made."""
    first = target.name.partition(".")[0]
    given = ", ".join(f"{name}={value!r}" for name, value in (arguments or {}).items())
    call = "" if arguments is None else f"({given})"
    tensors = ", ".join(map(_tensor, inputs))
    return (
        f"import torch\nfrom {target.module} import {first}\nmodel = {target.name}{call}\n"
        f"model.{'train' if training else 'eval'}()\noutput = model({tensors})\n"
    )


def _tensor(given: Input) -> str:
    dtype = f", dtype=torch.{given.dtype}" if given.dtype else ""
    return f"{given.name}=" * bool(given.name) + f"torch.zeros({given.sizes!r}{dtype})"


class _Beside(Project):
    """What a script that lies beside the target would import."""

    def __init__(self, target: Target) -> None:
        super().__init__(os.path.join(target.folders[0], "conv-lint verify.py"))
        self.roots = tuple(dict.fromkeys([*self.roots, *target.folders]))
        self.target = target

    def find(self, name: str) -> str | None:
        if self.target.file is not None and name == self.target.module:
            return self.target.file
        return super().find(name)


def interpret(target: Target, program: str, limits: Limits = LIMITS) -> StaticRun:
    """Run the interpreter over a program of :func:`script`; the layer calls are those of its last statement."""
    run, began, before = StaticRun(), time.perf_counter(), sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION))
    try:
        project = _Beside(target)
        machine = Machine(Tree(project.path, program), project, limits)
        _execute(machine, target, run)
    except Exception as error:
        run.ended = f"the interpreter itself failed: {type(error).__name__}: {error}"
        run.calls, run.output = [], Unseen(run.ended)
    finally:
        sys.setrecursionlimit(before)
    run.seconds = time.perf_counter() - began
    return run


def _execute(machine: Machine, target: Target, run: StaticRun) -> None:
    namespace, calls = start(machine), list[LayerCall]()
    statements = machine.tree.module.body
    for statement in statements:
        if statement is statements[-1]:
            # What is muted is a rehearsal: the rounds of a loop before the one that counts.
            machine.watch = lambda call: None if machine.muted else calls.append(call)
        machine.entry_start = machine.steps
        try:
            execute(machine, namespace.frame, statement)
        except PythonRaise as error:
            run.ended = f"the interpreter thinks that the code raises {error.name or 'an exception'}"
            break
        except (OutOfBudget, RecursionError):
            run.ended = "the interpreter's work is used up"
            break
        namespace.frame.pending.clear()
    model, output = (machine.resolve(namespace.frame.locals.get(name)) for name in ("model", "output"))
    paths = dict[int, str]()
    if isinstance(model, Instance):
        for path, module in walk(model):
            paths[id(module)] = path
            if module.open:
                run.gaps[path] = module.open
    elif isinstance(model, Unknown):
        run.ended = run.ended or f"the model is not known: {model.reason}"
    run.calls = [
        StaticCall(paths.get(id(call.module), call.module.path()), call.module.class_name, _seen(machine, call.result))
        for call in calls
        if call.module.torch_name not in CONTAINERS
    ]
    run.output = Unseen(run.ended) if run.ended else _seen(machine, output)
    file = machine.project.find(target.module) or ""
    run.findings = [(f.code, f"{f.code} {f.report.message(file)}") for f in machine.findings]
    run.notes = [f"{note.reason} ({_at(note.place)})" if note.place else note.reason for note in machine.notes.values()]


def _at(place: Place) -> str:
    near = os.path.relpath(place.file.path)
    return f"{place.file.path if near.startswith('..') else near}:{place.line}"


def _seen(machine: Machine, value: Value) -> Any:
    """The shapes in a value: a :class:`Seen` for a tensor, lists and dicts of them, ``None`` where there is none."""
    value = machine.resolve(value)
    if isinstance(value, Tensor):
        shape = machine.shape(value.shape)
        return Seen(tuple(shape.known), shape.rest.reason if shape.rest is not None else None)
    if isinstance(value, (tuple, List)):
        items = value if isinstance(value, tuple) else value.items
        reason = value.open if isinstance(value, List) else None
        return Unseen(reason) if reason else [_seen(machine, item) for item in items]
    if isinstance(value, Dict):
        return Unseen(value.open) if value.open else {str(k): _seen(machine, v) for k, v in value.items.items()}
    if value is None or isinstance(value, (int, float, str, dims.Expr)):
        return None
    return Unseen(value.reason if isinstance(value, Unknown) else "an object that is no tensor, tuple, list or dict")


# the comparison ---------------------------------------------------------------------------------------------

AGREE, DIFFER, UNKNOWN, FAILED = "agree", "differ", "unknown", "failed"


@dataclass(frozen=True)
class RealCall:
    """A call of a layer as torch made it.  ``output``: as ``runtime.arguments.shapes_in`` gives it."""

    path: str
    type: str
    output: Any
    finished: bool = True


@dataclass(frozen=True)
class Row:
    """A call, the two outputs, and how they compare.  ``reason``: of an unknown one."""

    path: str
    type: str
    static: Any
    real: Any
    mark: str
    reason: str = ""


def compare(static: Any, real: Any) -> tuple[str, str]:
    """The mark for one value, and the reason if it is unknown."""
    if isinstance(static, Unseen):
        return UNKNOWN, static.reason
    if real is None:  # no tensor: there is nothing to hold against
        return AGREE, ""
    if isinstance(real, tuple) and isinstance(static, Seen):
        return _compare_sizes(static, real)
    if isinstance(real, list) and isinstance(static, list) and len(real) == len(static):
        return _worst([compare(a, b) for a, b in zip(static, real)])
    if isinstance(real, dict) and isinstance(static, dict) and set(real) == set(static):
        return _worst([compare(static[key], real[key]) for key in real])
    return (DIFFER, "") if any(_tensors(real)) else (AGREE, "")


def _compare_sizes(static: Seen, real: tuple[int, ...]) -> tuple[str, str]:
    pairs = list(zip(static.sizes[::-1], real[::-1]))
    if any(isinstance(ours, int) and ours != size for ours, size in pairs):
        return DIFFER, ""
    if len(static.sizes) > len(real) or (len(static.sizes) < len(real) and static.more is None):
        return DIFFER, ""
    if static.more is not None:
        return UNKNOWN, static.more
    unknown = [axis for axis, ours in enumerate(static.sizes) if not isinstance(ours, int)]
    return (UNKNOWN, f"the size of dimension {unknown[0]}") if unknown else (AGREE, "")


def _worst(marks: Sequence[tuple[str, str]]) -> tuple[str, str]:
    return next((m for wanted in (DIFFER, UNKNOWN) for m in marks if m[0] == wanted), (AGREE, ""))


def _tensors(real: Any) -> Iterator[bool]:
    if isinstance(real, tuple):
        yield True
    for item in real.values() if isinstance(real, dict) else real if isinstance(real, list) else ():
        yield from _tensors(item)


def side_by_side(static: StaticRun, real: Iterable[RealCall]) -> list[Row]:
    """A row for each real call, in order; calls of the same module are paired in order."""
    ours = collections.defaultdict[str, list[StaticCall]](list)
    for seen in static.calls:
        ours[seen.path].append(seen)
    made = list(real)
    counts = collections.Counter(call.path for call in made if call.finished)
    rows, done = list[Row](), collections.Counter[str]()
    for call in made:
        if not call.finished:
            rows.append(Row(call.path, call.type, None, None, FAILED))
            continue
        known, number = ours[call.path], done[call.path]
        done[call.path] += 1
        if len(known) == counts[call.path]:
            rows.append(_row(call, known[number].output))
        elif not known:
            rows.append(_row(call, Unseen(static.reason(call.path))))
        else:
            rows.append(_any_of(call, known, counts[call.path]))
    return rows


def _row(call: RealCall, static: Any) -> Row:
    mark, reason = compare(static, call.output)
    return Row(call.path, call.type, static, call.output, mark, reason)


def _any_of(call: RealCall, known: list[StaticCall], count: int) -> Row:
    """A module that was called another number of times: both sides of a branch were interpreted, or a loop was not
    unrolled.  It differs only if no call of ours can be meant."""
    rows = [_row(call, ours.output) for ours in known]
    fitting = next((row for wanted in (AGREE, UNKNOWN) for row in rows if row.mark == wanted), None)
    if fitting is not None or len(known) > count:
        return fitting or rows[0]
    times = f"called {count} times, the interpreter saw {len(known)}"
    return Row(call.path, call.type, Unseen(times), call.output, UNKNOWN, times)
