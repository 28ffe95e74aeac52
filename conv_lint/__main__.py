"""``conv-lint``, and ``python -m conv_lint``."""

from __future__ import annotations

import contextlib
import os
import sys

from conv_lint.cli import main


def run() -> None:
    """Run the command line, and end without taking down what was built, as mypy does.

    Nobody waits for that, it takes a while after large files, and the exit status must not hang on it.
    """
    try:
        main(prog_name="conv-lint")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    else:
        status = 0
    with contextlib.suppress(OSError):  # nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    run()
