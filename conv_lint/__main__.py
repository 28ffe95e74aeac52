"""``python -m conv_lint`` is ``conv-lint``."""

from conv_lint.cli import main

if __name__ == "__main__":
    main(prog_name="conv-lint")
