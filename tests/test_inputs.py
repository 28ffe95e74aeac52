"""The grammar of declared shapes."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv_lint import dims
from conv_lint.inputs import Declared, Malformed, from_annotation, from_comment, sizes_for


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
        ("Float[Tensor, 'b 3']", ("b", 3), False),
        ("\"Float[Tensor, 'b 3']\"", ("b", 3), False),
        ("jt.Bool[torch.Tensor, 'b 3']", ("b", 3), False),
        ('Float[Tensor, "#b ?c #3 _h"]', (None, None, None, "_h"), False),
        ('Float[Tensor, "*#b c 3"]', ("c", 3), True),
        ('Float[Tensor, "..."]', (), True),
        ('Float[Tensor, ""]', (), False),
        ('Float[Tensor, "b (h+1)//2 w*2"]', ("b", "(h+1)//2", "w*2"), False),
        ('Float[Tensor, "b {self.c} min(h,w) h**2"]', ("b", None, None, None), False),
        ('Float[Tensor, "β 3"]', ("β", 3), False),
        ('Annotated[Tensor, "B, 3, 224, 224"]', ("B", 3, 224, 224), False),
        ('Annotated[Tensor, "(B, 3, 224, 224)"]', ("B", 3, 224, 224), False),
        ('Annotated[Tensor, ["B", 3, 8]]', ("B", 3, 8), False),
        ("Annotated[Tensor, (..., 3, 4)]", (3, 4), True),
        ('Annotated[Tensor, ("B", None, 3)]', ("B", None, 3), False),
        ('Annotated[Tensor, "B C H W", "the image"]', ("B", "C", "H", "W"), False),
        ('Annotated[Tensor, "the image", "B C H W"]', ("B", "C", "H", "W"), False),
        ("TensorType[..., 3]", (3,), True),
        ('TensorType["b", -1, 3, torch.float32]', ("b", None, 3), False),
    ],
)
def test_annotations(text: str, sizes: tuple[object, ...], rest: bool) -> None:
    declared = from_annotation(text)
    assert declared is not None
    assert (declared.sizes, declared.rest) == (sizes, rest)


@pytest.mark.parametrize(
    "text",
    [
        "Tensor",
        "Optional[Tensor]",
        "list[int]",
        "x[",
        'Annotated[int, "B 3"]',
        'Float[np.ndarray, "b 3"]',
        'Annotated[Tensor, "the image"]',
        'Annotated[Tensor, "a batch of images"]',
        'Annotated[Tensor, "an RGB image 3 channels"]',
        'Annotated[Tensor, "image; see 3.1"]',
        'Annotated[Tensor, "batch features"]',
        'Annotated[Tensor, ("image", "rgb")]',
        'Annotated[Tensor, ("B", ..., 3)]',
        'Float[Tensor, "b ... c"]',
        'Float[Tensor, "b *c"]',
        'TensorType["b", ..., 3]',
        'TensorType["b", True]',
    ],
)
def test_other_annotations(text: str) -> None:
    assert from_annotation(text) is None


@pytest.mark.parametrize(
    "text",
    [
        'Float[Tensor, "batch 3 (height width"]',
        'Float[Tensor, "b h=224 h=112"]',
        'Float[Tensor, "b 3.5"]',
        'Float[Tensor, "\u00b2 3"]',
        'Annotated[Tensor, "B 3 224 (224"]',
        'TensorType["b", "3.5"]',
    ],
)
def test_malformed_annotations(text: str) -> None:
    with pytest.raises(Malformed):
        from_annotation(text)


@pytest.mark.parametrize(
    ("text", "name", "sizes"),
    [
        ("# shape: (B, 3, 224, 224)", None, ("B", 3, 224, 224)),
        ("# x: (B, C, H, W)", "x", ("B", "C", "H", "W")),
        ("# [N, 64, 56, 56]", None, ("N", 64, 56, 56)),
        ("# -> (B, 64, H/4, W/4)", None, ("B", 64, "H/4", "W/4")),
        ("# 64 x 56 x 56", None, (64, 56, 56)),
        ("# batch, 64, 56, 56", None, ("batch", 64, 56, 56)),
        ("# bs,c//2,1,1", None, ("bs", "c//2", 1, 1)),
        ("# BxCxHxW", None, ("B", "C", "H", "W")),
        ("# torch.Size([1, 3, 8, 8])", None, (1, 3, 8, 8)),
        ("# (B, 64, H, W)  # noqa: E501", None, ("B", 64, "H", "W")),
        ("# shape: [B, 3, H, W]", None, ("B", 3, "H", "W")),
        ("# (B, 64, 56, 56)", None, ("B", 64, 56, 56)),
        ("# B x 3 x 32 x 32", None, ("B", 3, 32, 32)),
        ("# [B x C x H]", None, ("B", "C", "H")),
        ("# (1, 3, 224, 224)", None, (1, 3, 224, 224)),
        ("# (B, C*4, H/4, c//2)", None, ("B", "C*4", "H/4", "c//2")),
        ("# (B, C, (H+1)//2, W)", None, ("B", "C", "(H+1)//2", "W")),
        ("# (B, num_classes)", None, ("B", "num_classes")),
        ("# (B, seq_len, d_model)", None, ("B", "seq_len", "d_model")),
        ("# (N, C_in, H_out, W_out)", None, ("N", "C_in", "H_out", "W_out")),
        ("# (B, ?, -1, None)", None, ("B", None, None, None)),
        ("# torch.Size([1, 3])", None, (1, 3)),
        ("# shape: (0, 1)", None, (0, 1)),
        ("# shape: (3,)", None, (3,)),
        ("# shape: (B, x.shape[1], f(h))", None, ("B", None, None)),
        ("# shape: B", None, ("B",)),
        ("# shape: ()", None, ()),
        ("# shape: batch, 64, 56", None, ("batch", 64, 56)),
        ("# Shape: (B, 3)", None, ("B", 3)),
    ],
)
def test_comments(text: str, name: str | None, sizes: tuple[object, ...] | None) -> None:
    found = from_comment(text)
    if sizes is None:
        assert found is None
    else:
        assert found is not None
        assert (found[0], found[1].sizes) == (name, sizes)


ORDINARY = """
#|# noqa|# noqa: E501|# type: ignore|# type: (B, C, H)|# TODO (B, C)|# TODO: (B, C)|# NOTE: (B, C)|# fmt: (B, C)
# 3x3 conv|# 3x3|# 3 x 3|# 3x3x3|# K x K|# 2 x N|# 2 layers|# max|# 4x|# hexbox
# batch, of 64, images|# batch, 64|# width, 64, 56, 56
# (see paper)|# x: the input|# B, C, H, W = x.shape|# nn.Conv2d(3, 64)|# x: (B, C) the input
# (0, 1)|# (3, 3)|# (3, 3, 3)|# (0, 2, 3, 1)|# [0, 1, 2]|# (1, 2, 3)|# x = (3, 2, 5)|# (0.5, 0.5, 0.5)
# (i, j, k)|# (x, y)|# (x*2, y*2)|# (x_min, y_min, x_max, y_max)|# (h, c)|# ((B, C), H)|# (f(x), B)
# (B, 3]|# [B, 3)|# (B, 3))|# (B,, C)|# (B)|# (B, C, H, W) -> (B, H, W, C)|# (B, ..., C)|# (N, *, C)|# (٣, B)
# shape: see below|# shape: (B, 3,|# shape:|# shape: depends on mode (train, eval)|# shape: (B, 3) or (B, 4)
# shape: (B, ..., C)
"""


@pytest.mark.parametrize("text", ORDINARY.strip().replace("\n", "|").split("|"))
def test_ordinary_comments(text: str) -> None:
    assert from_comment(text) is None


def test_leading_rest_of_a_comment() -> None:
    for text in ("# (..., C, H)", "# (*, C, H)", "# x: (*batch, C, H)"):
        found = from_comment(text)
        assert found is not None
        assert (found[1].sizes, found[1].rest) == (("C", "H"), True)


@pytest.mark.parametrize(
    "text",
    ["(B, three four", "(B, three four)", "(B, 3", "(B, 3))", "[B, 3)", "B, 3, 4)", "(B, 3.5)", "(\u00b2, 3)", "(,)"],
)
def test_malformed_comments(text: str) -> None:
    with pytest.raises(Malformed):
        from_comment(f"# shape: {text}")
    assert from_comment(f"# {text}") is None


def test_sizes_share_their_names() -> None:
    declared = from_annotation('Float[Tensor, "b c h h//2"]')
    assert declared is not None
    b, c, h, half = sizes_for(declared, {})
    assert half == h // 2
    assert dims.eq(b, c) is None


def sizes_of(*sizes: int | str | None) -> tuple[dims.Dim, ...]:
    return sizes_for(Declared(sizes, False, ""), {})


def test_formulas() -> None:
    h, c, a, b, d, e = sizes_of("h", "c", "c*4", "h/4", "(h+1)//2 - 1", "3*7//2")
    assert (a, b, d, e) == (c * 4, h // 4, (h + 1) // 2 - 1, 10)


@pytest.mark.parametrize("size", [None, "_h", "1//0", "h//0", "2-3", "h**2", "f(h)", "+".join(["h"] * 5000)])
def test_any_size(size: str | None) -> None:
    """What cannot be told is a new unknown, and two of them are not the same."""
    first, second = sizes_of(size, size)
    assert dims.eq(first, second) is None


def test_names_are_kept() -> None:
    names: dict[str, dims.Dim] = {"b": 8}
    assert sizes_for(Declared(("b", "b*2", 3), False, ""), names) == (8, 16, 3)
    (h,) = sizes_for(Declared(("h",), False, ""), names)
    assert names["h"] is h


@pytest.mark.parametrize(
    "text",
    [
        "ax" * 5000 + "!",
        "(" * 5000,
        "-" * 5000 + "h",
        "," * 5000 + ")",
        "9" * 5000,
        "\0",
        "x_" * 5000,
        "h+" * 5000 + "h",
    ],
    ids=lambda text: text[:4].strip("\0") or "null",
)
def test_long_text_gets_an_answer_at_once(text: str) -> None:
    start = time.perf_counter()
    every_answer(text)
    assert time.perf_counter() - start < 2


def every_answer(text: str) -> None:
    samples = (
        text,
        f"# {text}",
        f"# shape: {text}",
        f"# shape: (B, {text})",
        f"# x: [{text}]",
        f"# torch.Size([{text}])",
    )
    wrapped = (
        f'Float[Tensor, "{text}"]',
        f'Annotated[Tensor, "{text}"]',
        f"Annotated[Tensor, ({text})]",
        f"TensorType[{text}]",
    )
    for sample in samples + wrapped:
        with contextlib.suppress(Malformed):
            declared = from_annotation(sample)
            if declared is not None:
                sizes_for(declared, {})
        with contextlib.suppress(Malformed):
            found = from_comment(sample)
            if found is not None:
                sizes_for(found[1], {})


#: Letters that make shapes, and some that look like digits.
LETTERS = st.text(alphabet="BCHWxbh 0123,()[]*+-/#?_=.:>\u00b2\u0663\u00d7\"'{}\n\\", max_size=25)


@given(st.text(max_size=40) | LETTERS)
def test_any_text_gets_an_answer(text: str) -> None:
    every_answer(text)


@given(st.lists(st.integers(1, 512) | st.sampled_from("BCHWNTL"), min_size=2, max_size=5))
def test_what_is_written_is_read(sizes: list[int | str]) -> None:
    inner = ", ".join(map(str, sizes))
    for text in (f"# shape: ({inner})", f"# shape: [{inner}]", f"# shape: {' x '.join(map(str, sizes))}"):
        found = from_comment(text)
        assert found is not None
        assert found[1].sizes == tuple(sizes)
    for text in (
        f'Float[Tensor, "{inner.replace(",", "")}"]',
        f'Annotated[Tensor, "{inner}"]',
        f"Annotated[Tensor, {sizes}]",
    ):
        declared = from_annotation(text)
        assert declared is not None
        assert declared.sizes == tuple(sizes)
