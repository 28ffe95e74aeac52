"""Files to entries: each file is read, checked and sifted as flake8 would, in this process or in several.

What flake8 decides is decided by flake8's own classes: how a file is read, which ``# noqa`` belongs to which line,
and which codes are selected.
"""

from __future__ import annotations

import ast
import os
import signal
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, cast

from flake8.exceptions import ExecutionError
from flake8.processor import FileProcessor
from flake8.style_guide import StyleGuideManager

from conv_lint import source
from conv_lint.cache import remembered
from conv_lint.config import SIZES, ConfigError
from conv_lint.files import STDIN, Remark
from conv_lint.finding import Finding
from conv_lint.flake8_plugin import debugging
from conv_lint.report.entry import Covered, Entry, Outcome, entry, kept, restored, with_fingerprints


class Linter:
    """Checks files, one at a time."""

    def __init__(self, options: Namespace) -> None:
        self.options = options
        try:
            self.guide = StyleGuideManager(options, _Silent())
        except ExecutionError as error:
            raise ConfigError(f"per-file-ignores: {' '.join(str(error).split())}") from None

    def lint(self, file: str) -> Outcome:
        """The findings of one file that are neither hidden nor silenced."""
        outcome = Outcome()
        try:
            read = FileProcessor(file, self.options)
        except OSError as error:
            return Outcome(remarks=[Remark(file, f"cannot be read: {error.strerror or error}")])
        except UnicodeError:
            return Outcome(remarks=[Remark(file, "is no text that could be decoded")])
        if not read.should_ignore_file():
            self._check(read, "".join(read.lines), outcome)
        return outcome

    def _check(self, read: FileProcessor, text: str, outcome: Outcome) -> None:
        """Check the text of a file if it has to do with torch, and note what could not be checked."""
        path: str = read.filename
        if not source.worth_reading(text):
            if len(text) > source.MAX_BYTES and "torch" in text:
                outcome.remarks.append(Remark(path, f"not checked: it is larger than {source.MAX_BYTES} characters"))
            return
        try:
            told = self._told(read, text)
        except Exception as error:
            if debugging():
                raise
            what = f"not checked, because of a fault of conv-lint itself: {type(error).__name__}: {error}".splitlines()
            outcome.remarks.append(Remark(path, f"{what[0]} (CONV_LINT_DEBUG=1 shows where)"))
            return
        entries, covered = restored(told)
        outcome.entries += [e for e in entries if self._shows(e, read)]
        outcome.covered += covered
        if told["problem"] is not None:
            outcome.remarks.append(Remark(path, f"not checked: {_why(text) or told['problem']}"))
        if told["late"]:
            outcome.remarks.append(Remark(path, "took too long: what was not reached by then is not checked"))

    def _told(self, read: FileProcessor, text: str) -> dict[str, Any]:
        """What there is to say of a file, also of what is not shown."""
        options = self.options

        def run() -> tuple[dict[str, Any], bool]:
            from conv_lint.check import check

            result = check(text, read.filename, measure=options.unknowns, inputs=options.conv_inputs)
            found = [*result.findings, *(result.unknowns() if options.unknowns else ())]
            covered = [
                Covered(read.filename, c.name, c.checked, c.total, tuple(c.reasons.most_common()))
                for c in result.coverage
            ]
            told = kept([_entry(f, read) for f in found], covered)
            return {**told, "problem": result.problem, "late": result.out_of_budget}, not result.out_of_budget

        if options.no_cache or debugging():
            return run()[0]
        settings = options.unknowns, options.conv_inputs
        return cast("dict[str, Any]", remembered("check", text, read.filename, settings, run))

    def _shows(self, found: Entry, read: FileProcessor) -> bool:
        """Is it selected, and not silenced by a comment?  flake8 answers."""
        if found.code in SIZES[self.options.conv_sizes]:
            return False
        line, column = found.spot.line, found.spot.column - 1
        physical = read.noqa_line_for(line)
        return bool(self.guide.handle_error(found.code, read.filename, line, column, found.message, physical))


def _entry(finding: Finding, read: FileProcessor) -> Entry:
    line = finding.position[0]
    text = read.lines[line - 1] if line <= len(read.lines) else ""
    return entry(finding, read.noqa_line_for(line) or "", text.rstrip("\n"), read.filename)


def _why(text: str) -> str | None:
    """Python's own words for what is wrong with a text, if it is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return f"{error.msg}, line {error.lineno}"
    except (ValueError, RecursionError, MemoryError):
        return None
    return None


class _Silent:
    """flake8's style guide hands what it shows to a formatter; ours print later, all together."""

    def handle(self, error: object) -> None:
        """Do nothing."""


# many files -------------------------------------------------------------------------------------------------


def lint_all(files: Sequence[str], options: Namespace) -> Outcome:
    """All files, the findings in the order of the paths."""
    linter = Linter(options)
    jobs = min(_cpus() if options.jobs == "auto" else options.jobs, len(files))
    one_by_one = jobs <= 1 or STDIN in files
    whole = Outcome()
    for outcome in map(linter.lint, files) if one_by_one else _in_parallel(files, options, jobs):
        whole.entries += outcome.entries
        whole.remarks += outcome.remarks
        whole.covered += outcome.covered
    whole.entries.sort(key=lambda e: e.spot.path)
    whole.remarks.sort(key=lambda r: r.path)
    whole.entries = with_fingerprints(whole.entries)
    return whole


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_linter: Linter | None = None


def _start(options: Namespace) -> None:
    """Make ready a process; Ctrl-C is for the one that started it."""
    global _linter
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _linter = Linter(options)


def _lint(file: str) -> Outcome:
    assert _linter is not None
    return _linter.lint(file)


def _in_parallel(files: Sequence[str], options: Namespace, jobs: int) -> Iterator[Outcome]:
    """Several processes.  One that dies takes down the files that were not done, and nothing else."""
    sys.stdout.flush()
    died = "not checked: a process of conv-lint died (out of memory?)"
    with ProcessPoolExecutor(jobs, initializer=_start, initargs=(options,)) as pool:
        running = [(file, _submitted(pool, file)) for file in files]
        for file, done in running:
            if done is None or isinstance(done.exception(), BrokenProcessPool):
                yield Outcome(remarks=[Remark(file, died, usage=True)])
            else:
                yield done.result()


def _submitted(pool: ProcessPoolExecutor, file: str) -> Future[Outcome] | None:
    """The file's result to come; none if a process has died already."""
    try:
        return pool.submit(_lint, file)
    except BrokenProcessPool:
        return None
