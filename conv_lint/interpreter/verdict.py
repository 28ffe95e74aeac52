"""Who is to blame, once the whole file has run.

When a layer is given a wrong number of channels, the finding stands where the layer was made.  Often the program itself
says that another place is wrong, but only when all of it has run: a layer that was constructed and never called, a
tensor or a parameter that has the missing number and is never read.  Such a finding moves there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from conv_lint import catalogue
from conv_lint.finding import Finding, Report
from conv_lint.interpreter.follows import OF_JOINS, call, is_dark, is_of_input, news, passed_on
from conv_lint.interpreter.idle import Idle
from conv_lint.interpreter.judge import OF_CHANNELS
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.made import Made
from conv_lint.interpreter.ways import Scene


def judged(machine: Machine) -> list[Finding]:
    """The findings of a run, each where the evidence of the whole file says that it belongs."""
    groups: dict[object, list[Finding]] = {}
    for finding in news(_with_numbers(machine.findings)):
        groups.setdefault(_cause(finding), []).append(finding)
    wrong: set[object] = set()
    found = [finding for group in groups.values() for finding in _judged(group, machine, wrong)]
    found += _of_users(machine)
    # What a norm has passed on is said once, by the norm, unless there is evidence for another place: then it is kept.
    said = passed_on(machine.findings)
    found = [finding for finding in found if not is_of_input(finding, wrong) and id(finding) not in said]
    return [finding for finding in found if not _is_right_elsewhere(finding, machine)]


def _with_numbers(findings: Sequence[Finding]) -> list[Finding]:
    """What the file itself has wrong; where it cannot say a number, as a model that uses it shows it."""
    told = {(f.code, f.place.key): f for f in reversed(findings) if not is_dark(f)}
    own = (finding for finding in findings if not finding.of_user)
    shown = ((f, told.get((f.code, f.place.key)) if is_dark(f) else None) for f in own)
    return [replace(user, of_user=False) if user is not None else finding for finding, user in shown]


def _is_right_elsewhere(finding: Finding, machine: Machine) -> bool:
    """Does it speak of a comment that is right for another model of the file?"""
    return finding.report.rule is catalogue.shape_annotation and id(finding.place.node) in machine.right_comments


def _of_users(machine: Machine) -> list[Finding]:
    """What several users of the file show, each with numbers of its own: then it is not they who are wrong."""
    groups: dict[object, dict[object, Finding]] = {}
    for finding in (finding for finding in machine.findings if finding.of_user):
        facts = finding.report.facts
        numbers = tuple(facts.get(name) for name in ("takes", "given", "a", "b"))
        if any(isinstance(number, int) for number in numbers):
            groups.setdefault((finding.code, finding.place.key), {}).setdefault(numbers, finding)
    found: list[Finding] = []
    for group in groups.values():
        first = next(iter(group.values()))
        verdict = _Judge(first, machine).verdict(sure=True) if isinstance(first.scene, Scene) else None
        if verdict is not None:
            found.append(verdict)
        elif len(group) >= SEVERAL:  # what to write is another number for each of them
            found.append(replace(first, report=Report(first.report.rule, {**first.report.facts, "fix": None})))
    return found


#: So many different pairs of numbers that disagree at one place are no mistake of those who give them.
SEVERAL = 2


def _cause(finding: Finding) -> object:
    """What findings have in common that would stand at one place, if none of them was moved."""
    scene = finding.scene
    if isinstance(scene, Scene) and finding.report.rule in OF_JOINS:
        return finding.code, id(scene.node)
    return finding.code, finding.place.key


def _judged(group: list[Finding], machine: Machine, wrong: set[object]) -> list[Finding]:
    """One mistake is one finding: those that have no place of their own go with those that have one.

    ``wrong``: the calls that turn out to be given a wrong tensor are added.
    """
    moved = [f for f in group if isinstance(f.scene, Scene) and f.report.rule in OF_JOINS and _is_elsewhere(f, f.scene)]
    for finding in moved:
        better = _Judge(finding, machine)
        verdict = better.left_out() or better.uncalled() or better.misnamed(lost=True)
        if verdict is not None:
            return [verdict]
    for position, finding in enumerate(group if not moved else []):
        if isinstance(finding.scene, Scene):
            judge = _Judge(finding, machine)
            verdict = judge.verdict(sure=position > 0)
            if verdict is not None:
                wrong |= {call(f.scene) for f in group} if judge.of_input else set()
                return [verdict]
    return moved[:1] or group


def _is_elsewhere(finding: Finding, scene: Scene) -> bool:
    return finding.place.node is not scene.node and finding.report.facts.get("fix") is not None


#: What is wrong with the arguments of a layer by themselves.
OF_ARGUMENTS = tuple(r for r in catalogue.RULES.values() if r.code.startswith("CONV1") and r.code < "CONV112")


class _Judge(Idle, Made):
    """All that may speak for another place."""

    def verdict(self, sure: bool) -> Finding | None:
        """The finding at another place, if there is evidence for one; ``sure``: what is never called or never read."""
        rules: list[Callable[[], Finding | None]] = []
        rule = self.finding.report.rule
        if rule in OF_CHANNELS:
            rules = [
                self.one_image,
                self.renamed,
                self.edited,
                self.other_layer,
                self.repeated_layer,
                self.skipped_layer,
                self.other_tensor,
                self.overwritten,
                self.skipped_before,
            ]
            rules += [self.joined_elsewhere, self.left_out, self.other_number, self.misnamed, self.only_here]
            others = [
                self.sibling,
                self.fixed_batch,
                self.reused,
                self.pool,
                self.single,
                self.flattening,
                self.swapped,
                self.layout,
                self.producer,
                self.consumer,
                self.weight,
            ]
            rules += [] if sure else others
        elif rule in OF_JOINS:
            rules = [self.joined_batches, self.left_out, self.uncalled, self.unattached, self.misnamed]
            rules += [self.patches, self.upsampled, self.sum, self.gate]
        elif rule is catalogue.view_elements:
            rules = [self.lonely, self.misnamed, self.patches, self.viewed]
        elif rule is catalogue.rank:
            rules = [self.renamed, self.another_rank]
        elif rule is catalogue.kernel_too_large:
            rules = [self.misnamed, self.too_small]
        elif rule is catalogue.loss_shapes:
            rules = [self.upsampled, self.one_sample]
        elif rule in OF_ARGUMENTS:
            rules = [self.misnamed]
        if self.finding.report.facts.get("fix") is None:
            rules += [self.squeezed]
        for run in (self.dropped, self.idle_order, *rules):
            found = run()
            if found is not None:
                tensors = (self.skipped_layer, self.other_tensor, self.overwritten, self.skipped_before)
                self.of_input = run in (*tensors, self.sibling, self.pool)
                return found
        return None
