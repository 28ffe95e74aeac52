"""einops patterns against einops itself on torch tensors: random patterns, sound and spoiled."""

from __future__ import annotations

import einops
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conv_lint.dims import symbol
from conv_lint.ops.rule import Plain, evaluate, evaluate_layer
from conv_lint.values import Dict, List, Rest, Shape, any_shape
from tests.ops.oracle import check, check_layer

NAMES = ["a", "b", "c", "h1", "w"]
QUIET = settings(max_examples=250, deadline=None, derandomize=True)


def grouped(draw: st.DrawFn, axes: list[str]) -> list[list[str]]:
    """The axes in order, some of them together; now and then a dimension of length 1."""
    groups: list[list[str]] = []
    for axis in axes:
        if groups and draw(st.integers(0, 2)) == 0:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    if draw(st.integers(0, 4)) == 0:
        groups.insert(draw(st.integers(0, len(groups))), [])
    return groups


def written(draw: st.DrawFn, groups: list[list[str]]) -> str:
    words = []
    for group in groups:
        if not group:
            words.append(draw(st.sampled_from(["1", "()"])))
        else:
            words.append(group[0] if len(group) == 1 else f"({' '.join(group)})")
    return " ".join(words)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, str, dict[str, int], tuple[int, ...]]:
    """An operation, a pattern, lengths and a shape; most of them fit."""
    operation = draw(st.sampled_from(["rearrange", "reduce", "repeat"]))
    count = draw(st.integers(1, 5))
    sizes = dict(zip(NAMES, draw(st.lists(st.integers(1, 4), min_size=count, max_size=count))))
    axes = list(sizes)
    left = grouped(draw, axes)
    shape = []
    for group in left:
        size = 1
        for axis in group:
            size *= sizes[axis]
        shape.append(size)
    right_axes = draw(st.permutations(axes))
    if operation == "reduce":
        right_axes = right_axes[: draw(st.integers(0, count))]
    lengths = {axis: sizes[axis] for group in left for axis in group[1:]}
    lengths |= {axis: sizes[axis] for axis in axes if draw(st.integers(0, 4)) == 0}
    if operation == "repeat":
        for axis in ("new", "3"):
            if draw(st.booleans()):
                right_axes = [*right_axes, axis] if draw(st.booleans()) else [axis, *right_axes]
                lengths |= {"new": 2} if axis == "new" else {}
    right = grouped(draw, list(right_axes))
    if draw(st.integers(0, 3)) == 0:
        extra = [draw(st.integers(1, 3)) for _ in range(draw(st.integers(0, 2)))]
        place = draw(st.integers(0, len(left)))
        left.insert(place, ["..."])
        shape[place:place] = extra
        if operation != "reduce" or draw(st.booleans()):
            right.insert(draw(st.integers(0, len(right))), ["..."])
            if len(right) > 1 and draw(st.integers(0, 3)) == 0:
                right[0:2] = [right[0] + right[1]]
    spoil = draw(st.sampled_from(["", "", "", "length", "shape", "rank", "name", "drop", "extra"]))
    if spoil == "length" and lengths:
        name = draw(st.sampled_from(sorted(lengths)))
        lengths[name] = draw(st.integers(1, 6))
    elif spoil == "shape" and shape:
        shape[draw(st.integers(0, len(shape) - 1))] = draw(st.integers(1, 7))
    elif spoil == "rank":
        shape = shape[1:] if draw(st.booleans()) else [*shape, 2]
    elif spoil == "name":
        target = draw(st.sampled_from([left, right]))
        target.append([draw(st.sampled_from(["a", "z", "_q", "2", "...", "(b"]))])
    elif spoil == "drop" and lengths:
        del lengths[draw(st.sampled_from(sorted(lengths)))]
    elif spoil == "extra":
        lengths["unused"] = 2
    return operation, f"{written(draw, left)} -> {written(draw, right)}", lengths, tuple(shape)


@QUIET
@given(cases())
def test_transformations(case: tuple[str, str, dict[str, int], tuple[int, ...]]) -> None:
    operation, pattern, lengths, shape = case
    more = ["sum"] if operation == "reduce" else []
    check(f"einops.{operation}", Shape(shape), pattern, *more, **lengths)
    if operation != "repeat":
        check_layer(f"einops.layers.torch.{operation.title()}", [pattern, *more], lengths, Shape(shape))


PATTERNS = [
    "a b", "a -> b -> c", "a a -> a", "a .. -> a", "... ... -> a", "(a b -> a b", "a) b -> a b", "((a) b) -> a b",
    "a* b -> a b", "a b -> a b 0", "a,b -> a b", "_a b -> _a b", "a b -> a b a", "...a b -> a b ...", "-> a", "a b ->",
    "( ... ) b -> b", "a 1b -> a 1b", "  a   b->b a ",
]  # fmt: skip


@pytest.mark.parametrize("operation", ["rearrange", "repeat", "reduce"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_malformed(pattern: str, operation: str) -> None:
    check(f"einops.{operation}", Shape((2, 3)), pattern, *(["max"] if operation == "reduce" else []))


@pytest.mark.parametrize("reduction", ["min", "max", "sum", "mean", "prod", "any", "all", "avg", "rearrange", "repeat"])
def test_reductions(reduction: str) -> None:
    check("einops.reduce", Shape((2, 3)), "a b -> a", reduction)
    check("einops.reduce", Shape((2, 3)), "a b -> b a", reduction)
    check("einops.reduce", Shape((2, 3)), "a b -> b a c", reduction, c=2)


@pytest.mark.parametrize("shapes", [[(2, 3)] * 4, [(2, 3)], [(2, 3), (3, 2)], [(2, 3), (2, 3, 1)]])
def test_a_list_is_stacked(shapes: list[tuple[int, ...]]) -> None:
    check("einops.rearrange", [Shape(s) for s in shapes], "n h w -> h (n w)")


@st.composite
def einsum_cases(draw: st.DrawFn) -> tuple[list[Shape], str]:
    names = {"i": 2, "j": 3, "k": 4, "batch": 1}
    sides, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        axes = draw(st.lists(st.sampled_from(sorted(names)), max_size=3))
        shape = [names[a] if draw(st.integers(0, 8)) else draw(st.integers(1, 4)) for a in axes]
        if draw(st.integers(0, 3)) == 0:
            place = draw(st.integers(0, len(axes)))
            axes = [*axes[:place], "...", *axes[place:]]
            shape[place:place] = draw(st.lists(st.sampled_from([1, 1, 5, 6]), max_size=2))
        if draw(st.integers(0, 8)) == 0:
            shape.append(2)
        sides.append(" ".join(axes))
        shapes.append(Shape(tuple(shape)))
    used = sorted({a for side in sides for a in side.split() if a != "..."})
    output = draw(st.lists(st.sampled_from(used), unique=True)) if used else []
    if any("..." in side for side in sides) and draw(st.integers(0, 5)):
        output.insert(draw(st.integers(0, len(output))), "...")
    if draw(st.integers(0, 12)) == 0:
        output.append(draw(st.sampled_from(["z", "i", "(i j)", "1", "2"])))
    return shapes, f"{', '.join(sides)} -> {' '.join(output)}"


@QUIET
@given(einsum_cases())
def test_einsum(case: tuple[list[Shape], str]) -> None:
    shapes, pattern = case
    check("einops.einsum", *shapes, pattern, unknown=True)


def test_einsum_wants_one_pattern_a_tensor() -> None:
    check("einops.einsum", Shape((2, 3)), "a b, b c -> a c")


@st.composite
def packings(draw: st.DrawFn) -> tuple[list[Shape], str]:
    before, after = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    axes = [*NAMES[:before], "*", *NAMES[before : before + after]]
    shapes = []
    for _ in range(draw(st.integers(1, 3))):
        middle = draw(st.lists(st.integers(1, 3), max_size=3))
        shape = [2] * before + middle + [3] * after
        if shape and draw(st.integers(0, 8)) == 0:
            shape[draw(st.integers(0, len(shape) - 1))] = 5
        shapes.append(Shape(shape[1:] if draw(st.integers(0, 12)) == 0 else shape))
    if draw(st.integers(0, 12)) == 0:
        axes.append(draw(st.sampled_from(["*", "a", "_", "(b c)", "2"])))
    return shapes, " ".join(axes)


@QUIET
@given(packings())
def test_pack_and_unpack(case: tuple[list[Shape], str]) -> None:
    shapes, pattern = case
    result, reports = evaluate("einops.pack", shapes, pattern)
    try:
        packed, kept = einops.pack([torch.zeros(tuple(s)) for s in shapes], pattern)
    except Exception:
        assert reports, (shapes, pattern)
        return
    assert not reports, (shapes, pattern, reports[0].message())
    assert result[0] == tuple(packed.shape)
    assert isinstance(result[1], Plain)
    assert isinstance(result[1].value, List)
    assert result[1].value.items == [tuple(p) for p in kept]
    check("einops.unpack", Shape(result[0]), result[1].value.items, pattern)


@QUIET
@given(
    st.lists(st.integers(1, 6), max_size=4),
    st.lists(st.lists(st.sampled_from([1, 2, 3, -1]), max_size=2).map(tuple), min_size=1, max_size=3),
    st.sampled_from(["*", "a *", "a * b", "* b"]),
)
def test_unpack(shape: list[int], packed: list[tuple[int, ...]], pattern: str) -> None:
    total = sum(abs(torch.Size(p).numel()) for p in packed)
    check("einops.unpack", Shape(shape), packed, pattern, missed=True)
    if pattern in ("a * b", "* b") and all(-1 not in p for p in packed):
        fitting = Shape((4, total, 5) if pattern == "a * b" else (total, 5))
        check("einops.unpack", fitting, packed, pattern)


@QUIET
@given(
    st.lists(st.integers(1, 3), max_size=4),
    st.lists(st.sampled_from(["a", "b", "c", "_", "1", "2", "...", "()", "(a b)"]), max_size=4),
)
def test_parse_shape(shape: list[int], words: list[str]) -> None:
    pattern = " ".join(words)
    result, reports = evaluate("einops.parse_shape", Shape(shape), pattern)
    try:
        want = einops.parse_shape(torch.zeros(tuple(shape)), pattern)
    except Exception:
        assert reports, (shape, pattern)
        return
    assert not reports, (shape, pattern, reports[0].message())
    assert isinstance(result.value, Dict)
    assert result.value.items == want


def test_symbols_come_back() -> None:
    b, h = symbol("B"), symbol("H")
    split = evaluate("einops.rearrange", Shape((b, 3, h, 32)), "b c (h p) (w q) -> b (h w) (p q c)", p=16, q=16)[0]
    assert split == (b, h // 16 * 2, 768)
    assert evaluate("einops.rearrange", Shape((b, h)), "b (h p) -> (p h) b", p=2)[0] == (h, b)


def test_a_symbol_that_is_never_divisible() -> None:
    result, reports = evaluate("einops.rearrange", Shape((4 * symbol("B") + 2, 3)), "(b p) c -> b p c", p=4)
    assert [r.rule.code for r in reports] == ["CONV409"]
    assert result[1:] == (4, 3)


def test_unknown_rank() -> None:
    assert evaluate("einops.rearrange", any_shape(), "b c h -> b h c")[1] == []
    result, _ = evaluate("einops.rearrange", Shape((Rest(), 6, 5)), "... (h p) w -> ... h (p w)", p=2)
    assert tuple.__len__(result) == 3
    assert result[1:] == (3, 10)
    assert evaluate("einops.rearrange", Shape((Rest(), 6)), "... w -> w ...")[0] is None


MESSAGES = {
    "b c (h p) w -> b h (p c) w": "dimension 2 of (1, 3, 30, 32) is 30, which p=16 does not divide",
    "b c p -> b c p": "'b c p' needs 3 dimensions but the input (1, 3, 30, 32) has 4",
    "b p h w -> b p": "'h' and 'w' are only on the left of 'b p h w -> b p'; rearrange keeps every axis,"
    " reduce drops some",
    "b p h w -> b p h w c": "'c' is only on the right of 'b p h w -> b p h w c'; rearrange makes no new axis,"
    " repeat does",
    "b p h w -> b p h w": "dimension 1 of (1, 3, 30, 32) is 3, but p=16",
    "b c h (p 2) -> b c h p 2": "rearrange takes no numbers but 1: name the axis of 2 and give its length",
    "b c h (p q w) -> b c h p q w": "the lengths of q and w in (p q w) cannot be worked out; write w=...",
    "b c h w -> b c h w": "p=... is given but 'b c h w -> b c h w' has no axis 'p'",
}


@pytest.mark.parametrize("pattern", MESSAGES)
def test_messages(pattern: str) -> None:
    _, reports = evaluate("einops.rearrange", Shape((1, 3, 30, 32)), pattern, p=16)
    assert [r.message() for r in reports] == [f"rearrange: {MESSAGES[pattern]}"]


def test_a_length_that_is_no_whole_number() -> None:
    _, reports = evaluate("einops.rearrange", Shape((8, 64)), "b (c d) -> b c d", c=32.0)
    assert [r.message() for r in reports] == ["rearrange: c=32.0 is not a whole number; divide with // where / stands"]


def test_a_layer_reports_its_pattern_once() -> None:
    _, reports = evaluate_layer("einops.layers.torch.Rearrange", ["b c -> b"], {}, Shape((2, 3)))
    assert len(reports) == 1
