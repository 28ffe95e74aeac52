"""No test reads or leaves results in the folder of the user who runs it."""

from __future__ import annotations

import os

from conv_lint.cache import VARIABLE

os.environ[VARIABLE] = ""
