"""What Python's own statements make: functions, classes, instances, modules, and the frames they live in."""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import libcst as cst

from conv_lint.dims import Dim
from conv_lint.finding import Place
from conv_lint.ops.table import LAYERS, LayerRow
from conv_lint.tree import Tree
from conv_lint.values import Condition, Dict, External, List, Mutable, Tensor, Unknown, Value, birth

if TYPE_CHECKING:
    from conv_lint.interpreter.namespace import Namespace

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()
#: What an attribute is where one condition alone sets it and another is asked.
ABSENT = Unknown("is set only sometimes")


@dataclass(eq=False)
class Call:
    """A call on the stack: its node, the frame it stands in, and the expression behind each parameter."""

    node: cst.CSTNode
    frame: Frame


@dataclass(eq=False)
class Pending:
    """A branch that left early: how, with what value, and what it had changed.

    ``since``: when it left.  ``before``: what was changed after that by those who did not leave, as it was.
    """

    kind: str
    value: Value
    condition: Any
    changes: dict[Any, Any]
    since: int = field(default_factory=birth)
    before: dict[Any, Any] = field(default_factory=dict)

    @property
    def states(self) -> dict[Any, Any]:
        """The objects that are not as they are now where the branch left, with their states there."""
        return {**self.before, **self.changes}


@dataclass(eq=False)
class Frame(Mutable):
    """The names of one running function, class body or module.

    ``arguments``: for each parameter the expression that the caller wrote and the caller's frame (``None``: the
    default, then the expression stands in the ``def``); ``first``: the same of those that have another value by now,
    with the value that was given.  ``shape_names``: the sizes behind the names of its shape annotations.  ``bound``:
    the tensors that were assigned to names, by the target, and ``dropped``: those that are the value of a whole
    statement, by its expression (see ``forgotten.py``).
    """

    tree: Tree
    namespace: Namespace
    parent: Frame | None = None
    function: Function | None = None
    call: Call | None = None
    self_value: Value = None
    locals: dict[str, Value] = field(default_factory=dict)
    arguments: dict[str, tuple[cst.CSTNode, Frame | None]] = field(default_factory=dict)
    first: dict[str, tuple[cst.CSTNode, Frame | None, Value]] = field(default_factory=dict)
    pending: list[Pending] = field(default_factory=list)
    declared: dict[str, str] = field(default_factory=dict)
    shape_names: dict[str, Dim] = field(default_factory=dict)
    yields: List | None = None
    bound: dict[int, Tensor] = field(default_factory=dict)
    dropped: dict[cst.BaseExpression, Tensor] = field(default_factory=dict)
    depth: int = 0
    born: int = field(default_factory=birth, repr=False)

    def snapshot(self) -> dict[str, Value]:
        return dict(self.locals)

    def restore(self, saved: dict[str, Value]) -> None:
        self.locals = dict(saved)

    def place(self, node: cst.CSTNode) -> Place:
        return Place(self.tree, node)

    def given(self, name: str, value: object) -> tuple[cst.CSTNode, Frame | None] | None:
        """What the caller wrote for a parameter; for one that has another value by now only if ``value`` was given."""
        if name in self.arguments:
            return self.arguments[name]
        expression, caller, first = self.first.get(name, (None, None, None))
        return (expression, caller) if expression is not None and first is not None and first == value else None

    def holder(self, name: str) -> Frame:
        """The frame of the function whose name it is: a comprehension has only those of its loops."""
        frame = self
        while name not in frame.locals and frame.parent is not None and frame.parent.function is frame.function:
            frame = frame.parent
        return frame

    def has_default(self, name: str) -> bool:
        """Is it a parameter that the caller has left to its default?"""
        return name in self.arguments and self.arguments[name][1] is None

    def stack(self) -> Iterator[Frame]:
        """This frame and its callers."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.call.frame if frame.call else None


@dataclass(eq=False)
class Function:
    """A ``def`` or a ``lambda`` with the frame that it closes over."""

    node: cst.FunctionDef | cst.Lambda
    tree: Tree
    frame: Frame
    name: str
    defaults: dict[str, Value] = field(default_factory=dict)
    owner: Class | None = None
    kind: str = ""
    attrs: dict[str, Value] = field(default_factory=dict)
    is_generator: bool | None = None
    declared: Any = None
    known: dict[Any, Value] | None = None

    @property
    def unwrapped(self) -> Value:
        """What decorators have wrapped, by ``__wrapped__``; itself where none has."""
        inner: Value = self
        while isinstance(inner, Function) and "__wrapped__" in inner.attrs:
            inner = inner.attrs["__wrapped__"]
        return inner

    def __repr__(self) -> str:
        return f"Function({self.name})"


@dataclass(eq=False)
class Class(Mutable):
    """A class of the checked code.  ``metaclass``: where it is one of the checked code too."""

    name: str
    node: cst.ClassDef | None
    tree: Tree
    frame: Frame
    bases: tuple[Value, ...] = ()
    attrs: dict[str, Value] = field(default_factory=dict)
    kind: str = ""
    fields: dict[str, Value] = field(default_factory=dict)
    metaclass: Class | None = None
    _mro: tuple[Value, ...] | None = None
    born: int = field(default_factory=birth, repr=False)

    def snapshot(self) -> dict[str, Value]:
        return dict(self.attrs)

    def restore(self, saved: dict[str, Value]) -> None:
        self.attrs = dict(saved)

    @property
    def mro(self) -> tuple[Value, ...]:
        """The method resolution order: this class, its bases, library classes as :class:`External`, unknown bases."""
        if self._mro is None:
            self._mro = (self,)  # a cycle of bases ends here
            self._mro = (self, *_merge([*(_linear(b) for b in self.bases), list(self.bases)]))
        return self._mro

    def find(self, name: str, after: Class | None = None) -> Value:
        """An attribute along the mro (behind ``after``, for ``super()``); :data:`MISSING` if no class has it.

        A library or unknown base that may have it ends the search: it is returned itself, as the answer's owner.
        torch.nn.Module, and a class of the standard library, may have what no later class has, but for what is known
        to be theirs.
        """
        order = self.mro
        start = order.index(after) + 1 if after in order else 0
        inherited: Inherited | None = None
        for base in order[start:]:
            if isinstance(base, Class):
                if name in base.attrs:
                    return base.attrs[name]
            elif not (isinstance(base, External) and base.name in _PLAIN_BASES):
                inherited = inherited or Inherited(base, name)
                if _may_have(base, name):
                    return inherited
        return inherited if inherited is not None else MISSING

    def library_bases(self) -> Iterator[External]:
        return (b for b in self.mro if isinstance(b, External))

    @property
    def is_module(self) -> bool:
        """Does it derive from torch.nn.Module, as far as its bases are known?"""
        return any(is_module_name(b.name) for b in self.library_bases())

    def __repr__(self) -> str:
        return f"Class({self.name})"


#: Modules of the standard library whose classes are derived from, and that are loaded therefore.
_ASKED = {module.__name__: module for module in (argparse, logging, threading)}


def _may_have(base: Value, name: str) -> bool:
    """May a class that is not of the checked code have an attribute that a later class has too?"""
    if not isinstance(base, External):
        return True
    if base.name == "torch.nn.Module":
        return _is_of_module(name)
    if base.name in LAYERS:
        made = LAYERS[base.name].signature
        return _is_of_module(name) or name in _OF_LAYERS or name in (*made.positional, *made.keyword_only)
    module, _, last = base.name.rpartition(".")
    standard = getattr(_ASKED.get(module), last, None)
    return hasattr(standard, name) if isinstance(standard, type) else True


def _is_of_module(name: str) -> bool:
    """Does torch.nn.Module have it itself (torch.nn.Module, its methods and attributes)?"""
    return name in OF_MODULES or name in _PROTOCOL


#: What every ``nn.Module`` has (torch 2.13), beside what has two underscores on either side.
OF_MODULES = frozenset(
    "T_destination _apply _backward_hooks _backward_pre_hooks _buffers _call_impl _compiled_call_impl _forward_hooks"
    " _forward_hooks_always_called _forward_hooks_with_kwargs _forward_pre_hooks _forward_pre_hooks_with_kwargs"
    " _get_backward_hooks _get_backward_pre_hooks _get_name _is_full_backward_hook _load_from_state_dict"
    " _load_state_dict_post_hooks _load_state_dict_pre_hooks _maybe_warn_non_full_backward_hook _modules"
    " _named_members _non_persistent_buffers_set _parameters _register_load_state_dict_pre_hook"
    " _register_state_dict_hook _replicate_for_data_parallel _save_to_state_dict _slow_forward _state_dict_hooks"
    " _state_dict_pre_hooks _version _wrapped_call_impl add_module apply bfloat16 buffers call_super_init children"
    " compile cpu cuda double dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter"
    " get_submodule half ipu load_state_dict modules mtia named_buffers named_children named_modules named_parameters"
    " parameters register_backward_hook register_buffer register_forward_hook register_forward_pre_hook"
    " register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook"
    " register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook"
    " register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty"
    " train training type xpu zero_grad".split()
)
#: And what of the latter is called by name.
_PROTOCOL = frozenset("__init__ __call__ __setattr__ __getattr__ __delattr__ __repr__".split())
#: What layers of torch.nn have besides their arguments.
_OF_LAYERS = frozenset(
    "weight bias running_mean running_var num_batches_tracked reset_parameters reset_running_stats transposed"
    " output_padding flatten_parameters all_weights permute_hidden in_proj_weight in_proj_bias out_proj merge_masks"
    " from_pretrained normalize activation layers encoder decoder self_attn linear1 linear2 norm1 norm2".split()
)
_PLAIN_BASES = frozenset({"object", "abc.ABC", "typing.Generic", "typing.Protocol", "enum.Enum"})


def is_module_name(name: str) -> bool:
    """Is it a class of torch.nn, or of a library whose base class is one?"""
    if name.startswith(("einops.layers.", "torchaudio.transforms.")) or name == "torch.jit.ScriptModule":
        return True
    return (
        name.startswith("torch.nn.")
        and not name.startswith(("torch.nn.functional", "torch.nn.init", "torch.nn.Param", "torch.nn.utils"))
    ) or name.rpartition(".")[2] in ("LightningModule", "ModelMixin", "PreTrainedModel", "BaseModule")


def _linear(base: Value) -> list[Value]:
    if isinstance(base, Class):
        return list(base.mro)
    is_layer = isinstance(base, External) and base.name.startswith("torch.nn.") and is_module_name(base.name)
    return [base, _MODULE] if is_layer and base != _MODULE else [base]


#: What every layer of torch's is derived from.
_MODULE = External("torch.nn.Module")


def _merge(orders: list[list[Value]]) -> list[Value]:
    """C3 linearization; an inconsistent order is taken as it comes."""
    out: list[Value] = []
    orders = [o for o in orders if o]
    while orders:
        head = next(
            (o[0] for o in orders if not any(o[0] in other[1:] for other in orders)),
            orders[0][0],
        )
        out.append(head)
        orders = [rest for o in orders if (rest := [b for b in o if b != head])]
    return out


@dataclass(frozen=True)
class Inherited:
    """An attribute that a library class, or an unknown base, provides."""

    base: Value
    name: str


@dataclass(eq=False)
class Layer:
    """What makes an instance a layer of torch.nn: its row and the bound arguments of its construction."""

    row: LayerRow
    arguments: dict[str, Value]
    call: Call


#: Where an object that is a list or a dict keeps its items: no name that the checked code can write.
HELD = "(items)"


class InstanceState(NamedTuple):
    """What of an :class:`Instance` can change."""

    attrs: dict[str, Value]
    layer: Layer | None
    open: str | None
    training: Value
    sometimes: dict[str, tuple[Condition, Value]]


def condition_of(state: Instance | InstanceState, name: str) -> Condition | None:
    """Under which condition alone an object has an attribute; ``None`` where it always has it, or never."""
    condition, value = state.sometimes.get(name, (None, MISSING))
    return condition if value is state.attrs.get(name, MISSING) else None  # else it was set anew


@dataclass(eq=False)
class Instance(Mutable):
    """An object of a class of the checked code or of a torch.nn class.

    ``cls``: a :class:`Class`, or the :class:`External` name of a torch.nn class. ``open``: a reason if it may have
    attributes that are not known. ``owner``: the module that holds it first, and under which name. ``called``: whether
    the program itself has called it; ``fits``: whether it has run to its end without a fault, ``fitted``: on what the
    program gives it, ``raised``: whether its forward was left by an exception. ``parallel``: whether it was wrapped by
    DataParallel, which is followed as the model itself. ``edited``: where a number of a layer was set after it was
    made, by its name. ``sometimes``: the attributes that it has only under a condition, with the value that the
    condition is about. ``replaced``: the layers that lost their names to others of the same function. ``is_raw``:
    whether ``nn.Module.__init__`` has yet to run on it. ``portrait``: its description, kept while it does not change
    (see :mod:`conv_lint.interpreter.memory`).
    """

    cls: Value
    attrs: dict[str, Value] = field(default_factory=dict)
    layer: Layer | None = None
    open: str | None = None
    owner: tuple[Instance, str] | None = None
    call: Call | None = None
    training: Value = None
    called: bool = False
    fits: bool = False
    fitted: bool = False
    raised: bool = False
    parallel: bool = False
    edited: dict[str, Place] = field(default_factory=dict, repr=False)
    sometimes: dict[str, tuple[Condition, Value]] = field(default_factory=dict, repr=False)
    replaced: dict[str, Instance] = field(default_factory=dict, repr=False)
    is_raw: bool = False
    portrait: Any = field(default=None, repr=False)
    born: int = field(default_factory=birth, repr=False)

    @property
    def made(self) -> Call | None:
        """Where it was constructed."""
        return self.layer.call if self.layer is not None else self.call

    def snapshot(self) -> InstanceState:
        return InstanceState(dict(self.attrs), self.layer, self.open, self.training, dict(self.sometimes))

    def restore(self, saved: InstanceState) -> None:
        self.layer, self.open, self.training = saved.layer, saved.open, saved.training
        self.attrs, self.sometimes = dict(saved.attrs), dict(saved.sometimes)

    @property
    def held(self) -> List | Dict | None:
        """The items of an object that is a list or a dict itself."""
        found = self.attrs.get(HELD)
        return found if isinstance(found, (List, Dict)) else None

    @property
    def shares_items(self) -> bool:
        """Is it a dict whose items are attributes as well (``self.__dict__ = self``, EasyDict)?"""
        if self.attrs.get("__dict__") is self:
            return True
        hook = self.cls.find("__setattr__") if isinstance(self.cls, Class) else None
        return isinstance(hook, External) and hook.name == "builtins.dict.__setitem__"

    @property
    def class_name(self) -> str:
        return self.cls.name.rpartition(".")[2] if isinstance(self.cls, (Class, External)) else "?"

    @property
    def torch_name(self) -> str:
        """The torch.nn class that it is, or derives from: ``torch.nn.Sequential``; empty if none."""
        if isinstance(self.cls, External):
            return self.cls.name
        if isinstance(self.cls, Class):
            return next((b.name for b in self.cls.library_bases() if b.name.startswith("torch.nn.")), "")
        return ""

    @property
    def is_module(self) -> bool:
        if isinstance(self.cls, External):
            return is_module_name(self.cls.name)
        return isinstance(self.cls, Class) and self.cls.is_module

    @property
    def is_container(self) -> bool:
        """Is it a Sequential, a ModuleList or another container, whose members are what it is?"""
        names = ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict")
        return self.torch_name in [f"torch.nn.{name}" for name in names]

    def children(self) -> Iterator[tuple[str, Instance]]:
        """The modules that it holds, in order, by name."""
        return ((n, v) for n, v in self.attrs.items() if isinstance(v, Instance) and v.is_module)

    def path(self, below: Value = None) -> str:
        """``layer2[0].conv1``: where it hangs, as seen from the module ``below`` (from the outermost if ``None``)."""
        names: list[str] = []
        here: Instance = self
        while here.owner is not None and here is not below and len(names) < 50:
            here_owner, name = here.owner
            names.append(name)
            here = here_owner
        text = ""
        for name in reversed(names):
            text += f"[{name}]" if name.isdigit() else f".{name}" if text else name
        return text

    @property
    def label(self) -> str:
        """The module in the reader's words: ``layer2[0].conv1``, or its class where it hangs nowhere."""
        path = self.path()
        if path and not path.startswith("["):
            return path
        holder = self
        while path.count("[") + path.count(".") > 1 and holder.owner is not None:
            holder = holder.owner[0]
        return f"{holder.class_name}{path}"

    def __repr__(self) -> str:
        return f"Instance({self.class_name})"


def is_member(value: Value) -> bool:
    """Is it a member of an enum, which is equal to itself alone?"""
    return isinstance(value, Instance) and isinstance(value.cls, Class) and value.cls.kind == "enum"


@dataclass(eq=False)
class BoundMethod:
    """A function with its first argument."""

    receiver: Value
    function: Function


@dataclass(eq=False)
class Super:
    """``super()``: the classes behind ``after`` in the order of ``receiver``."""

    receiver: Value
    after: Class


@dataclass(eq=False)
class Method:
    """A method of a builtin value or of a library class: ``layers.append``, ``x.view``, ``self.add_module``."""

    receiver: Value
    name: str
    base: Value = None


@dataclass(eq=False)
class Partial:
    """``functools.partial(function, ...)``."""

    function: Value
    args: tuple[Value, ...]
    kwargs: dict[str, Value]


@dataclass(eq=False)
class Native:
    """A function that the interpreter provides itself, with access to the machine."""

    name: str
    run: Callable[..., Value]


@dataclass(eq=False)
class Property(Mutable):
    """A property: its getter, and a setter if it has one."""

    getter: Value
    setter: Value = None
    born: int = 0


@dataclass(eq=False)
class ProjectModule:
    """An imported file of the project or of an installed package, as a value."""

    namespace: Namespace


@dataclass(eq=False)
class Sizes:
    """``x.shape`` of a tensor whose number of dimensions is not known."""

    tensor: Tensor
