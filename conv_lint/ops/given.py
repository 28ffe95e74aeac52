"""What a parameter that must be a tensor was given instead: a tuple, a number, a text, a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conv_lint import catalogue
from conv_lint.dims import Expr
from conv_lint.values import CannotTell, External, NoTensor, Shape, Unknown

if TYPE_CHECKING:
    from conv_lint.ops.rule import Op

#: Functions of torch that are asked on behalf of nobody else's: those of numpy's take numbers and lists.
_TORCH_ALONE = frozenset({"torch.sigmoid", "torch.relu", "torch.softmax", "torch.log_softmax", "torch.flatten"})


def require_tensor(op: Op, name: str, value: object) -> None:
    """A layer or function of torch.nn takes nothing but a tensor for ``name``; otherwise CONV114.

    torch: ``linear(): argument 'input' (position 1) must be Tensor, not tuple``.  Raises :class:`CannotTell` after a
    finding.
    """
    if isinstance(value, Shape) or not (op.is_layer or _is_of_torch(op.name)):
        return
    what, fix = named(value)
    if what is None:
        return
    op.fail(catalogue.not_a_tensor(argument=name, what=what, kind=type(value).__name__, fix=fix))
    raise CannotTell(f"{op.label} is given {what}")


def _is_of_torch(name: str) -> bool:
    return name.startswith("torch.nn.functional.") or name in _TORCH_ALONE


def named(value: object) -> tuple[str | None, str | None]:
    """What a value is that is no tensor for sure, and what to write instead."""
    match value:
        case tuple() | list() if value:
            first = value[0]
            known = isinstance(first, Shape) and first.rest is None
            fix = f"unpack it first, its first value is {first!r}" if known else None
            return f"a {type(value).__name__} of {len(value)} value{'s' * (len(value) != 1)}", fix
        case NoTensor():
            return value.what, value.fix
        case External() if value.name.startswith("torch.nn.") and value.name.rpartition(".")[2][:1].isupper():
            return layer_class(value.name.rpartition(".")[2])
        case bool() | int() | float() | complex():
            return f"the number {value}", None
        case str():
            return f"the text {value!r}", None
        case Expr() if all(symbol.low is not None for symbol in value.symbols):
            return f"a size, the number {value}", None
        case None:
            return "None", "is there a return in what gave it?"
        case Unknown():
            return None, None
    return None, None


def layer_class(name: str) -> tuple[str, str]:
    """A class of layers instead of what such a layer makes."""
    return f"the class {name}", f"write {name}()(x) for what it makes of x"


def holds(held: object, value: object) -> bool:
    """Is this very object one of the values of an argument?"""
    return isinstance(held, (tuple, list)) and any(v is value or holds(v, value) for v in held)
