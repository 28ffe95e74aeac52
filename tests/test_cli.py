"""``conv-lint check`` as people call it: the same answers as flake8, config files, bad input, exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest
from click.testing import CliRunner
from flake8.main.cli import main as flake8_main

from conv_lint import catalogue
from conv_lint.cli import main
from conv_lint.config import OPTIONS
from tests.test_flake8 import STRICT, WRONG

#: Before click 8.2 the two streams were only kept apart if one asked for it.
RUNNER = CliRunner(**({"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}))
ROOT = Path(__file__).parent.parent
LINE = "net.py:9:32: CONV201 conv2 takes 32 input channels but is given 16 (conv1, line 8); write in_channels=16"


def run(folder: Path, *arguments: str, text: str | bytes = b"", tool: str = "conv_lint") -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a process of its own."""
    data = text.encode() if isinstance(text, str) else text
    command = [sys.executable, "-m", tool, *arguments]
    done = subprocess.run(command, cwd=folder, input=data, capture_output=True, timeout=120)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def check(folder: Path, *arguments: str, text: str | bytes = b"") -> tuple[int, list[str], list[str]]:
    """The same of ``conv-lint check``, in this process where nothing is read from standard input: it is faster."""
    if text:
        status, out, err = run(folder, "check", *arguments, text=text)
        return status, out.splitlines(), err.splitlines()
    before = os.getcwd()
    os.chdir(folder)
    try:
        done = RUNNER.invoke(main, ["check", "-j1", *arguments], catch_exceptions=False)
    finally:
        os.chdir(before)
    return done.exit_code, done.stdout.splitlines(), done.stderr.splitlines()


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(WRONG)
    return tmp_path


# the same as flake8 -----------------------------------------------------------------------------------------

#: Nested so deeply that flake8 itself ends with a RecursionError.
TOO_DEEP = "tests/fixtures/bad_input/deep_attribute.py,tests/fixtures/bad_input/long_sum.py"


def test_all_fixtures_as_flake8_prints_them() -> None:
    arguments = ["--isolated", "--select", "CONV", "--exclude", TOO_DEEP, "tests/fixtures", "examples"]
    status, printed, _ = run(ROOT, *arguments, tool="flake8")
    ours = run(ROOT, "check", *arguments)
    assert ours[:2] == (status, printed)
    assert status == 1
    assert printed.count("\n") > 100


SILENCED = f"""\
{WRONG}

nn.Conv2d(3, 8, 3, groups=2)  # noqa
nn.Conv2d(3, 8, 3, groups=2)  # NOQA : CONV201
nn.Conv2d(3, 8, 3, groups=2)  # noqa: E501, CONV1
nn.Conv2d(3, 8, 3, groups=2)  # noqa: CONV201
nn.Conv2d(3, 8, 3, groups=2)  # noqa:CONV101,E501
nn.Conv2d(
    3, 8, 3,
    groups=2,
)  # noqa: CONV101
nn.Conv2d(3, 8, 3, groups=2), '''
text  # noqa: CONV101
'''
nn.Conv2d(3, 8, 3, groups=2), \\
    1  # noqa
s = '''
'''; nn.Conv2d(3, 8, 3, groups=2)
nn.Conv2d(3, 8, 3, 2, 1)(torch.zeros(1, 3, 32, 32))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--select", "CONV"],
        ["--select", "CONV", "--disable-noqa"],
        ["--select", "CONV1,CONV302"],
        ["--select", "CONV", "--ignore", "CONV2"],
        ["--select", "CONV201", "--ignore", "CONV2"],
        ["--select", "CONV2", "--ignore", "CONV201"],
        ["--select", "CONV", "--extend-ignore", "CONV302,CONV1"],
        ["--select", "CONV", "--conv-sizes", "lossy"],
        ["--select", "CONV", "--per-file-ignores", "net.py:CONV101 other.py:CONV302"],
        ["--select", "CONV", "--per-file-ignores", "*:CONV101"],
        ["--select", "CONV", "--show-source", "--statistics", "--count"],
        ["--select", "CONV", "--exit-zero"],
        ["--select", "CONV", "-q"],
        ["--select", "CONV", "-qq"],
        ["--select", "CONV", "--exclude", "net.py"],
        ["--select", "CONV", "--extend-exclude", "sub", "net.py", "."],
        ["--select", "CONV", "--filename", "net*"],
    ],
    ids=" ".join,
)
def test_options_as_flake8_means_them(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "net.py").write_text(SILENCED)
    (tmp_path / "other.py").write_text(STRICT)
    (tmp_path / "skipped.py").write_text(WRONG + "# flake8: noqa\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "net.py").write_text(WRONG)
    monkeypatch.chdir(tmp_path)
    status = flake8_main(["--isolated", "-j1", *arguments])
    printed = capsysbinary.readouterr().out.decode()
    assert check(tmp_path, "--isolated", *arguments)[:2] == (status, printed.splitlines())


def test_without_a_selection_the_opt_in_codes_are_silent(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(STRICT)
    assert check(tmp_path, "a.py") == (0, [], [])
    for option in ("--select", "--extend-select"):
        status, (line,), _ = check(tmp_path, option, "CONV302", "a.py")
        assert status == 1
        assert " CONV302 " in line


def test_stdin(wrong: Path) -> None:
    assert check(wrong, "-", text=WRONG) == (1, [LINE.replace("net.py", "stdin")], [])
    assert check(wrong, "--stdin-display-name", "./sub/net.py", "-", text=WRONG)[1] == [f"./sub/{LINE}"]
    assert check(wrong, "--stdin-display-name", "sub/net.py", "--exclude", "sub/*", "-", text=WRONG)[:2] == (0, [])
    assert check(wrong, "-", text="x = 1\n") == (0, [], [])


def test_which_files_a_folder_has(wrong: Path) -> None:
    for folder in (".git", "__pycache__", "node_modules", "venv", "my-env/lib", "deep/er"):
        (wrong / folder).mkdir(parents=True)
        (wrong / folder / "net.py").write_text(WRONG)
    (wrong / "my-env" / "pyvenv.cfg").write_text("")
    (wrong / "net.txt").write_text(WRONG)
    assert check(wrong)[:2] == (1, [f"./deep/er/{LINE}", f"./{LINE}"])
    assert check(wrong, "net.txt")[1] == [LINE.replace("net.py", "net.txt")]
    assert check(wrong, "my-env")[1] == [f"my-env/lib/{LINE}"]


# config files -----------------------------------------------------------------------------------------------

CONFIGS = {
    "pyproject.toml": "[tool.conv-lint]\n{}\n",
    "setup.cfg": "[conv-lint]\n{}\n",
    "tox.ini": "[flake8]\n{}\n",
    ".flake8": "[flake8]\n{}\n",
}


def write_config(folder: Path, name: str, option: str, value: str) -> None:
    quoted = f'{option} = "{value}"' if name.endswith("toml") else f"{option} = {value}"
    (folder / name).write_text(CONFIGS[name].format(quoted))


@pytest.mark.parametrize("name", CONFIGS)
def test_options_in_files(wrong: Path, name: str) -> None:
    (wrong / "strict.py").write_text(STRICT)
    for option, value, shown in [
        ("select", "CONV3", ["CONV302"]),
        ("extend-select", "CONV302", ["CONV201", "CONV302"]),
        ("extend_ignore", "CONV201", []),
        ("per-file-ignores", "net.py: CONV201", []),
        ("exclude", "net.py", []),
        ("conv-sizes", "off", ["CONV201"]),
    ]:
        write_config(wrong, name, option, value)
        status, printed, said = check(wrong, ".")
        assert [line.split()[1] for line in printed] == shown, option
        assert status == bool(shown)
        assert not said
        assert check(wrong, "--isolated", ".")[1] == [f"./{LINE}"]


def test_the_command_line_wins_then_pyproject_then_the_sections_of_ini_files(wrong: Path) -> None:
    (wrong / "setup.cfg").write_text("[flake8]\nselect = CONV3\nconv-sizes = off\n[conv-lint]\nselect = CONV4\n")
    assert not check(wrong, "net.py")[1]
    (wrong / "pyproject.toml").write_text('[tool.conv-lint]\nselect = ["CONV2"]\n')
    assert check(wrong, "net.py")[1] == [LINE]
    assert not check(wrong, "--select", "CONV5", "net.py")[1]
    assert check(wrong, "--config", "pyproject.toml", "net.py")[1] == [LINE]
    assert not check(wrong, "--config", "setup.cfg", "net.py")[1]


def test_values_of_toml(wrong: Path) -> None:
    (wrong / "pyproject.toml").write_text("""
[tool.conv-lint]
extend-select = ["CONV302"]
statistics = true
jobs = 1
exclude = ["sub/*"]
[tool.conv-lint.per-file-ignores]
"net.py" = ["CONV201"]
""")
    (wrong / "sub").mkdir()
    (wrong / "sub" / "a.py").write_text(WRONG)
    (wrong / "a.py").write_text(STRICT)
    status, (line, count), _ = check(wrong)
    assert (status, line[:8], count[:13]) == (1, "./a.py:4", "1     CONV302")


def test_a_config_is_found_from_below_and_its_paths_count_from_it(wrong: Path) -> None:
    (wrong / "pyproject.toml").write_text('[tool.conv-lint]\nexclude = ["sub/skip/*"]\n')
    (wrong / "sub" / "skip").mkdir(parents=True)
    (wrong / "sub" / "skip" / "a.py").write_text(WRONG)
    (wrong / "sub" / "net.py").write_text(WRONG)
    assert check(wrong / "sub", ".")[1] == [f"./{LINE}"]


def test_what_flake8_selects_of_others_hides_nothing(wrong: Path) -> None:
    (wrong / "setup.cfg").write_text("[flake8]\nselect = E,F,W\nignore = E203,W503\nmax-line-length = x\n")
    (wrong / "strict.py").write_text(STRICT)
    assert check(wrong, ".")[:2] == (1, [f"./{LINE}"])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pyproject.toml", "[tool.conv-lint\n", "pyproject.toml: no valid TOML: "),
        ("pyproject.toml", "[tool]\nconv-lint = 3\n", "pyproject.toml: [tool.conv-lint] is no table"),
        ("pyproject.toml", "[tool.conv-lint]\nselct = 'CONV'\n", "no option 'selct' here; did you mean 'select'?"),
        ("pyproject.toml", "[tool.conv-lint]\nselect = 3\n", "select: 3 is neither a text nor a list of texts"),
        ("pyproject.toml", "[tool.conv-lint]\nformat = 'xml'\n", "'xml' is not one of text, full, json, sarif"),
        ("pyproject.toml", "[tool.conv-lint]\njobs = -1\n", "jobs: -1 is no whole number of at least 0"),
        ("pyproject.toml", "[tool.conv-lint]\ncount = 'maybe'\n", "'maybe' is neither true nor false"),
        ("pyproject.toml", b"[tool.conv-lint]\n# \xff\n", "pyproject.toml: is not UTF-8 text"),
        ("setup.cfg", "[flake8\n", "setup.cfg: "),
        ("setup.cfg", "[conv-lint]\nselect = CONV\nselect = CONV\n", "setup.cfg: "),
        ("setup.cfg", "[flake8]\nconv-sizes = all\n", "setup.cfg: [flake8]: conv-sizes: 'all' is not one of strict"),
        ("setup.cfg", "[flake8]\nper-file-ignores = CONV1\n", "per-file-ignores: "),
    ],
)
def test_a_config_that_cannot_be_read_is_one_message(wrong: Path, name: str, text: str | bytes, said: str) -> None:
    (wrong / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    status, printed, (line,) = check(wrong, "net.py")
    assert (status, printed) == (2, [])
    assert line.startswith("conv-lint: error: ")
    assert said in line


def test_a_config_file_that_is_not_there(wrong: Path) -> None:
    status, _, (line,) = check(wrong, "--config", "no.toml", "net.py")
    assert (status, line) == (2, "conv-lint: error: no.toml: cannot be read: No such file or directory")


# bad input --------------------------------------------------------------------------------------------------

TORCH = "import torch\n"
BAD = {
    "syntax error": (f"{TORCH}class\n".encode(), "not checked: invalid syntax, line 2"),
    "syntax error without torch": (b"class\n", None),
    "null byte": (f"{TORCH}x = '\0'\n".encode(), "not checked: "),
    "wrong encoding": (f"{TORCH}x = '".encode() + b"\xff'\n", None),
    "unknown encoding": (f"# coding: nobody\n{TORCH}".encode(), None),
    "nested too deeply": (f"{TORCH}x = {'-' * 5000}1\n".encode(), "not checked: "),
    "nothing": (b"", None),
    "binary": (bytes(range(256)) + TORCH.encode(), None),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line_and_the_others_are_checked(wrong: Path, name: str) -> None:
    data, said = BAD[name]
    (wrong / "bad.py").write_bytes(data)
    status, printed, lines = check(wrong, "bad.py", "net.py")
    assert (status, printed) == (1, [LINE])
    assert len(lines) == (said is not None) or name == "binary"
    assert all(line.startswith("conv-lint: bad.py: ") and (said or "") in line for line in lines)


def test_files_that_are_not_there_or_cannot_be_read(wrong: Path) -> None:
    (wrong / "gone.py").symlink_to("nowhere")
    (wrong / "folder.py").mkdir()
    (wrong / "empty").mkdir()
    assert check(wrong, ".") == (1, [f"./{LINE}"], ["conv-lint: ./gone.py: is a link to nothing"])
    status, printed, said = check(wrong, "missing.py", "gone.py", "net.py", "empty")
    assert (status, printed) == (2, [LINE])
    assert said == [
        "conv-lint: missing.py: there is no such file or folder",
        "conv-lint: gone.py: is a link to nothing",
        "conv-lint: empty: holds no files to check (*.py)",
    ]


def test_a_pipe_in_a_folder_is_passed_over(wrong: Path) -> None:
    """In a process of its own: who opens it waits for ever."""
    os.mkfifo(wrong / "pipe.py")
    assert run(wrong, "check") == (1, f"./{LINE}\n", "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(wrong: Path) -> None:
    (wrong / "secret.py").write_text(TORCH)
    (wrong / "secret.py").chmod(0)
    assert check(wrong)[1:] == ([f"./{LINE}"], ["conv-lint: ./secret.py: cannot be read: Permission denied"])


def test_a_file_that_vanishes_while_others_are_checked(wrong: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conv_lint.files.expand", lambda paths, options: (["gone.py", "net.py"], []))
    said = ["conv-lint: gone.py: cannot be read: No such file or directory"]
    assert check(wrong) == (1, [LINE], said)


def test_stdin_that_is_no_text(tmp_path: Path) -> None:
    assert check(tmp_path, "-", text=b"\xff\xfe\x00torch") == (
        0,
        [],
        ["conv-lint: -: is no text that could be decoded"],
    )


def test_our_own_fault_is_one_line(wrong: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str, path: str, measure: bool = False, inputs: object = ()) -> None:
        raise KeyError("x\ny")

    monkeypatch.setattr("conv_lint.check.check", fail)
    monkeypatch.delenv("CONV_LINT_DEBUG", raising=False)
    status, printed, (line,) = check(wrong, "net.py")
    assert (status, printed) == (0, [])
    assert line.startswith("conv-lint: net.py: not checked, because of a fault of conv-lint itself: KeyError")
    monkeypatch.setenv("CONV_LINT_DEBUG", "1")
    with pytest.raises(KeyError):
        check(wrong, "net.py")


def test_a_file_over_the_budget_says_so(wrong: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from conv_lint.check import Result

    monkeypatch.setattr("conv_lint.check.check", lambda text, path, measure, inputs: Result([], [], out_of_budget=True))
    status, printed, (line,) = check(wrong, "net.py")
    assert (status, printed) == (0, [])
    assert line == "conv-lint: net.py: took too long: what was not reached by then is not checked"


def test_a_process_that_dies_is_no_hang(wrong: Path) -> None:
    code = """
import os, sys
import conv_lint.check
from conv_lint.cli import main

parent = os.getpid()

def die(text, path, **options):
    assert os.getpid() != parent
    os._exit(9)

conv_lint.check.check = die
import multiprocessing
multiprocessing.set_start_method("fork")
main(["check", "-j2", "net.py", "./net.py"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=wrong, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "net.py: not checked: a process of conv-lint died (out of memory?)" in done.stderr
    assert "Traceback" not in done.stderr


def test_codes_that_there_are_not(wrong: Path) -> None:
    status, printed, (line,) = check(wrong, "--select", "CONV2O1,CONV2", "net.py")
    assert (status, printed) == (1, [LINE])
    assert line == "conv-lint: --select CONV2O1: there are no such codes; 'conv-lint rule' lists them"


# rules and help ---------------------------------------------------------------------------------------------


def test_the_page_of_a_rule(tmp_path: Path) -> None:
    page = (ROOT / "rules" / "CONV201.md").read_text(encoding="utf-8")
    for name in ("CONV201", "conv201", "input-channels"):
        assert run(tmp_path, "rule", name) == (0, page, "")
    status, out, err = run(tmp_path, "rule", "CONV299")
    assert (status, out) == (2, "")
    assert "did you mean CONV2" in err
    assert "Traceback" not in err


def test_the_list_of_rules(tmp_path: Path) -> None:
    _, out, _ = run(tmp_path, "rule")
    assert [line.split()[:2] for line in out.splitlines()] == [[r.code, r.name] for r in catalogue.RULES.values()]


def test_help_names_every_option(tmp_path: Path) -> None:
    status, out, _ = run(tmp_path, "check", "--help")
    assert status == 0
    assert all(f"--{option.name} " in out or f"--{option.name}\n" in out for option in OPTIONS)
    assert "check" in run(tmp_path, "--help")[1]
    assert run(tmp_path, "--version")[1].startswith("conv-lint, version ")
    assert run(tmp_path, "check", "--no-such-option")[0] == 2


# docs/ci.md -------------------------------------------------------------------------------------------------

DOCS = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"conv-lint (check(?: [\w./-]+)*)", DOCS.replace("\\", ""))))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_docs_is_one(wrong: Path, command: str) -> None:
    (wrong / "src").mkdir()
    (wrong / "net.py").rename(wrong / "src" / "net.py")
    arguments = [a for a in command.split()[1:] if a != "examples"]
    name = ["src"] if arguments and arguments[-1].startswith("--") else []
    status, _, said = check(
        wrong, *(a for a in arguments if not a.startswith("--help")), *name, text=WRONG * ("-" in arguments)
    )
    assert status == (0 if "--exit-zero" in arguments else 1), said


def test_the_config_files_of_the_docs(wrong: Path) -> None:
    (wrong / "legacy").mkdir()
    (wrong / "legacy" / "net.py").write_text(WRONG)
    (wrong / "a.py").write_text(STRICT)
    toml, ini = re.search(r"```toml\n(.*?)```", DOCS, re.DOTALL), re.search(r"```ini\n(.*?)```", DOCS, re.DOTALL)
    assert toml is not None
    assert ini is not None
    (wrong / "pyproject.toml").write_text(toml[1])
    assert check(wrong)[1] == [f"./{LINE}"]
    (wrong / "pyproject.toml").unlink()
    (wrong / "setup.cfg").write_text(ini[1])
    assert [line.split()[1] for line in check(wrong)[1]] == ["CONV302", "CONV201"]


def test_the_patterns_of_the_editors_match_a_line() -> None:
    pattern = re.search(r'"regexp": "(.*)"', DOCS)
    assert pattern is not None
    match = re.fullmatch(json.loads(f'"{pattern[1]}"'), LINE)
    assert match is not None
    assert match.groups()[:4] == ("net.py", "9", "32", "CONV201")


def test_the_hook_for_pre_commit_calls_the_command() -> None:
    assert "entry: conv-lint check\n" in (ROOT / ".pre-commit-hooks.yaml").read_text()
