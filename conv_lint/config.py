"""The options: one table for the command line, the config files and the flake8 plugin; and how config files are read.

What is said twice is decided in this order: the command line, ``[tool.conv-lint]`` of pyproject.toml, ``[conv-lint]``
and then ``[flake8]`` of setup.cfg, tox.ini or .flake8, the default.  Of ``[flake8]`` only what concerns this plugin is
taken: ``select = E,F`` there is no wish to see nothing here.
"""

from __future__ import annotations

import configparser
import difflib
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from conv_lint import configured

#: Codes that are not shown unless they are selected.
OPT_IN = ["CONV302"]
#: What ``conv-sizes`` may be, and the codes that are left out then.
SIZES = {"strict": (), "lossy": ("CONV302",), "off": ("CONV301", "CONV302")}
FORMATS = ("text", "full", "json", "sarif", "github", "gitlab")
#: What flake8 leaves out, and what else holds other people's code.  Virtual environments are known by pyvenv.cfg, too.
EXCLUDE = (
    *(".svn", "CVS", ".bzr", ".hg", ".git", "__pycache__", ".tox", ".nox", ".eggs", "*.egg"),
    *(".venv", "venv", "node_modules"),
)

Kind = Literal["codes", "paths", "patterns", "mapping", "text", "choice", "flag", "count", "jobs", "inputs"]


class ConfigError(Exception):
    """A value or a file that cannot be used.  The message is one line for the user."""


@dataclass(frozen=True)
class Option:
    """One option.

    ``files`` says in which config files it may stand: in none, in the sections of conv-lint, or also in ``[flake8]``.
    ``plugin`` marks those that flake8 has only because of the plugin; it registers them from this table.
    """

    name: str
    kind: Kind
    help: str
    default: Any = None
    files: Literal["none", "own", "flake8"] = "flake8"
    group: str = "Which findings"
    short: str | None = None
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    plugin: bool = False

    @property
    def key(self) -> str:
        """The name as an attribute."""
        return self.name.replace("-", "_")


OPTIONS = (
    Option("select", "codes", "Show only these codes: CONV2 stands for all that begin so.", metavar="CODES"),
    Option("extend-select", "codes", "Show these codes too, such as the opt-in CONV302.", metavar="CODES"),
    Option("ignore", "codes", "Hide these codes, and show the opt-in ones unless they are named.", metavar="CODES"),
    Option("extend-ignore", "codes", "Hide these codes too.", metavar="CODES"),
    Option("per-file-ignores", "mapping", "Hide codes in some files: 'old/*:CONV201'.", "", metavar="FILES:CODES"),
    Option("disable-noqa", "flag", "Show what '# noqa' comments hide.", default=False),
    Option(
        "conv-sizes",
        "choice",
        "sizes that are not whole: report all that are selected (strict), only lossy ones, or none (off)",
        default="strict",
        choices=tuple(SIZES),
        plugin=True,
    ),
    Option(
        "conv-inputs",
        "inputs",
        "shapes of inputs by the name of a class or factory: 'Net = 1,3,224,224'",
        default="",
        metavar="NAME=SHAPE",
        plugin=True,
    ),
    Option(
        "exclude",
        "paths",
        "Leave out these files and folders, instead of .git, __pycache__, venv, node_modules and the like.",
        default=EXCLUDE,
        group="Which files",
        metavar="PATTERNS",
    ),
    Option("extend-exclude", "paths", "Leave out these too.", default=(), group="Which files", metavar="PATTERNS"),
    Option(
        "filename", "patterns", "Which files of a folder to check.", ("*.py",), group="Which files", metavar="PATTERNS"
    ),
    Option(
        "stdin-display-name",
        "text",
        "The name of what '-' reads; imports are looked up from there.",
        default="stdin",
        files="none",
        group="Which files",
        metavar="NAME",
    ),
    Option("jobs", "jobs", "Processes: a number or 'auto'.", "auto", group="Which files", short="-j", metavar="N"),
    Option(
        "no-cache",
        "flag",
        "Check again what has not changed since it was checked last.",
        default=False,
        files="own",
        group="Which files",
    ),
    Option("format", "choice", "How to print.", "text", files="own", group="Output", choices=FORMATS),
    Option("output-file", "text", "Write the report there.", files="none", group="Output", metavar="FILE"),
    Option(
        "unknowns",
        "flag",
        "List what was not understood (CONV901), and how many of the layers were checked.",
        default=False,
        files="own",
        group="Output",
    ),
    Option("show-source", "flag", "Show the source line below each finding.", default=False, group="Output"),
    Option("statistics", "flag", "Count the findings of each code.", default=False, group="Output"),
    Option("count", "flag", "Print the number of findings at the end.", default=False, group="Output"),
    Option("quiet", "count", "Only file names (-q), or nothing (-qq).", default=0, group="Output", short="-q"),
    Option(
        "color",
        "choice",
        "Colors: on a terminal, always, or never.",
        default="auto",
        files="none",
        group="Output",
        choices=("auto", "always", "never"),
    ),
    Option("exit-zero", "flag", "Exit with 0 even if there are findings.", default=False, files="none", group="Output"),
)
_BY_NAME = {o.name: o for o in OPTIONS}

#: What flake8's own classes read besides; nothing here depends on it.
_FOR_FLAKE8 = {
    "extended_default_select": ["CON"],
    "extended_default_ignore": OPT_IN,
    "hang_closing": False,
    "indent_size": 4,
    "max_line_length": 79,
    "max_doc_length": None,
    "verbose": 0,
}


def settle(given: Mapping[str, object], config: str | None = None, isolated: bool = False) -> Namespace:
    """All options, from the command line (only what was given there), the config files and the defaults.

    Names are those of flake8's own options, so that its classes take the result.  Raises ``ConfigError``.
    """
    settled = {o.key: parse(o, o.default, os.curdir) for o in OPTIONS}
    if not isolated:
        for place, section, folder in _sections(config):
            settled.update(_read_section(place, section, folder))
    for name, value in given.items():
        settled[name.replace("-", "_")] = _parse_at(f"--{name}", _BY_NAME[name], value, os.curdir)
    return Namespace(**settled, **_FOR_FLAKE8)


# values -----------------------------------------------------------------------------------------------------


def parse(option: Option, value: object, folder: str) -> object:
    """The value of an option from what a config file or the command line has; paths count from ``folder``."""
    if value is None:
        return None
    match option.kind:
        case "codes" | "patterns":
            return _words(value)
        case "paths":
            from flake8.utils import normalize_paths

            return normalize_paths(_words(value), folder)
        case "mapping":
            return _mapping(value)
        case "flag":
            return _flag(value)
        case "inputs":
            try:
                return configured.parse(value)
            except ValueError as error:
                raise ConfigError(str(error)) from None
        case "count":
            return _whole(value, least=0)
        case "jobs":
            return "auto" if value == "auto" else _whole(value, least=0)
        case "choice" if value not in option.choices:
            raise ConfigError(f"{value!r} is not one of {', '.join(option.choices)}")
        case _ if not isinstance(value, str):
            raise ConfigError(f"{value!r} is no text")
    return value


def _parse_at(place: str, option: Option, value: object, folder: str) -> object:
    """The same; an error also says where the value was given."""
    try:
        return parse(option, value, folder)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None


def _words(value: object) -> list[str]:
    """A list, or a text with commas or white space in between."""
    if isinstance(value, str):
        return value.replace(",", " ").split()
    if isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
        return list(value)
    raise ConfigError(f"{value!r} is neither a text nor a list of texts")


def _mapping(value: object) -> str:
    """``per-file-ignores`` as flake8 writes it; in TOML it may also be a table of files and their codes."""
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {','.join(_words(codes))}" for name, codes in value.items())
    if isinstance(value, list):
        return "\n".join(_words(value))
    if not isinstance(value, str):
        raise ConfigError(f"{value!r} is neither a text nor a table")
    return value


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    known = configparser.RawConfigParser.BOOLEAN_STATES
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    raise ConfigError(f"{value!r} is neither true nor false")


def _whole(value: object, least: int) -> int:
    try:
        number = int(value) if isinstance(value, (int, str)) else least - 1
    except ValueError:
        number = least - 1
    if number < least:
        raise ConfigError(f"{value!r} is no whole number of at least {least}")
    return number


# files ------------------------------------------------------------------------------------------------------


def _read_section(place: str, section: Mapping[str, object], folder: str) -> Iterator[tuple[str, object]]:
    """The options of one section.  In ``[flake8]`` other names belong to others; elsewhere they are mistakes."""
    of_flake8 = place.endswith("[flake8]")
    for written, value in section.items():
        name = written.replace("_", "-")
        option = _BY_NAME.get(name)
        if option is None or option.files == "none" or (of_flake8 and option.files != "flake8"):
            if of_flake8:
                continue
            known = [o.name for o in OPTIONS if o.files != "none"]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ConfigError(f"{place}: there is no option {written!r} here; {hint}")
        parsed = _parse_at(f"{place}: {written}", option, value, folder)
        if of_flake8 and option.kind == "codes" and isinstance(parsed, list):
            parsed = [code for code in parsed if code.startswith("CONV") or "CONV".startswith(code)] or None
        yield option.key, parsed


def _sections(config: str | None) -> list[tuple[str, Mapping[str, object], str]]:
    """The sections that count, the strongest last: a name for messages, the keys, and the folder paths count from.

    Each is the nearest of its kind, from the working directory upwards, as flake8 looks for its own.
    """
    kinds = ("flake8", "conv-lint", "tool.conv-lint")
    found: dict[str, tuple[str, Mapping[str, object], str]] = {}
    for file in [config] if config is not None else _candidates():
        for kind, keys in _sections_of(Path(file), named=config is not None).items():
            found.setdefault(kind, (f"{file}: [{kind}]", keys, os.path.dirname(file) or os.curdir))
    if config is not None and not found:
        raise ConfigError(f"{config}: there is none of the sections {', '.join(f'[{k}]' for k in kinds)}")
    return [found[k] for k in kinds if k in found]


def _candidates() -> Iterator[str]:
    """The names of files that may hold options, from the working directory up to the home directory or the root."""
    home, folder = os.path.expanduser("~"), os.getcwd()
    here = folder
    while folder == here or folder != home:
        for name in ("pyproject.toml", "setup.cfg", "tox.ini", ".flake8"):
            file = os.path.join(folder, name)
            if os.path.isfile(file):
                yield os.path.relpath(file)
        if folder == os.path.dirname(folder):
            return
        folder = os.path.dirname(folder)


def _sections_of(file: Path, named: bool) -> dict[str, Mapping[str, object]]:
    """The sections of a file that concern conv-lint, by their kind."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not UTF-8 text") from None
    if file.suffix == ".toml":
        return _sections_of_toml(file, text)
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ConfigError(f"{file}: {' '.join(str(error).replace('<string>', 'the file').split())}") from None
    return {kind: dict(parser[kind]) for kind in ("flake8", "conv-lint") if kind in parser}


def _sections_of_toml(file: Path, text: str) -> dict[str, Mapping[str, object]]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        tool = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: no valid TOML: {error}") from None
    ours = tool.get("conv-lint") if isinstance(tool, dict) else None
    if ours is not None and not isinstance(ours, dict):
        raise ConfigError(f"{file}: [tool.conv-lint] is no table")
    return {} if ours is None else {"tool.conv-lint": ours}
