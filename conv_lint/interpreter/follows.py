"""Findings that say nothing new: of a tensor that an earlier finding has spoken of."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from fractions import Fraction

from conv_lint import catalogue
from conv_lint.dims import Expr, render
from conv_lint.finding import Finding, Origin, Step
from conv_lint.interpreter.ways import Scene, Scope
from conv_lint.ops.elementwise import Origins

#: So many steps before the failing call are looked at.
MOST_STEPS = 150
#: The findings of tensors that are added or joined.
OF_JOINS = (catalogue.broadcast, catalogue.concatenate)


def news(findings: Iterable[Finding]) -> list[Finding]:
    """The findings without those that only follow from an earlier one."""
    kept: list[Finding] = []
    failed: set[object] = set()
    pairs: set[object] = set()
    ratios: dict[object, object] = {}
    numbers: dict[object, frozenset[object]] = {}
    flat: set[int] = set()
    small: set[int] = set()
    for finding in findings:
        pair = _pair(finding)
        follows = (is_dark(finding) and hangs_on(finding, failed)) or _lacks_the_same(finding, flat)
        follows = follows or _is_of_too_small(finding, small)
        if not (pair in pairs or follows or _is_same_ratio(finding, ratios) or _is_repeated(finding, numbers)):
            kept.append(finding)
        failed.add(call(finding.scene))
        if finding.report.rule is not catalogue.norm_size:  # whoever takes what it passes on knows better
            numbers[call(finding.scene)] = _disagreeing(finding)
        ratios.setdefault(call(finding.scene), _ratio(finding))
        if pair is not None:
            pairs.add(pair)
    return kept


def _lacks_the_same(finding: Finding, flat: set[int]) -> bool:
    """Is it about a dimension that a tensor lacks, of which an earlier finding has said so?  ``flat`` is added to."""
    if finding.report.rule is not catalogue.dim_range:
        return False
    if any(id(step) in flat for step in steps(finding.trail)):
        return True
    flat |= {id(step) for step in finding.trail}
    return False


def _is_of_too_small(finding: Finding, small: set[int]) -> bool:
    """Is it about the heights or widths of maps of an image of which an earlier finding has said that it is too small?

    ``small`` is added to.
    """
    images = {id(step) for step in steps(finding.trail) if not step.parents and tuple.__len__(step.shape) > 2}
    if finding.report.rule is catalogue.kernel_too_large:
        small |= images
        return False
    axis = finding.report.facts.get("axis")
    return finding.report.rule in OF_JOINS and isinstance(axis, int) and axis > 1 and not images.isdisjoint(small)


def _disagreeing(finding: Finding) -> frozenset[object]:
    """The two numbers that do not fit: those of the channels, or of an axis of two tensors."""
    facts = finding.report.facts
    named = ("a", "b") if finding.report.rule in OF_JOINS else ("takes", "given")
    return frozenset(facts[name] for name in named if isinstance(facts.get(name), (int, Expr)))


def _is_repeated(finding: Finding, numbers: Mapping[object, frozenset[object]]) -> bool:
    """Do the same two numbers disagree of which one comes out of a call that could not take the other: ``x + f(x)``?"""
    mine = _disagreeing(finding)
    return len(mine) == 2 and any(numbers.get(call(step.scope)) == mine for step in steps(finding.trail))


def _ratio(finding: Finding) -> Fraction | None:
    """How many times too many there are: of the channels that a layer is given, the elements that a view asks for."""
    facts = finding.report.facts
    takes, given = facts.get("takes"), facts.get("given")
    if finding.report.rule is catalogue.view_elements:
        takes, target = facts.get("have"), facts.get("target")
        sizes = [n for n in target if isinstance(n, int) and n > 0] if isinstance(target, (tuple, list)) else []
        given = math.prod(sizes) if isinstance(target, (tuple, list)) and len(sizes) == len(target) else None
    return Fraction(given, takes) if isinstance(takes, int) and isinstance(given, int) and takes > 0 else None


def _is_same_ratio(finding: Finding, ratios: dict[object, object]) -> bool:
    """Is a view wrong by as much as a layer before it: ``y.view(b, c, 1, 1)`` of what ``SELayer(c // 4)`` has made?"""
    wrong = _ratio(finding) if finding.report.rule is catalogue.view_elements else None
    return wrong is not None and any(ratios.get(call(step.scope)) == wrong for step in steps(finding.trail))


def passed_on(findings: Iterable[Finding]) -> set[int]:
    """By their ids, the findings of a number that a norm before them could not take either, and has passed on."""
    found: set[int] = set()
    norms: dict[object, object] = {}
    for finding in findings:
        numbers = _numbers(finding) if norms else set()
        before = {one for one, number in norms.items() if number in numbers}
        if before and hangs_on(finding, before):
            found.add(id(finding))
        if finding.report.rule is catalogue.norm_size:
            norms.setdefault(call(finding.scene), finding.report.facts.get("given"))
    return found


def _numbers(finding: Finding) -> set[object]:
    """The numbers that a finding says a tensor has, or wants it to have."""
    facts = finding.report.facts
    target = facts.get("target")
    found = {facts.get(name) for name in ("given", "a", "b") if isinstance(facts.get(name), int)}
    return found | {n for n in (target if isinstance(target, (tuple, list)) else ()) if isinstance(n, int)}


def hangs_on(finding: Finding, failed: Container[object]) -> bool:
    """Has one of these calls made what a finding is about?"""
    return any(call(step.scope) in failed for step in steps(finding.trail))


def is_of_input(finding: Finding, wrong: set[object]) -> bool:
    """Comes a number of a finding from before a call that was given the wrong tensor?"""
    if not wrong:
        return False
    source = finding.report.facts.get("source")
    sources = [source, source.second] if isinstance(source, Origins) else [source]
    made = {id(origin.step) for origin in sources if isinstance(origin, Origin)}
    given = (step.parents for step in steps(finding.trail) if call(step.scope) in wrong)
    return any(id(step) in made for parents in given for step in steps(parents))


def call(scope: object) -> object:
    """What a step and the finding of a call have in common."""
    if not isinstance(scope, (Scene, Scope)):
        return None
    return id(scope.frame), id(scope.node), id(scope.layer)


def steps(trail: tuple[Step, ...]) -> Iterator[Step]:
    """The steps that led to a call, the nearest first."""
    seen: set[int] = set()
    waiting = list(trail)
    while waiting and len(seen) < MOST_STEPS:
        step = waiting.pop(0)
        if id(step) not in seen:
            seen.add(id(step))
            waiting += step.parents
            yield step


def is_dark(finding: Finding) -> bool:
    """Is one of the sizes that do not fit a mere ``?`` to the reader?"""
    sizes = (finding.report.facts.get(name) for name in ("a", "b", "given"))
    return any(isinstance(size, Expr) and render(size) == "?" for size in sizes)


def _pair(finding: Finding) -> object:
    """The two that made sizes which disagree: they also do wherever else the tensors meet."""
    source, axis = finding.report.facts.get("source"), finding.report.facts.get("axis")
    if finding.report.rule not in OF_JOINS or not isinstance(source, Origins) or not isinstance(axis, int):
        return None
    second = source.second
    if source.step is None or not isinstance(second, Origin) or second.step is None:
        return None
    return frozenset((id(source.step), id(second.step))), min(axis, 2)
