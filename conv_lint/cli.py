"""The command line: ``conv-lint check``, ``rule``, ``verify`` and ``selfcheck``.

libcst is loaded for the first file worth reading, torch only for the last two.
"""

from __future__ import annotations

import difflib
import itertools
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from conv_lint import __version__
from conv_lint.config import OPTIONS, ConfigError, Option, settle

if TYPE_CHECKING:
    from conv_lint.report.verified import Verification

EXAMPLES = """\b
Examples:
  conv-lint check                     check all Python files below this folder
  conv-lint check --format full net.py
                                      ... with the source and the shapes on the way
  conv-lint rule CONV201              what is wrong, why, and how to fix it
  conv-lint verify net.py:Net --input 1,3,224,224
                                      run the model with torch, compare the shapes
"""
STATUS = "Exit status: 0 if nothing was found, 1 if there are findings, 2 if the call or a config file is wrong."

VERIFIED = """Exit status: 0 if all agrees or is unknown to conv-lint, 1 if something differs or the forward fails for
its shapes, 2 if the call is wrong, torch is missing, or the code raises another exception."""


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="conv-lint")
def main() -> None:
    """Find PyTorch convolution models that cannot work, before anything runs.

    'check' only reads the code, and torch need not be installed. 'verify' runs it.
    """


# check ------------------------------------------------------------------------------------------------------


class _Grouped(click.Command):
    """A command whose help shows the options under the headings of the option table."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        groups = {o.key: o.group for o in OPTIONS}
        rows: dict[str, list[tuple[str, str]]] = {o.group: [] for o in OPTIONS}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
            if record is not None:
                rows.setdefault(groups.get(parameter.name or "", "Other"), []).append(record)
        for group, records in rows.items():
            with formatter.section(group):
                formatter.write_dl(records)


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A click option for each row of the table.  What was not given is None, so that config files can decide."""
    for option in reversed(OPTIONS):
        names = [f"--{option.name}", *([option.short] if option.short else [])]
        command = click.option(*names, help=_help(option), default=None, **_kind(option))(command)
    return command


def _kind(option: Option) -> dict[str, Any]:
    match option.kind:
        case "flag":
            return {"is_flag": True}
        case "count":
            return {"count": True}
        case "choice":
            return {"type": click.Choice(option.choices)}
    return {"metavar": option.metavar}


def _help(option: Option) -> str:
    """The help, as a sentence, with the default if there is one to speak of."""
    said = option.help[0].upper() + option.help[1:].rstrip(".") + "."
    default = option.default
    return f"{said}  [default: {default}]" if isinstance(default, str) and default else said


@main.command(cls=_Grouped, epilog=STATUS)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path())
@_with_options
@click.option("--config", metavar="FILE", help="Read this config file and no other.")
@click.option("--isolated", is_flag=True, help="Read no config files.")
@click.pass_context
def check(context: click.Context, /, paths: tuple[str, ...], config: str | None, isolated: bool, **given: Any) -> None:
    """Check files, and the Python files of folders; '-' is standard input.

    Without a PATH, everything below this folder is checked. Findings are printed as flake8 prints them:

    \b
      model.py:10:32: CONV201 conv2 takes 32 input channels but is given 16 ...

    '# noqa: CONV201' at the end of a line hides a finding. Options can also stand in pyproject.toml, under
    [tool.conv-lint], and in setup.cfg, tox.ini or .flake8, under [conv-lint] or [flake8].
    """
    written = {o.name: given[o.key] for o in OPTIONS if given[o.key] is not None}
    try:
        options = settle(written, config, isolated)
        _warn_of_unknown_codes(written, options)
        context.exit(_run(paths, options))
    except ConfigError as error:
        _say(f"error: {error}")
        context.exit(2)


def _run(paths: tuple[str, ...], options: Namespace) -> int:
    """Check, print, and give the exit status."""
    from conv_lint import report
    from conv_lint.files import expand
    from conv_lint.lint import lint_all
    from conv_lint.report.text import coverage, statistics

    options.colors = _wants_colors(options)
    files, remarks = expand(paths, options)
    outcome = lint_all(files, options)
    outcome.remarks[:0] = remarks
    _write(report.lines(outcome, options), options.output_file)
    counted = itertools.chain(
        coverage(outcome) if options.unknowns else (),
        statistics(outcome) if options.statistics else (),
        [str(len(outcome.entries))] if options.count else (),
    )
    for line in counted:
        click.echo(_printable(line), err=options.format in report.FOR_PROGRAMS)
    for remark in outcome.remarks:
        _say(f"{remark.path}: {remark.text}")
    if any(remark.usage for remark in outcome.remarks):
        return 2
    return int(bool(outcome.entries) and not options.exit_zero)


def _wants_colors(options: Namespace) -> bool:
    if options.color != "auto":
        return bool(options.color == "always")
    return options.output_file is None and sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _write(lines: Iterable[str], file: str | None) -> None:
    """Print the report, or put it into a file in place of what was there."""
    if file is None:
        for line in lines:
            click.echo(_printable(line))
        return
    try:
        os.makedirs(os.path.dirname(os.path.abspath(file)), exist_ok=True)
        with open(file, "wb") as stream:
            stream.writelines(_printable(line) + b"\n" for line in lines)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None


def _printable(line: str) -> bytes:
    """UTF-8, as flake8 prints, whatever the terminal says; half a character of a source is written as an escape."""
    return line.encode("utf-8", "backslashreplace")


def _say(line: str) -> None:
    """A line on standard error."""
    click.echo(_printable(f"conv-lint: {line}"), err=True)


def _warn_of_unknown_codes(written: dict[str, Any], options: Namespace) -> None:
    """A code that there is not selects nothing, and nothing found looks like good news."""
    from conv_lint.catalogue import RULES

    for name in ("select", "extend-select"):
        for code in getattr(options, name.replace("-", "_")) or [] if name in written else []:
            if not any(known.startswith(code) for known in RULES):
                _say(f"--{name} {code}: there are no such codes; 'conv-lint rule' lists them")


# shapes -----------------------------------------------------------------------------------------------------


@main.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print.")
def shapes(paths: tuple[str, ...], form: str) -> None:
    """Say what models demand of the height and width of their input.

    \b
      net.py:12: Net takes (B, 3, H, W) with H and W at least 63; the smallest input is (1, 3, 63, 63)

    The code is read, not run. Each factory and each class of a file is asked as it is built with its defaults, in
    evaluation mode, for sizes up to 300.
    """
    import json

    from conv_lint import source
    from conv_lint.files import expand
    from conv_lint.shapes import contracts

    files, remarks = expand(paths, settle({}, isolated=True))
    found = []
    for file in files:
        text = source.read(file)
        if text is not None and source.worth_reading(text):
            found += contracts(text, file)
    if form == "json":
        click.echo(_printable(json.dumps([contract.as_dict() for contract in found], indent=2)))
    else:
        for contract in found:
            click.echo(_printable(str(contract)))
    for remark in remarks:
        _say(f"{remark.path}: {remark.text}")
    if any(remark.usage for remark in remarks):
        raise SystemExit(2)


# rule -------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("code", required=False)
def rule(code: str | None) -> None:
    """Explain a rule, by its code or name; without CODE, list them all."""
    from conv_lint import pages
    from conv_lint.catalogue import RULES

    if code is None:
        width = max(len(r.name) for r in RULES.values())
        for known in RULES.values():
            opt_in = "(opt-in) " if known.opt_in else ""
            click.echo(_printable(f"{known.code}  {known.name:<{width}}  {opt_in}{pages.summary(known.code)}"))
        return
    by_name = {**RULES, **{r.name: r for r in RULES.values()}}
    found = by_name.get(code.upper()) or by_name.get(code.lower())
    if found is None:
        near = [n for word in (code.upper(), code.lower()) for n in difflib.get_close_matches(word, by_name, n=1)]
        hint = f"did you mean {near[0]}?" if near else "'conv-lint rule' lists them"
        raise click.UsageError(f"There is no rule {code!r}; {hint}")
    click.echo(_printable(pages.page(found.code).rstrip()))


# with torch -------------------------------------------------------------------------------------------------


@main.command(epilog=VERIFIED)
@click.argument("target", metavar="FILE.py:NAME|MODULE:NAME")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    required=True,
    metavar="SHAPE",
    help="The shape of an argument of forward: 1,3,224,224. With another dtype: 1,12:long. By name: mask=1,12:bool.",
)
@click.option(
    "--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="An argument of the class or function, a literal."
)
@click.option("--train", "training", is_flag=True, help="Run it in training mode, not in evaluation mode.")
@click.option("--format", "kind", type=click.Choice(("text", "json")), default="text", help="How to print.")
@click.pass_context
def verify(context: click.Context, /, target: str, kind: str, **given: Any) -> None:
    """Compare the shapes that conv-lint reads with those of torch. THIS EXECUTES THE CODE.

    The file is imported, the class or function NAME is called (a module is taken as it is), and one forward is run
    without data. Then each call of a layer is shown with the shape that conv-lint sees without running anything, and
    the real one. A difference is a defect of conv-lint; what to report is said.
    """
    from conv_lint.report import verified

    _say(f"verify executes code: it imports and runs {target.rpartition(':')[0] or target}")
    try:
        outcome = _verify(target, **given)
    except ConfigError as error:
        _say(f"error: {error}")
        context.exit(2)
    for line in verified.lines(outcome, kind):
        click.echo(_printable(line))
    context.exit(outcome.status)


def _verify(text: str, inputs: tuple[str, ...], arguments: tuple[str, ...], training: bool) -> Verification:
    """Both halves, side by side."""
    from conv_lint import verify as static
    from conv_lint.report.verified import Verification

    target, made_with = static.parse_target(text), dict(map(static.parse_argument, arguments))
    shapes = list(map(static.parse_input, inputs))
    runtime = _runtime("verify")
    try:
        with runtime.executing(target):
            found = runtime.load(target, made_with)
            real = runtime.run(target, found, made_with, shapes, training)
    except runtime.UserError as error:
        _say(str(error))
        raise click.exceptions.Exit(2) from None
    program = static.script(target, made_with if runtime.is_made(found) else None, shapes, training)
    seen = static.interpret(target, program)
    command = ["conv-lint", "verify", text]
    command += [part for given in inputs for part in ("--input", given)]
    command += [part for given in arguments for part in ("--arg", given)]
    return Verification.of(seen, real, [*command, *["--train"] * training], runtime.versions())


@main.command()
@click.option("--seconds", type=click.FloatRange(0), default=10.0, metavar="N", help="For the random calls, at most.")
@click.pass_context
def selfcheck(context: click.Context, /, seconds: float) -> None:
    """Hold the rules against the torch that is installed: its signatures, and what it does in random calls.

    A line for each row of the op table that does not hold. Exit status: 0 if all do, 1 if not, 2 without torch.
    """
    runtime = _runtime("selfcheck")
    problems = runtime.run(seconds)
    for problem in problems:
        click.echo(_printable(str(problem)))
    rows = f"{runtime.count_rows():,} rows held against torch {runtime.torch.__version__}"
    click.echo(f"{rows}: {len(problems) or 'no'} problem{'s' * (len(problems) != 1)}")
    context.exit(int(bool(problems)))


def _runtime(name: str) -> Any:
    """A module of ``conv_lint.runtime``; without torch, a line and exit status 2."""
    import importlib

    try:
        return importlib.import_module(f"conv_lint.runtime.{name}")
    except ImportError as error:
        _say(f"error: {error}")
        raise click.exceptions.Exit(2) from None


if __name__ == "__main__":
    main()
