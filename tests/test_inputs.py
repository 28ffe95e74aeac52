"""The grammar of declared shapes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv_lint import dims
from conv_lint.inputs import Malformed, from_annotation, from_comment, sizes_for


@pytest.mark.parametrize(
    ("text", "sizes", "rest"),
    [
        ('Float[Tensor, "b 3 224 224"]', ("b", 3, 224, 224), False),
        ('jaxtyping.Float32[torch.Tensor, "*batch c h w"]', ("c", "h", "w"), True),
        ('Shaped[Tensor, "... 64 h//2 _"]', (64, "h//2", None), True),
        ('Annotated[Tensor, "B 3 224 224"]', ("B", 3, 224, 224), False),
        ('Annotated[torch.Tensor, ("B", 3, 32, 32)]', ("B", 3, 32, 32), False),
        ('TensorType["b", 3, 224, 224]', ("b", 3, 224, 224), False),
        ('Float[Tensor, "b c h=224 w=224"]', ("b", "c", 224, 224), False),
    ],
)
def test_annotations(text: str, sizes: tuple[object, ...], rest: bool) -> None:
    declared = from_annotation(text)
    assert declared is not None
    assert (declared.sizes, declared.rest) == (sizes, rest)


@pytest.mark.parametrize("text", ["Tensor", "Optional[Tensor]", "list[int]", 'Annotated[Tensor, "the image"]', "x["])
def test_other_annotations(text: str) -> None:
    assert from_annotation(text) is None


def test_malformed_annotation() -> None:
    with pytest.raises(Malformed):
        from_annotation('Float[Tensor, "batch 3 (height width"]')


@pytest.mark.parametrize(
    ("text", "name", "sizes"),
    [
        ("# shape: (B, 3, 224, 224)", None, ("B", 3, 224, 224)),
        ("# x: (B, C, H, W)", "x", ("B", "C", "H", "W")),
        ("# [N, 64, 56, 56]", None, ("N", 64, 56, 56)),
        ("# -> (B, 64, H/4, W/4)", None, ("B", 64, "H/4", "W/4")),
        ("# 64 x 56 x 56", None, (64, 56, 56)),
        ("# BxCxHxW", None, ("B", "C", "H", "W")),
        ("# torch.Size([1, 3, 8, 8])", None, (1, 3, 8, 8)),
        ("# (B, 64, H, W)  # noqa: E501", None, ("B", 64, "H", "W")),
    ],
)
def test_comments(text: str, name: str | None, sizes: tuple[object, ...] | None) -> None:
    found = from_comment(text)
    if sizes is None:
        assert found is None
    else:
        assert found is not None
        assert (found[0], found[1].sizes) == (name, sizes)


@pytest.mark.parametrize(
    "text", ["# 3x3 conv", "# (see paper)", "# TODO (B, C)", "# 2 layers", "# x: the input", "# (0, 1)", "# noqa", "#"]
)
def test_ordinary_comments(text: str) -> None:
    assert from_comment(text) is None


def test_malformed_comment() -> None:
    with pytest.raises(Malformed):
        from_comment("# shape: (B, three four")


def test_sizes_share_their_names() -> None:
    declared = from_annotation('Float[Tensor, "b c h h//2"]')
    assert declared is not None
    b, c, h, half = sizes_for(declared, {})
    assert half == h // 2
    assert dims.eq(b, c) is None


@given(st.text(max_size=40))
def test_any_text_gets_an_answer(text: str) -> None:
    for parse in (from_annotation, from_comment):
        for sample in (text, f"# {text}", f'Float[Tensor, "{text}"]', f"# shape: {text}"):
            with contextlib.suppress(Malformed):
                parse(sample)
