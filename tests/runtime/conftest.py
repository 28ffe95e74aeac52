"""torchvision's models, where they are installed."""

from __future__ import annotations

from typing import Any

import pytest
import torch


@pytest.fixture(scope="session")
def torchvision_models() -> Any:
    """``torchvision.models``.  Its wheel may not fit a CPU build of torch; then the operators that its import needs
    are declared here."""
    pytest.importorskip("importlib.util").find_spec("torchvision") or pytest.skip("torchvision is not installed")
    try:
        torch.ops.torchvision.nms  # noqa: B018
    except (AttributeError, RuntimeError):
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return pytest.importorskip("torchvision.models", exc_type=(ImportError, RuntimeError))
