"""Shapes and examples in docstrings."""

from __future__ import annotations

import textwrap

import pytest

from conv_lint import check_source
from conv_lint.docstrings import examples, shapes


@pytest.mark.parametrize(
    ("docstring", "sizes"),
    [
        ("Args:\n    x (Tensor): (B, 3, H, W)", ("B", 3, "H", "W")),
        ("Args:\n    x (torch.Tensor): the input of shape [B, C, H, W].", ("B", "C", "H", "W")),
        ("Args:\n    x: Tensor, shape (N, 64, 8, 8), after the stem", ("N", 64, 8, 8)),
        ("Args:\n    x: the images\n        of shape (B, 3, 32, 32)", ("B", 3, 32, 32)),
        ("Parameters\n----------\nx : torch.Tensor, shape (B, 1, H, W)", ("B", 1, "H", "W")),
        (":param x: the input (B, 3, H, W)", ("B", 3, "H", "W")),
        (":param torch.Tensor x: the input (B, 3, H, W)", ("B", 3, "H", "W")),
        ("Shape:\n    - Input: :math:`(N, C_{in}, H, W)`\n    - Output: :math:`(N, 5)`", ("N", "C_in", "H", "W")),
        ("Shape:\n    - Input: (N, 3, L)", ("N", 3, "L")),
    ],
)
def test_shapes_that_are_read(docstring: str, sizes: tuple[object, ...]) -> None:
    assert shapes(docstring, ["x"])["x"].sizes == sizes


@pytest.mark.parametrize(
    "docstring",
    [
        "",
        "Args:\n    x (Tensor): the input",
        "Args:\n    y (Tensor): (B, 3, H, W)",
        "Args:\n    x (Tensor): (B, C, H, W) or (C, H, W)",
        "Args:\n    x (Tensor): (B, C, H, W) -> (B, 10)",
        "Args:\n    x (tuple[int, int]): the size (H, W)",
        "Args:\n    x (int): one of (1, 2, 3)",
        "Args:\n    x (Tensor): values in (0, 1)",
        "Shape:\n    - Input: (N, *, H)",
        "x = f(a, b, c)",
        "Args:\n    x: (((((",
    ],
)
def test_prose_is_left_alone(docstring: str) -> None:
    assert "x" not in shapes(docstring, ["x"])


def test_examples_keep_their_lines() -> None:
    text, column = examples(
        "A layer.\n\n    >>> a = 1\n    >>> for i in range(2):\n    ...     a += i\n    >>> a\n    2\n"
    )
    assert text.splitlines() == ["", "", "a = 1", "for i in range(2):", "    a += i", "a"]
    assert column == 8
    assert examples("no examples") == ("", 0)
    assert examples(">>> f()\nTraceback (most recent call last):\nValueError: no\n") == ("", 0)
    assert examples("  >>> f()\n broken\n") == ("", 0)


SHOWN = textwrap.dedent(
    """
    import torch
    import torch.nn as nn


    class Shown(nn.Module):
        '''A layer with an example.

        Example::

            >>> layer = Shown(3)
            >>> layer(torch.rand(2, {channels}, 8, 8)).shape
            torch.Size([2, 3, 8, 8])
        '''

        def __init__(self, channels):
            super().__init__()
            self.conv = nn.Conv2d(channels, 3, 1)

        def forward(self, x):
            return self.conv(x)
    """
)


def test_an_example_is_run() -> None:
    assert check_source(SHOWN.format(channels=3), "shown.py") == []
    (finding,) = check_source(SHOWN.format(channels=4), "shown.py")
    assert (finding.code, finding.position) == ("CONV201", (11, 26))
    namespace: dict[str, object] = {}
    torch = pytest.importorskip("torch")
    exec(SHOWN, namespace)
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 4"):
        namespace["Shown"](3)(torch.rand(2, 4, 8, 8))  # type: ignore[operator]
