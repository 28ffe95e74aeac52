"""Which files a PATH of the command line means.  Patterns match as flake8 matches them."""

from __future__ import annotations

import logging
import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flake8.utils import fnmatch, matches_filename

STDIN = "-"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remark:
    """Something that was not checked, and why: a line on standard error.  A mistake in the call is ``usage``."""

    path: str
    text: str
    usage: bool = False


def expand(paths: Sequence[str], options: Namespace) -> tuple[list[str], list[Remark]]:
    """The files to check, and what cannot be.  A file that is named is taken whatever its ending."""
    files: list[str] = []
    remarks: list[Remark] = []
    patterns = [*options.exclude, *options.extend_exclude]
    for path in paths or [os.curdir]:
        found: list[str] = []
        if path != STDIN and not os.path.exists(path):
            what = "is a link to nothing" if os.path.islink(path) else "there is no such file or folder"
            remarks.append(Remark(path, what, usage=True))
        elif _excluded(path if path != STDIN else _display_name(options), patterns):
            remarks.append(Remark(path, "is excluded; see --exclude"))
        elif os.path.isdir(path):
            for file in _walk(path, patterns, options.filename, remarks):
                if os.path.isfile(file):
                    found.append(file)
                elif os.path.islink(file):
                    remarks.append(Remark(file, "is a link to nothing"))
            if not found:
                remarks.append(Remark(path, f"holds no files to check ({', '.join(options.filename)})"))
        else:
            found.append(path)
        files += found
    return files, remarks


def _walk(folder: str, patterns: list[str], names: list[str], remarks: list[Remark]) -> Iterator[str]:
    """The files below a folder whose names match, in no order.  Virtual environments below it are left out."""

    def unreadable(error: OSError) -> None:
        remarks.append(Remark(str(error.filename), f"cannot be read: {error.strerror}"))

    for root, folders, files in os.walk(folder, onerror=unreadable):
        if root != folder and "pyvenv.cfg" in files:
            folders.clear()
            continue
        folders[:] = [f for f in folders if not _excluded(os.path.join(root, f), patterns)]
        for name in files:
            path = os.path.join(root, name)
            if fnmatch(path, names) and not _excluded(path, patterns):
                yield path


def _display_name(options: Namespace) -> str | None:
    """What ``-`` is called, if it was given a name."""
    name: str = options.stdin_display_name
    return name if name != "stdin" else None


def _excluded(path: str | None, patterns: list[str]) -> bool:
    return path is not None and matches_filename(path, patterns, '"%(path)s" is %(whether)sexcluded', _LOG)
