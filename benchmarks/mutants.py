"""Single-edit mutants of working models: does the linter find those that torch refuses, and only those?

    python benchmarks/mutants.py benchmarks/classics             scripts, whose models are found by trying
    python benchmarks/mutants.py --root FOLDER "pytorchcv.models.resnet:resnet18():1,3,224,224"

A mutant changes one thing on a line that ran.  What is run is named, or all that the file can make or call without
arguments, and its body under ``__main__``; on the meta device, then on the CPU, which checks more.  A mutant that
raises is definite if the file's own calls fail, or every input that was tried; it is found if there is a new finding.
"""

from __future__ import annotations

import argparse
import ast
import collections
import importlib
import inspect
import itertools
import json
import multiprocessing
import random
import re
import sys
import trace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from conv_lint.check import check

#: Findings that torch does not share: it accepts the code.  And errors that are for other tools than a shape checker.
REMARKS = frozenset("CONV301 CONV302 CONV407 CONV410 CONV501 CONV503 CONV504".split())
OTHER = frozenset("NameError UnboundLocalError AttributeError KeyError ImportError".split())
INPUTS = """
    2,3,32,32 2,3,64,64 2,3,40,40 2,3,96,96 2,3,128,160 2,3,28,28 2,3,72,72 2,3,224,224 2,3,256,256 2,3,299,299
    2,1,28,28 2,1,32,32 2,1,64,64 2,1,224,224 2,1,256,256 2,1,40,40 2,1,48,72 2,100,1,1 2,100 2,784 2,62 2,128 2,1,128
    2,12,1000 2,64,128 2,64,56,56 2,512,7,7 2,1,32,32,32 2,1,64,64,64 2,3,16,112,112 2,1,16,32,48 2,4,64,64 2,6,64,64
"""


class Sites:
    """The edits that a file offers, by operator: the lines, and what replaces which bytes."""

    def __init__(self, text: str, rng: random.Random) -> None:
        self.data, self.rng, tree = text.encode(), rng, ast.parse(text)
        self.starts = [0, *itertools.accumulate(map(len, self.data.splitlines(keepends=True)))]
        self.found: dict[str, dict[Any, None]] = collections.defaultdict(dict)
        above = {c: n for n in ast.walk(tree) for c in ast.iter_child_nodes(n)}
        for node in ast.walk(tree):
            match node:
                case ast.Constant(value=value) if type(value) is int:
                    others = {n for n in (value + 1, value * 2, value // 2, value - 1) if n >= 0} - {value}
                    called = ast.unparse(getattr(above[node], "func", ast.Name("number"))).split(".")[-1]
                    self.add(getattr(above[node], "arg", called), (node, str(rng.choice(sorted(others)))))
                case ast.List(elts=[_, _, *_]) | ast.Tuple(elts=[_, _, *_]) if isinstance(node.ctx, ast.Load):
                    self.elements(node.elts)
                case ast.Expr(value=ast.Call(func=ast.Attribute(attr="append" | "add_module" | "extend"))):
                    self.add("layer-removed", (node, "pass"))
                case ast.FunctionDef(name=name):
                    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call) and "super" not in ast.unparse(n)]
                    for call in calls:
                        self.call(call, calls, name == "forward")

    def span(self, node: Any) -> tuple[int, int]:
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def add(self, operator: str, *changes: tuple[Any, str], span: tuple[int, int] | None = None) -> None:
        spans = tuple((*(span or self.span(node)), new.encode()) for node, new in changes)
        self.found[operator][tuple(node.lineno for node, _ in changes), spans] = None

    def elements(self, elements: list[Any]) -> None:
        for node in elements:
            start, end = self.span(node)
            behind = re.match(rb"\s*,", self.data[end:])
            self.add("element-removed", (node, ""), span=(start, end + (behind.end() if behind else 0)))
            self.add("element-duplicated", (node, f"{ast.unparse(node)}, {ast.unparse(node)}"))

    def call(self, call: ast.Call, calls: list[ast.Call], computes: bool) -> None:
        function, first = ast.unparse(call.func), call.args[0] if call.args else None
        if function.endswith("Sequential"):
            self.elements([a for a in call.args if isinstance(a, ast.Call)])
        elif computes and (inner := first or getattr(call.func, "value", None)):
            self.add("pool-removed" if "pool" in function else "call-removed", (call, ast.unparse(inner)))
        elif first and len(call.args) > 1:
            self.add("swap-first-two", (first, ast.unparse(call.args[1])), (call.args[1], ast.unparse(first)))
        for k in call.keywords:
            if (comma := self.data.rfind(b",", self.span(call)[0], self.span(k)[0])) > 0:
                self.add(f"{k.arg}-dropped", (k, ""), span=(comma, self.span(k)[1]))
        if rank := re.search(r"\.\w+([123])d$", function):
            self.add("wrong-rank", (call.func, function.replace(rank[1] + "d", "12"[rank[1] == "1"] + "d")))
        names = {a.id for c in calls for a in c.args if isinstance(a, ast.Name)}
        for argument in call.args:
            if isinstance(argument, ast.Name) and (others := sorted(names - {argument.id})):
                self.add("wrong-input" if computes else "wrong-variable", (argument, self.rng.choice(others)))

    def edits(self, lines: set[int]) -> Iterator[tuple[str, tuple[int, ...], str]]:
        queues = {operator: self.rng.sample([*found], len(found)) for operator, found in self.found.items()}
        while any(queues.values()):
            for operator, queue in queues.items():
                where, spans = queue.pop() if queue else ((), ())
                data = self.data
                for start, end, new in sorted(spans, reverse=True):
                    data = data[:start] + new + b"\n" * data[start:end].count(b"\n") + data[end:]
                if data != self.data and lines.issuperset(where):
                    yield operator, where, data.decode()


class Run:
    """In a process of its own: one file with its text replaced, and what it says when its models are made and run."""

    def __init__(self, path: str, root: str, text: str) -> None:
        self.path, self.code, self.device = path, compile(text, path, "exec"), "meta"
        self.name = ".".join(Path(path).relative_to(root).with_suffix("").parts)
        sys.path[:0], sys.argv = [root, str(Path(path).parent)], [path]
        sys.stdout = sys.stderr = open("/dev/null", "w")  # noqa: SIM115
        importlib.import_module(self.name.rpartition(".")[0] or "torch")
        sys.modules.pop(self.name, None)

    def make(self, expression: str) -> Any:
        with torch.device(self.device):
            name = self.name if expression else "__main__"
            if name not in sys.modules or not expression:
                module = sys.modules[name] = type(sys)(name)
                module.__file__, module.__package__ = self.path, self.name.rpartition(".")[0]
                exec(self.code, vars(module))
            made = eval(expression or "None", vars(sys.modules[name]))
            return made.eval() if isinstance(made, nn.Module) else made

    def tries(self, expression: str, sizes: list[str]) -> list[Any]:
        answers: list[Any] = []
        model = None
        for size in sizes:
            try:
                model = model or self.make(expression)
                if not isinstance(model, nn.Module):
                    return [None]
                parameters = inspect.signature(model.forward).parameters.values()
                tensor = torch.zeros([int(n) for n in size.split(",")], device=self.device)
                with torch.no_grad():
                    model(*(tensor for p in parameters if p.default is p.empty and p.kind < 2))
                answers.append(None)
            except Exception as error:  # noqa: PERF203
                answers.append((type(error).__name__, str(error)[:200]))
        return answers

    def discover(self, wanted: str, sizes: list[str]) -> tuple[dict[str, list[str]], list[int]]:
        """What runs, with up to three inputs that work, and the lines that ran; no expression is the script itself."""
        tracer = trace.Trace(trace=0, ignoredirs=[sys.prefix, sys.exec_prefix])
        own = "[n for n, v in globals().items() if getattr(v, '__module__', 0) == __name__]"
        names = [*tracer.runfunc(self.make, own), ""]
        runs: dict[str, list[str]] = {}
        for name in [wanted] if wanted else [n and f"{n}()" for n in names]:
            works = sizes
            for self.device in ("meta", "cpu"):
                works = [size for size, answer in zip(works, tracer.runfunc(self.tries, name, works)) if not answer][:3]
            runs |= {name: works} if works else {}
        return runs, [line for file, line in tracer.results().counts if file == self.path]

    def refuse(self, runs: dict[str, list[str]], sizes: list[str]) -> list[Any]:
        """Whether torch's first error is definite, and the error; nothing if all runs."""
        first: list[Any] = []
        for self.device, (name, works) in itertools.product(("meta", "cpu"), runs.items()):
            errors = [e for e in self.tries(name, works) if e] if self.device == "meta" or not first else []
            if errors and all(self.tries(name, sizes)):
                return [True, *errors[0]]
            first = first or [False, *errors[0]] if errors else first
        return first


def in_child(work: Callable[[], Any]) -> Any:
    """The result of ``work`` in a process of its own, or None if that took too long or died."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.Process(target=lambda: writer.send(work()))
    child.start()
    writer.close()
    try:
        return reader.recv() if reader.poll(90) else None
    except EOFError:
        return None
    finally:
        child.kill()


def nearest(text: str, found: set[int], edited: set[int]) -> str:
    scopes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.ClassDef, ast.FunctionDef))]
    spans = [(type(n), range(n.lineno, (n.end_lineno or 0) + 1)) for n in scopes]
    kinds = {kind for kind, span in spans for a in found for b in edited if a in span and b in span}
    return "line" if found & edited else "function" if ast.FunctionDef in kinds else "class" if kinds else "file"


def rows(path: str, root: str, wanted: str, sizes: list[str], seed: int) -> Iterator[dict[str, Any]]:
    def findings(text: str) -> list[Any]:
        return [[f.position[0], f.code, f.message] for f in check(text, path).findings if f.code not in REMARKS]

    text = Path(path).read_text(encoding="utf-8")
    known = in_child(lambda: findings(text)) or []
    runs, ran = in_child(lambda: Run(path, root, text).discover(wanted, sizes)) or ({}, [])
    print(path, runs, *known, flush=True)
    for operator, where, mutant in Sites(text, random.Random(seed)).edits(set(ran)) if runs else ():
        answer = in_child(lambda: Run(path, root, mutant).refuse(runs, sizes))  # noqa: B023
        if answer is None or OTHER.intersection(answer[1:]):
            continue
        new = [f for f in in_child(lambda: findings(mutant)) or () if f not in known]  # noqa: B023
        named = any(f[0] == n or re.search(rf"line {n}\b", f[2]) for f in new for n in where)
        yield {"place": f"{path}:{where[0]}", "operator": operator, "edit": mutant.splitlines()[where[0] - 1].strip(),
               "raises": bool(answer), "new": new, "near": nearest(mutant, {f[0] for f in new}, {*where}),
               "named": named, **dict(zip(("definite", "error", "text"), answer))}  # fmt: skip


def report(rows: list[dict[str, Any]]) -> None:
    for key in ("definite", "operator"):
        for name, number in collections.Counter(r[key] for r in rows if r["raises"]).most_common():
            hits = sum(bool(r["new"]) for r in rows if r["raises"] and r[key] == name)
            print(f"{key} {name!s:24} {hits:4} of {number} found")
    for near, number in collections.Counter(r["near"] for r in rows if r["raises"] and r["new"]).items():
        named = sum(r["named"] for r in rows if r["raises"] and r["near"] == near)
        print(f"nearest finding in the same {near}: {number}; the edited line is named in {named}")
    print(f"new findings on {sum(bool(r['new']) for r in rows if not r['raises'])} of the mutants that torch accepts")
    for row in rows:
        if bool(row["new"]) is not row["raises"]:
            print("missed" if row["raises"] else "alarm", *(v for k, v in row.items() if k not in ("near", "named")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="+", help="a file, a folder, or module:expression[:inputs]")
    parser.add_argument("--root", help="the folder that imports start from, if not that of the file")
    parser.add_argument("--each", type=int, default=12, help="so many mutants of each file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, default="/dev/null", help="write every row here, one a line")
    given = parser.parse_args()
    multiprocessing.set_start_method("fork")
    out: list[dict[str, Any]] = []
    for target in given.targets:
        module, wanted, sizes = [*target.split(":"), "", ""][:3]
        path = Path(target if Path(target).exists() else f"{given.root}/{module.replace('.', '/')}.py").resolve()
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            root = Path(given.root or file.parent).resolve()
            some = rows(str(file), str(root), wanted, (sizes or INPUTS).split(), given.seed)
            out += itertools.islice(some, given.each)
    report(out)
    given.json.write_text("".join(json.dumps(row) + "\n" for row in out))


if __name__ == "__main__":
    main()
