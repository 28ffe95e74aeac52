"""What is asked of the disk, besides the text that is checked.

A result hangs on the answers: on the files that were read, and on those that were looked for in vain.  They are noted,
so that a result can be kept for as long as every answer stays what it was (``cache.py``).
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

#: By what it is seen that a file has changed: its time of modification in ns and its size in bytes.
Stamp = tuple[int, int]
#: The questions that a check has asked, what and of which path, and the first answer to each.
Answers = dict[tuple[str, str], object]

_noted: ContextVar[Answers | None] = ContextVar("noted", default=None)


def stamp(path: str) -> Stamp | None:
    """The stamp of a file, ``None`` if there is none.  What is noted is what it holds: a checkout writes new times."""
    if _noted.get() is not None:
        _ask("content", path, content)
    return _stamp(path)


def is_file(path: str) -> bool:
    """Is it a file?"""
    return _ask("file", path, os.path.isfile)


def is_folder(path: str) -> bool:
    """Is it a folder?"""
    return _ask("folder", path, os.path.isdir)


def exists(path: str) -> bool:
    """Is there anything of this path?"""
    return _ask("exists", path, os.path.exists)


def modules(folder: str) -> list[str]:
    """The paths of the Python files in a folder, in their order; none if it cannot be read."""
    return _ask("modules", folder, _modules)


def folders(folder: str) -> list[str]:
    """The paths of the folders in a folder, without those that are hidden or Python's own."""
    return _ask("folders", folder, _folders)


@functools.cache
def installed() -> tuple[str, ...]:
    """The folders of installed packages on ``sys.path`` of the running interpreter."""
    return tuple(p for p in sys.path if p and os.path.isdir(p) and os.path.basename(p).endswith("-packages"))


@contextmanager
def noting() -> Iterator[Answers]:
    """What is asked meanwhile."""
    found: Answers = {}
    token = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(token)


def asked_again(questions: Iterable[tuple[str, str]]) -> Answers:
    """What the disk answers now."""
    return {(what, path): _QUESTIONS[what](path) for what, path in questions}


def content(path: str) -> str | None:
    """A digest of what a file holds; ``None`` if there is none."""
    found = _stamp(path)
    return _digest(path, *found) if found is not None else None


@functools.lru_cache(maxsize=4096)
def _digest(path: str, mtime: int, size: int) -> str | None:
    try:
        with open(path, "rb") as file:
            return hashlib.blake2b(file.read(), digest_size=16).hexdigest()
    except OSError:
        return None


def _ask(what: str, path: str, question: Callable[[str], T]) -> T:
    answer = question(path)
    noted = _noted.get()
    if noted is not None:
        noted.setdefault((what, path), answer)
    return answer


def _stamp(path: str) -> Stamp | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def _modules(folder: str) -> list[str]:
    return _entries(folder, lambda e: e.name.endswith(".py") and e.is_file())


def _folders(folder: str) -> list[str]:
    return _entries(folder, lambda e: e.is_dir() and not e.name.startswith((".", "__")))


def _entries(folder: str, wanted: Callable[[os.DirEntry[str]], bool]) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.path for e in entries if wanted(e))
    except OSError:
        return []


_QUESTIONS: dict[str, Callable[[str], object]] = {
    "content": content,
    "file": os.path.isfile,
    "folder": os.path.isdir,
    "exists": os.path.exists,
    "modules": _modules,
    "folders": _folders,
}
