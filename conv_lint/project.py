"""imports -> source files: of the same project, and of installed packages.  Parsed, never executed.

An imported file is not read whole.  Python's own ``ast`` (ten times faster than libcst) finds its top-level
statements and the names that they bind; only the statements that someone asks for are parsed with libcst.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import libcst as cst

from conv_lint import disk, source
from conv_lint.tree import Tree

#: Libraries that are known by their op rules or not at all; reading their sources would tell nothing.
OPAQUE = frozenset(
    "torch numpy scipy einops math typing collections functools itertools os sys re copy warnings random time abc"
    " enum dataclasses types operator pathlib logging argparse json inspect contextlib typing_extensions PIL cv2 pandas"
    " matplotlib sklearn tensorflow jax tqdm yaml pytest unittest requests skimage h5py wandb numba triton"
    " easydict addict munch attrdict box ml_collections yacs omegaconf"
    " packaging importlib pkg_resources huggingface_hub safetensors tokenizers sentencepiece"
    " torchsummary torchinfo thop ptflops fvcore tensorboardX albumentations"
    " pytorch_lightning lightning torchaudio networkx sympy nltk spacy seaborn plotly gym gymnasium".split()
)
#: Parts of torchvision that prepare data: known by what they do to shapes.
_PREPARES = re.compile(r"torchvision\.(transforms|datasets)(\.|\Z)")


@dataclass
class Statement:
    """A top-level statement of an imported file: its lines and the names that it may bind or change."""

    first: int
    last: int
    binds: frozenset[str]
    touches: frozenset[str]
    star_import: bool = False
    is_deep: bool = False


@dataclass
class Outline:
    """The top-level statements of a file, each parsed when it is needed."""

    path: str
    text: str
    statements: list[Statement]
    trees: dict[int, Tree | None] = field(default_factory=dict)

    @functools.cached_property
    def lines(self) -> list[str]:
        """The lines of the file, with their ends."""
        return source.split_lines(self.text)

    def tree(self, statement: Statement) -> Tree | None:
        """The libcst tree of one statement, with the positions of the whole file; ``None`` if libcst cannot read it."""
        if statement.first not in self.trees:
            text = "".join(self.lines[statement.first - 1 : statement.last])
            self.trees[statement.first] = None if statement.is_deep else _tree(self.path, text, statement.first)
        return self.trees[statement.first]

    def about(self, name: str) -> list[Statement]:
        """The statements that bind or change a name, in order."""
        return [s for s in self.statements if name in s.binds or name in s.touches]


def _tree(path: str, text: str, first: int) -> Tree | None:
    try:
        return Tree(path, text, first)
    except cst.ParserSyntaxError:
        return None


def outline(path: str, text: str) -> Outline | None:
    """The outline of a file, or ``None`` if it is no Python."""
    module = source.parse(text)
    if module is None:
        return None
    nodes = module.body
    found = [_statement(node) for node in nodes]
    own = [s.binds for node, s in zip(nodes, found) if not isinstance(node, (ast.Import, ast.ImportFrom))]
    made = frozenset().union(*own)
    found = [replace(s, touches=s.touches | _decorators(node) & made) for node, s in zip(nodes, found)]
    return Outline(path, text, found)


def _decorators(node: ast.stmt) -> set[str]:
    """The objects whose methods decorate a function or class, and may keep it: ``LAYERS`` of ``@LAYERS.register()``."""
    found: set[str] = set()
    for decorator in getattr(node, "decorator_list", []):
        base = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(base, ast.Attribute):
            while isinstance(base, ast.Attribute):
                base = base.value
            found |= {base.id} if isinstance(base, ast.Name) else set()
    return found


def _statement(node: ast.stmt) -> Statement:
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    binds: set[str] = set()
    touches: set[str] = set()
    star = False
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        binds.add(node.name)
    else:
        for child in _walk_outside_functions(node):
            match child:
                case ast.Name(id=name, ctx=ast.Store()):
                    binds.add(name)
                case ast.Import(names=names) | ast.ImportFrom(names=names):
                    star = star or any(a.name == "*" for a in names)
                    binds.update((a.asname or a.name).partition(".")[0] for a in names)
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    binds.add(name)
        touches = _touched(node)
    last = node.end_lineno or node.lineno
    return Statement(first, last, frozenset(binds), frozenset(touches), star, source.is_deep(node))


def _walk_outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        return
    for child in ast.iter_child_nodes(node):
        yield from _walk_outside_functions(child)


def _touched(node: ast.stmt) -> set[str]:
    """Names whose values a statement changes without binding them: ``CFG["a"] = 1``, ``names.append(x)``."""
    found: set[str] = set()
    for child in _walk_outside_functions(node):
        targets: list[ast.expr] = []
        if isinstance(child, ast.Assign):
            targets = child.targets
        elif isinstance(child, ast.AugAssign):
            targets = [child.target]
        elif isinstance(child, ast.Expr) and isinstance(child.value, ast.Call):
            targets = [child.value.func]
        for target in targets:
            base = target
            while isinstance(base, (ast.Attribute, ast.Subscript)):
                base = base.value
            if isinstance(base, ast.Name) and base is not target:
                found.add(base.id)
    return found


def _is_package(folder: str) -> bool:
    """A folder with ``__init__.py``, or one without inside such a folder."""
    return any(disk.is_file(os.path.join(f, "__init__.py")) for f in (folder, os.path.dirname(folder)))


class Project:
    """Finds the file behind a dotted name, as Python's import system would from the linted file.

    ``path``: the linted file.  Roots: the folder above its outermost package, its own folder, those of the project, the
    packages around it, then the folders of installed packages (``site-packages``) on ``sys.path`` of the running
    interpreter.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        folder = os.path.dirname(self.path)
        names = [os.path.splitext(os.path.basename(self.path))[0]]
        if names == ["__init__"]:
            names = []
        root, packages = folder, []
        while _is_package(root) and os.path.dirname(root) != root:
            names.insert(0, os.path.basename(root))
            packages.append(root)
            root = os.path.dirname(root)
        self.name = ".".join(names)
        # A program is started in a folder that may be a package, too.
        self.roots = tuple(dict.fromkeys([root, folder, *_project_folders(root), *packages]))

    def is_opaque(self, name: str) -> bool:
        """Is a module known by rules of ours, so that its source is not read?  A package reads its own files."""
        top = name.partition(".")[0]
        if top == self.name.partition(".")[0]:
            return top in ("torch", "einops")  # a layer or an operation of theirs is known by a rule
        return top in OPAQUE or _PREPARES.match(name) is not None

    def find(self, name: str) -> str | None:
        """The path of the file of module ``name``; of a folder without ``__init__.py``, the folder itself."""
        top = name.partition(".")[0]
        if self.is_opaque(name):
            return None
        found = next((f for root in self.roots if (f := locate(root, name))), None)
        if found:
            return found
        if top in sys.stdlib_module_names:
            return None
        return next((f for root in disk.installed() if (f := locate(root, name))), None)

    def defines(self, folder: str, name: str) -> str | None:
        """The one module in a folder that defines a function or class of this name at its top level."""
        paths = disk.modules(folder)
        return _definers(tuple((path, disk.stamp(path)) for path in paths)).get(name)

    def may_bring(self, name: str, wanted: str, seen: set[str]) -> bool:
        """May ``from name import *`` bring the name ``wanted``?  By the text of the module and of those whose names it
        passes on in the same way, a tenth of the time of an outline.  ``seen``: the modules that were looked at.
        """
        if name in seen:
            return False
        seen.add(name)
        path = self.find(name)
        stamp = disk.stamp(path) if path is not None else None
        if path is None or stamp is None:
            return False
        text, stars = _text_and_stars(path, *stamp)
        if _may_bind(text, wanted):
            return True
        package = name if os.path.basename(path) == "__init__.py" else name.rpartition(".")[0]
        return any(self.may_bring(absolute(package, *star), wanted, seen) for star in stars)

    def outline(self, path: str) -> Outline | None:
        """The outline of a file; the same file is read once in a process while it does not change."""
        stamp = disk.stamp(path)
        return _read_outline(path, *stamp) if stamp is not None else None


def absolute(package: str, dots: str, module: str) -> str:
    """The dotted name of ``from ..module import``, written in a file of ``package``."""
    for _ in dots[1:]:
        package = package.rpartition(".")[0]
    return f"{package}.{module}" if dots and package and module else (dots and package) or module


_STAR = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]+\*", re.MULTILINE)


def _may_bind(text: str, name: str) -> bool:
    """May the text bind a name at its top level, and ``import *`` take it over?  By its ``__all__``, if that is made of
    texts only, and by a line that looks like a definition, an import or an assignment.
    """
    if name not in text:
        return False
    if "__all__" in text and f'"{name}"' not in text and f"'{name}'" not in text and not _ADDS.search(text):
        return False
    at = text.find(name)
    while at >= 0:
        begin, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
        line = text[begin:] if end < 0 else text[begin:end]
        found = _BINDS.match(line)
        if found is not None and name in _BOUND.findall(found.group()):
            return True
        at = text.find(name, begin + len(line))
    return False


#: ``__all__`` of other modules, or computed.
_ADDS = re.compile(r"__all__(?:\s*\+?=\s*[^\s\[(]|(?<=\.__all__)|\.)")
#: A line that may bind names: a definition, an import, one name of a long import, an assignment.
_BINDS = re.compile(
    r"\s*(?:(?:async\s+)?def\s+\w+|class\s+\w+|from\b.*|import\b.*|\w+(?:\s+as\s+\w+)?\s*,?\s*(?:#.*)?$"
    r"|[\w\s,.()\[\]*]+(?::[^=]*)?=(?!=))"
)
#: The names in such a line; not ``a`` of ``a as b``.
_BOUND = re.compile(r"\w+\b(?!\s+as\b)")


@functools.lru_cache(maxsize=4096)
def _text_and_stars(path: str, mtime: int, size: int) -> tuple[str, list[tuple[str, str]]]:
    """The text of a file, and the dots and the name of each module of which it takes over all names."""
    text = source.read(path) or ""
    return text, _STAR.findall(text) if "import *" in text else []


@functools.lru_cache(maxsize=64)
def _definers(files: tuple[tuple[str, disk.Stamp | None], ...]) -> dict[str, str | None]:
    """The module of a folder that defines each function and class; ``None`` where several do."""
    found: dict[str, str | None] = {}
    for path, _ in files:
        module = os.path.splitext(os.path.basename(path))[0]
        for name in set(_DEFINED.findall(source.read(path) or "")):
            found[name] = None if name in found else module
    return found


_DEFINED = re.compile(r"^(?:def|class) +(\w+)", re.MULTILINE)


@functools.lru_cache(maxsize=512)
def _read_outline(path: str, mtime: int, size: int) -> Outline | None:
    text = source.read(path)
    return outline(path, text) if text is not None else None


def locate(root: str, name: str) -> str | None:
    """The file (or folder) of a module with this dotted name below a folder."""
    base = os.path.join(root, *name.split("."))
    for path in (os.path.join(base, "__init__.py"), base + ".py"):
        if disk.is_file(path):
            return path
    return base if disk.is_folder(base) else None


def is_marked(folder: str) -> bool:
    """Is it the outermost folder of a project, by what lies in it?"""
    return any(disk.exists(os.path.join(folder, m)) for m in (".git", "pyproject.toml", "setup.py", "setup.cfg"))


def _project_folders(root: str) -> list[str]:
    """Folders above ``root`` from which scripts of the same project are usually run: up to the one with ``.git`` or
    ``pyproject.toml``, and its ``src``."""
    folders: list[str] = []
    folder = root
    for _ in range(4):
        if is_marked(folder):
            inner = os.path.join(folder, "src")
            return [*folders, folder, *([inner] if disk.is_folder(inner) else [])]
        parent = os.path.dirname(folder)
        if parent == folder:
            break
        folders.append(parent)
        folder = parent
    return folders[:1]
