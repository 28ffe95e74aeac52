"""Results of earlier checks, kept in a folder of the user's: what nothing has changed for is not checked again.

A result belongs to the path of its file.  It is good for as long as the text, the settings, conv-lint itself, the
installed packages and all that the check has asked of the disk are the same.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from conv_lint import disk

#: Where the results lie, if not where the system keeps such things.
VARIABLE = "CONV_LINT_CACHE_DIR"
#: A result that nobody has asked for in so many seconds is thrown away; such are looked for once a day.
UNUSED, DAY = 30 * 86_400, 86_400
#: By its presence programs that make backups leave a folder out; by its time the last tidying is known.
TAG = "CACHEDIR.TAG"
_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55\n# Results of conv-lint. They may be deleted at any time.\n"


def remembered(door: str, text: str, path: str, settings: Sequence[object], run: Callable[[], tuple[Any, bool]]) -> Any:
    """What ``run`` gives for a file, or what it gave when it was run last, if nothing has changed since.

    ``door``: who asks; each asks for other values.  ``run`` gives a value of JSON, and whether it may be kept.
    """
    folder = _folder()
    if folder is None:
        return run()[0]
    name = _digest(door, os.path.abspath(path)).hex()
    file = folder / name[:2] / name[2:]
    key = _digest(_ourselves(), _packages(), path, *settings, text)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, zlib.error):
        return _read(file, key)
    with disk.noting() as answers:
        value, may_keep = run()
    if may_keep:
        with contextlib.suppress(OSError):
            _write(file, key, answers, value)
            _tidy(folder)
    return value


def _folder() -> Path | None:
    """Where the results lie; ``None`` if there is no such place."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    import platformdirs

    try:
        return platformdirs.user_cache_path("conv-lint", appauthor=False)
    except (OSError, RuntimeError):  # a user without a home
        return None


def _read(file: Path, key: bytes) -> Any:
    """The value that is kept under a key.  Raises if there is none, or if the disk answers otherwise by now."""
    data = file.read_bytes()
    if not data.startswith(key):
        raise KeyError(key)
    questions, digest, value = json.loads(zlib.decompress(data[len(key) :]))
    if _digest(*disk.asked_again((what, path) for what, path in questions).items()).hex() != digest:
        raise KeyError(key)
    os.utime(file)
    return value


def _write(file: Path, key: bytes, answers: disk.Answers, value: Any) -> None:
    """Keep a value.  Whoever reads it meanwhile gets the old one or the new one, whole."""
    data = key + zlib.compress(json.dumps([[*answers], _digest(*answers.items()).hex(), value]).encode(), 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent)
    try:
        with open(handle, "wb") as stream:
            stream.write(data)
        os.replace(name, file)
    except OSError:
        os.unlink(name)
        raise


def _tidy(folder: Path) -> None:
    """Once a day, throw away what nobody asks for."""
    tag, now = folder / TAG, time.time()
    if tag.exists() and tag.stat().st_mtime > now - DAY:
        return
    tag.write_text(_SIGNATURE)
    for file in folder.glob("??/*"):
        with contextlib.suppress(OSError):  # another process was faster
            if file.stat().st_mtime < now - UNUSED:
                file.unlink()


def _digest(*parts: object) -> bytes:
    return hashlib.sha256(json.dumps(parts, default=repr).encode("utf-8", "surrogatepass")).digest()


@functools.cache
def _ourselves() -> str:
    """Which conv-lint it is, down to what its files hold, on which Python."""
    waiting, files = [os.path.dirname(__file__)], list[str]()
    while waiting:
        folder = waiting.pop()
        waiting += disk.folders(folder)
        files += disk.modules(folder)
    return _digest(sys.version, *(disk.content(path) for path in files)).hex()


@functools.cache
def _packages() -> list[tuple[str, list[str]]]:
    """The folders of the installed packages, and what lies in them: names with versions."""
    return [(folder, disk.folders(folder)) for folder in disk.installed()]
