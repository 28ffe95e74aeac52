"""Who imports a file: the other files of its project, found by their text.

Nothing is parsed here: a regular expression finds the imports, and a file counts if one of them leads to the file in
question, or to a package above it that passes its names on.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from conv_lint import disk, source
from conv_lint.project import Project, absolute, is_marked, locate

#: So many files are looked at, the nearest first, and none that is larger (in bytes).
MOST_FILES, LARGEST = 400, 200_000
_FROM = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]*(\([^)]*\)|[^\n#;]+)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([^\n#;]+)", re.MULTILINE)
_NAME = re.compile(r"([\w.]+|\*)(?:\s+as\s+(\w+))?")
_COMMENT = re.compile(r"#[^\n]*")


@dataclass(frozen=True)
class File:
    """A file of a project: its path, and the dotted name by which it is imported."""

    path: str
    module: str

    @property
    def package(self) -> str:
        """The package that its relative imports start from."""
        return self.module if os.path.basename(self.path) == "__init__.py" else self.module.rpartition(".")[0]


@dataclass(frozen=True)
class Import:
    """``from origin import name as bound``, or ``import origin``, where ``name`` is empty."""

    dots: str
    origin: str
    name: str
    bound: str


class Importers:
    """Finds the importers of files of one project, which is searched once."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.found: dict[str, str | None] = {}
        self.files = [File(path, _module(project, path)) for path in _near(project)]

    def of(self, target: File, defined: Collection[str]) -> Iterator[tuple[File, dict[str, Collection[str]]]]:
        """The files that import from ``target`` what it has ``defined``, the nearest first, each with the names of its
        own that lead there, and to what."""
        words = (*defined, target.module.rpartition(".")[2])
        for file in self.files:
            text, imports = _read(file.path)
            if file.path == target.path or not any(word in text for word in words):
                continue
            names: dict[str, Collection[str]] = {}
            for one in imports:
                names.update(self._bound(file, one, target.path, defined))
            if names:
                yield file, names

    def _bound(self, file: File, one: Import, path: str, defined: Collection[str]) -> dict[str, Collection[str]]:
        """The names that an import in ``file`` binds to the file at ``path`` (then they lead to all of it) or to what
        that has defined."""
        origin = absolute(file.package, one.dots, one.origin)
        if not one.dots and (locate(os.path.dirname(file.path), one.origin) or path) != path:
            return {}  # a file beside it
        if not one.name:
            return {one.bound: defined} if self._find(origin) == path else {}
        if one.name in defined or one.name == "*":
            found = self._find(origin)
            if found is not None and (found == path or _passes_on(found, path)):
                return {name: (name,) for name in defined} if one.name == "*" else {one.bound: (one.name,)}
        is_file = os.path.basename(path) in (f"{one.name}.py", "__init__.py")
        return {one.bound: defined} if is_file and self._find(f"{origin}.{one.name}") == path else {}

    def _find(self, name: str) -> str | None:
        if name not in self.found:
            self.found[name] = self.project.find(name) if name else None
        return self.found[name]


def _passes_on(package: str, path: str) -> bool:
    """Is it the ``__init__.py`` of a package around the file?"""
    folder, name = os.path.split(package)
    return name == "__init__.py" and path.startswith(folder + os.sep)


def _module(project: Project, path: str) -> str:
    """The dotted name by which a file is imported."""
    root = next((r for r in project.roots if path.startswith(r + os.sep)), os.path.dirname(path))
    parts = os.path.splitext(os.path.relpath(path, root))[0].split(os.sep)
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


# the texts --------------------------------------------------------------------------------------------------


def _read(path: str) -> tuple[str, tuple[Import, ...]]:
    """The text of a file, and its imports."""
    stamp = disk.stamp(path)
    return _imports(path, *stamp) if stamp is not None and stamp[1] <= LARGEST else ("", ())


@functools.lru_cache(maxsize=2 * MOST_FILES)
def _imports(path: str, mtime: int, size: int) -> tuple[str, tuple[Import, ...]]:
    text = source.read(path) or ""
    found = []
    for dots, origin, listed in _FROM.findall(text):
        for name, alias in _NAME.findall(_COMMENT.sub("", listed)):
            found.append(Import(dots, origin, name, alias or name))
    for listed in _IMPORT.findall(text):
        for name, alias in _NAME.findall(listed):
            found.append(Import("", name, "", alias or name.partition(".")[0]))
    return text, tuple(found)


# the files --------------------------------------------------------------------------------------------------


def _near(project: Project) -> list[str]:
    """The Python files around the linted one: its folder, its package, the folders of the project above it."""
    folder, root = os.path.dirname(project.path), project.roots[0]
    top = os.path.join(root, project.name.partition(".")[0])
    folders = [folder]
    if disk.is_folder(top) and (folder + os.sep).startswith(top + os.sep):
        above = folder
        while above != top:
            above = os.path.dirname(above)
            folders.append(above)
        folders += sorted(_folders_below(top), key=lambda f: (f.count(os.sep), f))
    if not root.endswith("-packages"):
        folders += project.roots
        folders += [inner for r in project.roots if r == root or is_marked(r) for inner in disk.folders(r)]
    files: list[str] = []
    for here in dict.fromkeys(folders):
        files += disk.modules(here)
        if len(files) > MOST_FILES:
            break
    return files[:MOST_FILES]


def _folders_below(top: str) -> list[str]:
    found, waiting = list[str](), [top]
    while waiting and len(found) <= MOST_FILES:
        found.append(waiting.pop())
        waiting += reversed(disk.folders(found[-1]))
    return found
