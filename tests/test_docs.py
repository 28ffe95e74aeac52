"""The examples of the documentation are true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from conv_lint.cli import main
from conv_lint.configured import parse
from tests.fixture_reader import differences, expectations

ROOT = Path(__file__).parent.parent
INPUTS = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", INPUTS, re.DOTALL)


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "python"], ids=lambda t: t.splitlines()[-1])
def test_each_block_of_the_inputs_page_is_found_as_it_says(text: str) -> None:
    wrong = differences(text, "page.py", expectations(text))
    assert not [w for w in wrong if "CONV302" not in w]


def test_the_configuration_shown_can_be_read() -> None:
    (ini,) = [text for kind, text in BLOCKS if kind == "ini"]
    assert [one.pattern for one in parse(ini.partition("conv-inputs =")[2])] == ["Net", "models.unet.*", "Siamese"]


def test_the_shapes_shown_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    printed = CliRunner().invoke(main, ["shapes", "examples"]).stdout.splitlines()
    (shown,) = [text for kind, text in BLOCKS if kind == "text"]
    command, *lines = shown.splitlines()
    assert command == "$ conv-lint shapes examples"
    assert lines
    assert [line for line in lines if line not in printed] == []
