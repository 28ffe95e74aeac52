"""Recurrent layers and their cells (torch.nn, "Recurrent Layers").

Sequences are (L, N, input_size), (N, L, input_size) with ``batch_first``, or (L, input_size) for one sample; the states
are (layers*directions, N, hidden_size) whatever ``batch_first`` says.
"""

from __future__ import annotations

from dataclasses import dataclass

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, eq
from conv_lint.ops.given import require_tensor
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.values import CannotTell, Packed, Rest, Shape, Unknown

SIZES = "(input_size, hidden_size, num_layers=1, "
REST = "bias=True, batch_first=False, dropout=0.0, bidirectional=False, {proj}device=None, dtype=None)"


# construction -----------------------------------------------------------------------------------------------


@layer_rule(
    "nn.LSTM" + SIZES + REST.format(proj="proj_size=0, "),
    "nn.GRU" + SIZES + REST.format(proj=""),
    "nn.RNN" + SIZES + "nonlinearity='tanh', " + REST.format(proj=""),
)
def recurrent_layer(
    op: Op, input_size: Arg, hidden_size: Arg, num_layers: Arg, bidirectional: Arg, bias: Arg, proj_size: Arg = 0
) -> Result:
    """weight_ih_lK: (gates*hidden_size, features), weight_hh_lK: (gates*hidden_size, hidden_size), for each layer."""
    features = op.require_least("input_size", input_size)
    hidden = op.require_least("hidden_size", hidden_size)
    layers = op.require_least("num_layers", num_layers)
    proj = op.dim(proj_size)
    report = catalogue.argument_range(argument="proj_size", value=proj, allowed="at least 0 and less than hidden_size")
    op.require(dims.every((dims.le(0, proj), dims.lt(proj, hidden))), report, "proj_size")
    made: dict[str, object] = {"input_size": features, "hidden_size": hidden, "num_layers": layers, "proj_size": proj}
    if not isinstance(layers, int) or proj != 0 or isinstance(bidirectional, Unknown):
        return made
    gates = hidden * _gates(op)
    for layer in range(min(layers, 16)):
        below = features if layer == 0 else hidden * (2 if bidirectional else 1)
        for suffix in ("", "_reverse") if bidirectional else ("",):
            made[f"weight_ih_l{layer}{suffix}"] = Shape((gates, below))
            made[f"weight_hh_l{layer}{suffix}"] = Shape((gates, hidden))
            if bias is True:
                made[f"bias_ih_l{layer}{suffix}"] = made[f"bias_hh_l{layer}{suffix}"] = Shape((gates,))
    return made


@layer_rule(
    "nn.LSTMCell(input_size, hidden_size, bias=True, device=None, dtype=None)",
    "nn.GRUCell(input_size, hidden_size, bias=True, device=None, dtype=None)",
    "nn.RNNCell(input_size, hidden_size, bias=True, nonlinearity='tanh', device=None, dtype=None)",
)
def cell_layer(op: Op, input_size: Arg, hidden_size: Arg, bias: Arg) -> Result:
    """weight_ih: (gates*hidden_size, input_size), weight_hh: (gates*hidden_size, hidden_size)."""
    features, hidden = op.require_least("input_size", input_size, 0), op.require_least("hidden_size", hidden_size, 0)
    gates = hidden * _gates(op)
    made: dict[str, object] = {"weight_ih": Shape((gates, features)), "weight_hh": Shape((gates, hidden))}
    if not isinstance(bias, Unknown):
        made["bias_ih"] = made["bias_hh"] = Shape((gates,)) if bias else None
    return {**made, "input_size": features, "hidden_size": hidden}


def _gates(op: Op) -> int:
    return 4 if "LSTM" in op.name else 3 if "GRU" in op.name else 1


# calls ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sizes:
    """What a recurrent layer makes: its states and the last size of its output."""

    states: Dim
    hidden: Dim
    cell: Dim
    out: Dim


def _sizes(op: Op, hidden_size: Arg, num_layers: Arg, bidirectional: Arg, proj_size: Arg) -> _Sizes:
    cell, proj = op.dim(hidden_size), op.dim(proj_size)
    projected = dims.lt(0, proj)
    hidden = op.unknown() if projected is None else proj if projected else cell
    if isinstance(bidirectional, Unknown):
        return _Sizes(op.unknown(), hidden, cell, op.unknown())
    directions = 2 if bidirectional else 1
    return _Sizes(op.dim(num_layers) * directions, hidden, cell, hidden * directions)


@shape_rule("nn.LSTM.forward(input, hx=None)", "nn.GRU.forward(input, hx=None)", "nn.RNN.forward(input, hx=None)")
def recurrent(
    op: Op,
    input: Arg,
    hx: Arg,
    input_size: Arg,
    hidden_size: Arg,
    num_layers: Arg,
    bidirectional: Arg,
    batch_first: Arg,
    proj_size: Arg = 0,
) -> Result:
    """(L, N, input_size) -> (L, N, directions*hidden_size) and the state (layers*directions, N, hidden_size).

    LSTM has two states, (h, c); with proj_size the output and h have that size instead.  A packed sequence gives a
    packed sequence, whatever ``batch_first`` says; what is no known tensor may be one.
    """
    packed = isinstance(input, Packed)
    if isinstance(input, Packed):
        input, batch_first = input.padded, False
    sizes = _sizes(op, hidden_size, num_layers, bidirectional, proj_size)
    if not isinstance(input, Shape):
        reason = input.reason if isinstance(input, Unknown) else "a packed sequence"
        return Unknown(reason), _states(op, sizes, (Rest(reason),))  # type: ignore[arg-type]
    try:
        input = op.require_rank(input, 2, 3)
    except CannotTell as why:
        rest = Rest(str(why))
        return Shape((rest, sizes.out)), _states(op, sizes, (rest,))  # type: ignore[arg-type]
    _require_features(op, input, op.dim(input_size))
    batch: tuple[Dim, ...] = ()
    if len(input) == 3:
        batch = (op.unknown() if isinstance(batch_first, Unknown) else input[0] if batch_first else input[1],)
    other = input[1] if batch_first is True else input[0]
    _check_states(op, hx, sizes, batch, other if len(input) == 3 and isinstance(batch_first, bool) else None)
    out = Shape((*input[:-1], sizes.out))
    return Packed(out) if packed else out, _states(op, sizes, (sizes.states, *batch))


def _states(op: Op, sizes: _Sizes, leading: tuple[Dim, ...]) -> Result:
    hidden = Shape((*leading, sizes.hidden))
    return (hidden, Shape((*leading, sizes.cell))) if "LSTM" in op.name else hidden


def _require_features(op: Op, input: Shape, takes: Dim) -> None:
    given = input[-1]
    if op.equate(given, takes) is not False:
        return
    fix = None
    if input.rest is None and len(input) == 3 and eq(input[1], takes):
        fix = "x.transpose(1, 2) first"
    elif isinstance(given, int):
        fix = f"input_size={given}"
    facts = {"takes": takes, "given": given, "argument": "input_size", "source": op.origin(input, -1), "fix": fix}
    op.fail(catalogue.sequence_features(**facts), "input_size")


def _check_states(op: Op, hx: Arg, sizes: _Sizes, batch: tuple[Dim, ...], length: Dim | None = None) -> None:
    """``length``: that of the sequences, where it is known which of the two is the batch."""
    _check_kind(op, hx, (sizes.states, *batch, sizes.hidden))
    if "LSTM" not in op.name:
        _check_state(op, "hx", hx, (sizes.states, *batch, sizes.hidden), length)
    elif isinstance(hx, (tuple, list)) and not isinstance(hx, Shape) and len(hx) == 2:
        _check_state(op, "hx[0]", hx[0], (sizes.states, *batch, sizes.hidden), length)
        _check_state(op, "hx[1]", hx[1], (sizes.states, *batch, sizes.cell), length)


def _check_kind(op: Op, hx: Arg, takes: tuple[Dim, ...]) -> None:
    """An LSTM has two states, ``(h, c)``, all others one."""
    if "LSTM" not in op.name:
        if isinstance(hx, (tuple, list)) and not isinstance(hx, Shape):
            require_tensor(op, "hx", hx)
    elif isinstance(hx, Shape) and hx.rest is None:
        needed = f"a pair (h, c) of {dims.render_shape(takes)}"
        op.fail(catalogue.parameter_shape(argument="hx", given=tuple(hx), takes=needed))


def _check_state(op: Op, name: str, state: object, takes: tuple[Dim, ...], length: Dim | None = None) -> None:
    if not isinstance(state, Shape) or state.rest is not None:
        return
    fits = dims.same(state, takes)
    if fits is False:
        fix = None
        if length is not None and dims.same(state, (takes[0], length, takes[2])):
            first = op.args.get("batch_first") is True
            fix = f"batch_first={not first} in {op.label}, or x.size({int(not first)}) for the batch of the state"
        op.fail(catalogue.parameter_shape(argument=name, given=tuple(state), takes=takes, fix=fix))
    elif fits is None:
        for given, size in zip(state, takes):
            op.equate(given, size)


@shape_rule(
    "nn.LSTMCell.forward(input, hx=None)", "nn.GRUCell.forward(input, hx=None)", "nn.RNNCell.forward(input, hx=None)"
)
def cell(op: Op, input: Shape, hx: Arg, input_size: Arg, hidden_size: Arg) -> Result:
    """(N, input_size) -> (N, hidden_size), twice for an LSTM; the N may be left out."""
    features, hidden = op.dim(input_size), op.dim(hidden_size)
    state = hx[0] if isinstance(hx, (tuple, list)) and not isinstance(hx, Shape) and hx else hx
    has_rank = isinstance(state, Shape) and state.rest is None and len(state) in (1, 2)
    input = op.require_rank(input, len(state)) if has_rank and input.rest is not None else op.require_rank(input, 1, 2)
    _require_features(op, input, features)
    out = Shape((*input[:-1], hidden))
    _check_kind(op, hx, tuple(out))
    if "LSTM" not in op.name:
        _check_state(op, "hx", hx, tuple(out))
        return out
    if isinstance(hx, (tuple, list)) and not isinstance(hx, Shape):
        for number, state in enumerate(hx[:2]):
            _check_state(op, f"hx[{number}]", state, tuple(out))
    return out, Shape(out)
