"""The laws of the house, each as a test (ARCHITECTURE.md names them)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conv_lint import catalogue
from conv_lint.cache import VARIABLE
from conv_lint.flake8_plugin import OPT_IN

PACKAGE = Path(catalogue.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def loaded_after(code: str) -> set[str]:
    """Which of libcst and torch a fresh interpreter has loaded after some code."""
    text = f"{code}\nimport sys\nprint(*(m for m in ('libcst', 'torch') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("name", ["dims", "values", "finding", "catalogue", "ops", "inputs"])
def test_the_pure_layers_load_neither_libcst_nor_torch(name: str) -> None:
    assert not loaded_after(f"import conv_lint.{name}")


def test_a_file_without_torch_pays_for_neither() -> None:
    code = """
from conv_lint.flake8_plugin import Plugin
assert not list(Plugin(None, "a.py", ["import os\\n", "# torch\\n", "print(os)\\n"]).run())
"""
    assert not loaded_after(code)


def test_the_door_loads_neither() -> None:
    assert not loaded_after("import conv_lint.flake8_plugin, conv_lint")


def test_the_command_line_loads_neither_before_a_file_is_worth_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.py"
    code = f"""
import os, sys
from conv_lint.cli import main
sys.stdout = open(os.devnull, "w")
for arguments in (["rule"], ["rule", "CONV201"], ["check", "--help"], ["check", "-j1", "--isolated", {str(file)!r}]):
    main(arguments, standalone_mode=False)
sys.stdout = sys.__stdout__
"""
    file.write_text("import os\n")
    assert not loaded_after(code)
    file.write_text("import torch\n")
    assert loaded_after(code) == {"libcst"}
    monkeypatch.setenv(VARIABLE, str(tmp_path / "kept"))
    assert loaded_after(code) == {"libcst"}
    assert not loaded_after(code)  # nothing has changed since


def test_a_checked_file_never_loads_torch() -> None:
    code = "from conv_lint import check_source\ncheck_source('import torch\\ntorch.nn.Conv2d(3, 4, 3)\\n')"
    assert loaded_after(code) == {"libcst"}


def imports(path: Path) -> set[str]:
    """The modules that a file imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_file_keeps_to_its_layer(path: Path) -> None:
    names = imports(path)
    if "runtime" not in path.relative_to(PACKAGE).parts:
        assert not any(n == "torch" or n.startswith("torch.") for n in names)
    assert path.name == "tree.py" or not any("libcst._" in n for n in names)
    if path.parent.name == "ops" or path.name in ("dims.py", "values.py", "finding.py", "catalogue.py", "inputs.py"):
        assert not any(n.startswith(("libcst", "conv_lint.interpreter")) for n in names)


def test_no_file_is_a_heap() -> None:
    long = {p.name: n for p in FILES if (n := p.read_text(encoding="utf-8").count("\n")) > 620}
    assert not long
    assert not [p for p in FILES if p.name in ("utils.py", "helpers.py", "common.py")]


def test_each_code_is_declared_once() -> None:
    rules = [v for v in vars(catalogue).values() if isinstance(v, catalogue.Rule)]
    assert len({r.code for r in rules}) == len({r.name for r in rules}) == len(rules)
    source = (PACKAGE / "catalogue.py").read_text(encoding="utf-8")
    assert sorted(re.findall(r'^    "(CONV\d{3})",$', source, re.MULTILINE)) == sorted(r.code for r in rules)
    declared = re.compile(r"\bRule\(")
    assert [p.name for p in FILES if declared.search(p.read_text(encoding="utf-8"))] == ["catalogue.py"]


def test_the_plugin_hides_what_the_catalogue_calls_opt_in() -> None:
    """The plugin keeps its own list, so that a file without torch need not load the catalogue."""
    assert {r.code for r in catalogue.RULES.values() if r.opt_in} == set(OPT_IN)
