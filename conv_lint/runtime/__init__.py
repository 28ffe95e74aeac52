"""The runtime half: what the static side says of shapes, said of a real torch forward.

    from conv_lint.runtime import check, watch, ShapeError

    print(check(model, (1, 3, 224, 224)))     # one forward without data or memory; a table, or a ShapeError
    with watch(model):                        # checks every forward of a training loop
        train(model)
    with enforce(model):                      # holds every call against the shape annotations of its forward
        train(model)

The same op rules, codes and words as the linter's.  This package is the only one that imports torch.
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("conv_lint.runtime needs torch: pip install 'conv-lint[torch]'") from error

from conv_lint.runtime.enforce import Enforcer, enforce
from conv_lint.runtime.errors import ShapeError
from conv_lint.runtime.forward import check
from conv_lint.runtime.report import Call, Report
from conv_lint.runtime.watch import NotFiniteWarning, ShapeWarning, Watcher, attach, watch

__all__ = [
    "Call",
    "Enforcer",
    "NotFiniteWarning",
    "Report",
    "ShapeError",
    "ShapeWarning",
    "Watcher",
    "attach",
    "check",
    "enforce",
    "watch",
]
