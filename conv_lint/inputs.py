"""What the file says of its inputs: annotations and comments at a function's parameters."""

from __future__ import annotations
