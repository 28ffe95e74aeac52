"""What every module of torch has is no attribute that is missing."""

from torch import nn

from conv_lint.interpreter.objects import OF_MODULES


def test_the_names_of_modules_are_those_of_torch() -> None:
    names = {name for name in dir(nn.Module()) if not (name.startswith("__") and name.endswith("__"))}
    assert names == OF_MODULES
