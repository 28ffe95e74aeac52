"""The formats of ``conv-lint check``, over all faulty fixtures and for odd names and messages."""

from __future__ import annotations

import json
import pickle
import re
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conv_lint import __version__, catalogue, config, report
from conv_lint.files import Remark
from conv_lint.lint import lint_all
from conv_lint.report.entry import Entry, Outcome, Spot, Step, with_fingerprints
from conv_lint.report.text import statistics
from tests.test_cli import LINE, check
from tests.test_flake8 import STRICT, WRONG

FIXTURES = sorted((Path(__file__).parent / "fixtures" / "faulty").glob("*.py"))
CARET = """\
  |
9 |         self.conv2 = nn.Conv2d(32, 64, 3)
  |                                ^^
  = the shapes on the way:
    conv1  (?, 16, ?, ?)  line 8
  = reached by: line 6, line 12
  = more: conv-lint rule CONV201

1 finding in 1 file
"""
FORMATS = list(report.FORMATS)


def options(**given: Any) -> Namespace:
    settled = config.settle({k.replace("_", "-"): v for k, v in given.items()}, isolated=True)
    settled.colors = False
    return settled


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """Everything that is found in the faulty fixtures."""
    return lint_all([str(f) for f in FIXTURES], options(select="CONV", jobs="1"))


@pytest.fixture
def one(tmp_path: Path) -> Outcome:
    """One finding."""
    (tmp_path / "net.py").write_text(WRONG)
    return lint_all([str(tmp_path / "net.py")], options())


def printed(name: str, outcome: Outcome, **given: Any) -> str:
    return "\n".join(report.lines(outcome, options(format=name, **given)))


# every format -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_names_every_finding(outcome: Outcome, name: str) -> None:
    assert len(outcome.entries) > 100
    text = printed(name, outcome)
    for found in outcome.entries:
        assert Path(found.spot.path).name in text
        assert found.code in text


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.py").write_text("import torch\n")
    status, lines, said = check(tmp_path, "--format", name, "a.py")
    assert (status, said) == (0, [])
    assert lines == {"json": ["[]"], "gitlab": ["[]"]}.get(name, lines if name == "sarif" else [])


@pytest.mark.parametrize("name", FORMATS)
def test_into_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "net.py").write_text(WRONG)
    _, lines, _ = check(tmp_path, "--format", name, "net.py")
    for _ in range(2):  # the second run replaces what the first one wrote
        assert check(tmp_path, "--format", name, "--output-file", "out/report", "net.py") == (1, [], [])
        assert (tmp_path / "out" / "report").read_text().splitlines() == lines
    status, _, said = check(tmp_path, "--output-file", "net.py/x", "net.py")
    assert status == 2
    assert said[0].startswith("conv-lint: error: net.py/x: cannot be written: ")


def test_what_programs_read_is_not_mixed_with_counts(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(WRONG)
    _, lines, said = check(tmp_path, "--format", "json", "--count", "--statistics", "net.py")
    assert len(json.loads("\n".join(lines))) == 1
    assert said == [f"1     {LINE.split(maxsplit=1)[1]}", "1"]


# entries ----------------------------------------------------------------------------------------------------


def test_an_entry_can_be_sent_to_another_process(outcome: Outcome) -> None:
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_processes_give_the_same_as_one(outcome: Outcome) -> None:
    assert lint_all([str(f) for f in FIXTURES], options(select="CONV", jobs="2")) == outcome


def test_a_spot_is_the_text_that_is_meant(outcome: Outcome) -> None:
    by_code: dict[str, set[str]] = {}
    for found in outcome.entries:
        spot = found.spot
        assert (spot.line, spot.column) < (spot.end_line, spot.end_column)
        lines = Path(spot.path).read_text(encoding="utf-8").split("\n")
        assert spot.end_column <= len(lines[spot.end_line - 1]) + 1
        if spot.line == spot.end_line:
            by_code.setdefault(found.code, set()).add(found.text[spot.column - 1 : spot.end_column - 1])
    assert "32" in by_code["CONV201"]
    for texts in by_code.values():
        assert not [t for t in texts if t != t.strip() or t.endswith(",")]


def test_a_fingerprint_stays_when_lines_move(tmp_path: Path) -> None:
    def marks(text: str) -> list[str]:
        (tmp_path / "net.py").write_text(text)
        return [found.fingerprint for found in lint_all([str(tmp_path / "net.py")], options()).entries]

    twice = f"{WRONG}\n\nnn.Conv2d(3, 8, 3, groups=2)\nnn.Conv2d(3, 8, 3, groups=2)\n"
    before, after = marks(twice), marks(f"# moved\n\n{twice}")
    assert before == after
    assert len(set(before)) == 3
    assert marks(twice.replace("32, 64", "33, 64"))[0] != before[0]


def test_facts_are_plain(outcome: Outcome) -> None:
    facts = {name: value for found in outcome.entries for name, value in found.facts.items()}
    assert json.loads(json.dumps(facts)) == facts
    assert not [value for value in facts.values() if " object at 0x" in str(value)]


# text -------------------------------------------------------------------------------------------------------


def test_full_shows_the_line_and_the_steps(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(WRONG)
    _, lines, _ = check(tmp_path, "--format", "full", "net.py")
    assert lines[0] == LINE
    assert lines[1:4] == CARET.splitlines()[:3]
    assert lines[4] == "  = the shapes on the way:"
    assert re.fullmatch(r"    conv1  +\(.*16.*\)  line 8", lines[6] if "conv1" in lines[6] else lines[5])
    assert lines[-3:] == ["  = more: conv-lint rule CONV201", "", "1 finding in 1 file"]


def test_full_keeps_tabs_and_marks_the_first_of_several_lines() -> None:
    found = made(text="\tx = f(a,", spot=Spot("a.py", 12, 6, 13, 9))
    lines = printed("full", Outcome([found])).splitlines()
    assert lines[2:4] == ["12 | \tx = f(a,", "   | \t    ^^^^"]


def test_full_leaves_out_the_middle_of_a_long_way() -> None:
    way = tuple(Step(f"conv{i}", f"({i},)", None) for i in range(100))
    lines = printed("full", Outcome([made(trails=(way,))])).splitlines()
    assert [line.split()[0] for line in lines if "conv" in line and "(" in line][1:3] == ["conv1", "conv2"]
    assert "    ... 80 more" in lines


def test_full_shows_what_two_ways_share_once() -> None:
    start = tuple(Step(f"start{i}", "()", None) for i in range(3))
    left, right = (*start, Step("left", "()", None)), (*start, Step("right", "()", None))
    lines = printed("full", Outcome([made(trails=(left, right))]))
    assert (lines.count("start0"), lines.count("start1"), lines.count("start2")) == (1, 1, 2)
    assert "= and of the other tensor:" in lines


def test_colors(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(WRONG)
    for name in ("text", "full"):
        _, plain, _ = check(tmp_path, "--format", name, "net.py")
        _, colored, _ = check(tmp_path, "--format", name, "--color", "always", "net.py")
        assert "\033[" in colored[0]
        assert [re.sub(r"\033\[\d*m", "", line) for line in colored] == plain


def test_statistics(tmp_path: Path) -> None:
    for name, text in (("b.py", WRONG), ("a.py", WRONG), ("c.py", STRICT)):
        (tmp_path / name).write_text(text)
    found = lint_all([str(tmp_path / f"{n}.py") for n in "bca"], options(select="CONV"))
    first, second = statistics(found)
    assert first.startswith("2     CONV201 conv2 takes")
    assert second.startswith("1     CONV302 ")


def test_half_a_character_is_printed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from torch import nn\n\nnn.Conv2d(3, 8, 3, padding='\\udcff')\n")
    (line,) = check(tmp_path, "--select", "CONV", "a.py")[1]
    assert "CONV106" in line
    assert "\\udcff" in line


# json -------------------------------------------------------------------------------------------------------


def test_json(one: Outcome) -> None:
    (found,) = json.loads(printed("json", one))
    assert found["code"] == "CONV201"
    assert found["name"] == "input-channels"
    assert found["message"] == LINE.split(maxsplit=2)[2]
    assert found["path"].endswith("net.py")
    assert (found["position"], found["end"]) == ({"line": 9, "column": 32}, {"line": 9, "column": 34})
    facts = found["facts"]
    assert (facts["takes"], facts["given"], facts["fix"]) == (32, 16, "in_channels=16")
    assert (facts["source"]["label"], facts["source"]["line"]) == ("conv1", 8)
    (way,) = found["trail"]
    assert (way[-1]["label"], way[-1]["position"]["line"]) == ("conv1", 8)
    assert "16" in way[-1]["shape"]


# sarif ------------------------------------------------------------------------------------------------------


def test_sarif_has_what_the_specification_requires(outcome: Outcome) -> None:
    """The properties that SARIF 2.1.0 calls required, and the limits it sets (sections 3.13 to 3.58)."""
    found = replace(outcome.entries[0], spot=Spot("a dir/ä,%.py", 1, 1, 1, 2))
    remarks = [Remark("b.py", "not checked"), Remark("c.py", "there is no such file", usage=True)]
    log = json.loads(printed("sarif", Outcome([*outcome.entries, found], remarks)))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["semanticVersion"]) == ("conv-lint", __version__)
    assert re.fullmatch(r"\d+\.\d+\.\d+", driver["semanticVersion"])
    assert [rule["id"] for rule in driver["rules"]] == list(catalogue.RULES)
    for rule in driver["rules"]:
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
        assert all(rule[key]["text"] for key in ("shortDescription", "fullDescription", "help"))
        assert rule["help"]["markdown"].startswith(f"# {rule['id']}: ")
    assert {r["id"] for r in driver["rules"] if not r["defaultConfiguration"]["enabled"]} == {"CONV302"}
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [n["level"] for n in invocation["toolExecutionNotifications"]] == ["warning", "error"]
    assert run["columnKind"] == "unicodeCodePoints"
    assert len(run["results"]) == len(outcome.entries) + 1
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("note", "warning", "error")
        assert result["message"]["text"]
        assert result["partialFingerprints"]
        assert all(flow["threadFlows"][0]["locations"] for flow in result.get("codeFlows", []))
    for place in _places(run["results"]):
        assert re.fullmatch(r"(file:///)?[\w/.%~-]+", place["artifactLocation"]["uri"], re.ASCII)
        region = place["region"]
        assert 1 <= region["startLine"] <= region["endLine"]
        assert min(region["startColumn"], region["endColumn"]) >= 1
    assert (
        run["results"][-1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20dir/%C3%A4%2C%25.py"
    )


def _places(tree: Any) -> Iterator[dict[str, Any]]:
    """Every physical location, wherever it stands."""
    if isinstance(tree, dict):
        if "physicalLocation" in tree:
            yield tree["physicalLocation"]
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from _places(part)


# github and gitlab ------------------------------------------------------------------------------------------


def made(**given: Any) -> Entry:
    """A finding of CONV201 with something of it changed."""
    plain = Entry("CONV201", "it is wrong", Spot("a.py", 2, 3, 2, 5), {}, (), (), "", "x = 1")
    return replace(plain, **given)


def test_github_escapes_what_would_end_a_command() -> None:
    found = made(message="50% of\r\n1:2, ::error::", spot=Spot("./odd,name: 1%.py", 2, 3, 2, 5))
    assert printed("github", Outcome([found])) == (
        "::error file=odd%2Cname%3A 1%25.py,line=2,endLine=2,col=3,endColumn=5,title=CONV201"
        "::50%25 of%0D%0A1:2, ::error::"
    )


def test_github_has_levels_and_no_columns_of_several_lines() -> None:
    entries = [made(code="CONV302"), made(code="CONV901", spot=Spot("a.py", 2, 3, 4, 1))]
    first, second = printed("github", Outcome(entries)).splitlines()
    assert first.startswith("::warning file=a.py,line=2,endLine=2,col=3,endColumn=5,title=CONV302::")
    assert second.startswith("::notice file=a.py,line=2,endLine=4,title=CONV901::")


def test_gitlab() -> None:
    entries = with_fingerprints([made(spot=Spot("./sub/a.py", 2, 3, 4, 5)), made(code="CONV302")])
    first, second = json.loads(printed("gitlab", Outcome(entries)))
    assert first["location"] == {"path": "sub/a.py", "lines": {"begin": 2, "end": 4}}
    assert (first["check_name"], first["severity"], second["severity"]) == ("CONV201", "major", "minor")
    assert first["description"] == "CONV201 it is wrong"
    assert len({first["fingerprint"], second["fingerprint"]}) == 2


def test_paths_below_the_working_directory_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Spot(str(tmp_path / "sub" / "a.py"), 1, 1, 1, 1).portable == "sub/a.py"
    assert Spot(str(tmp_path.parent / "a.py"), 1, 1, 1, 1).portable == str(tmp_path.parent / "a.py")
    assert Spot("./a.py", 1, 1, 1, 1).portable == "a.py"
