"""The op table: every module of this folder declares its operations with the decorators of :mod:`.table`."""

from __future__ import annotations

import importlib
import pkgutil

from conv_lint.ops import table

#: Called once, on import: each module registers its rows.
for _module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")

FUNCTIONS, LAYERS = table.FUNCTIONS, table.LAYERS
