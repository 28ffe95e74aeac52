"""Every rule: code, name, message.  The only place where a code is declared; ``rules/CODE.md`` explains it.

Facts that the caller need not give: ``layer`` (the layer or function in the reader's words) and ``source`` (who
made the number that was given) are filled in by the operation's context.
"""

from __future__ import annotations

from conv_lint.dims import Dim, render
from conv_lint.finding import Rule

# 1xx: the arguments of one call -----------------------------------------------------------------------------

in_channels_groups = Rule(
    "CONV101",
    "in-channels-groups",
    "{layer}: in_channels={channels} is not divisible by groups={groups}[; {fix}]",
)
out_channels_groups = Rule(
    "CONV102",
    "out-channels-groups",
    "{layer}: out_channels={channels} is not divisible by groups={groups}[; {fix}]",
)
argument_range = Rule(
    "CONV103",
    "argument-range",
    "{layer}: {argument}={value} is out of range, it must be {allowed}",
)
tuple_length = Rule(
    "CONV104",
    "tuple-length",
    "{layer}: {argument}={value} has {length} numbers, {n} are needed[; {fix}]",
)
same_padding_stride = Rule(
    "CONV105",
    "same-padding-stride",
    "{layer}: padding='same' cannot be combined with stride={stride}; write padding={fix}",
)
padding_string = Rule(
    "CONV106",
    "padding-string",
    "{layer}: {argument}={value} is not one of {allowed}[; did you mean {fix}?]",
)
output_padding_size = Rule(
    "CONV107",
    "output-padding-size",
    "{layer}: output_padding={output_padding} must be smaller than stride={stride} or dilation={dilation}",
)
pool_padding = Rule(
    "CONV108",
    "pool-padding",
    "{layer}: padding={padding} is more than half of kernel_size={kernel}; at most {most} is allowed",
)
norm_groups = Rule(
    "CONV109",
    "norm-groups",
    "{layer}: num_channels={channels} is not divisible by num_groups={groups}[; {fix}]",
)
depthwise_multiple = Rule(
    "CONV110",
    "depthwise-multiple",
    "{layer}: a depthwise convolution (groups=in_channels={groups}) needs out_channels to be a multiple of {groups},"
    " not {channels}[; {fix}]",
)
heads = Rule(
    "CONV111",
    "attention-heads",
    "{layer}: {argument}={embed} is not divisible by {by}={heads}[; write {fix}]",
)
call_signature = Rule(
    "CONV112",
    "call-signature",
    "{layer}: {problem}[; it takes {parameters}][ ({source})]",
)
up_down_factor = Rule(
    "CONV113",
    "size-or-scale-factor",
    "{layer}: {problem}",
)
not_a_tensor = Rule(
    "CONV114",
    "not-a-tensor",
    "{layer} is given {what}, {argument} must be a tensor[; {fix}]",
)
tensor_list = Rule(
    "CONV115",
    "tensor-list",
    "{layer} needs a list or a tuple of tensors but is given {given}[ ({source})][; {fix}]",
)
not_a_module = Rule(
    "CONV116",
    "not-a-module",
    "{layer} holds layers only but is given {given}[; {fix}]",
)
whole_number = Rule(
    "CONV117",
    "whole-number",
    "{layer}: {argument}={value} must be a whole number; {fix}",
)
#: What makes a whole number of one with a point.
ROUND = "divide with // or write int(...)"
#: What is wrong with several numbers where one is meant.
ONE = "write one number"

# 2xx: channels and features ---------------------------------------------------------------------------------

#: What is wrong where the samples stand among the channels or features.
BATCH_FIRST = "a reshape that keeps the batch first, x.view(x.size(0), -1)"


def samples(size: Dim) -> object:
    """A size that hangs on the number of samples, for a reader."""
    text = render(size)
    return "as many as there are samples" if text == "?" else size


input_channels = Rule(
    "CONV201",
    "input-channels",
    "{layer} takes {takes} input channels[ = {product}] but is given {given}[ ({source})][; write {fix}]",
)
input_features = Rule(
    "CONV202",
    "input-features",
    "{layer} takes {takes} features but is given {given}[ = {product}][ ({source})][; write {fix}]",
)
norm_size = Rule(
    "CONV203",
    "norm-size",
    "{layer} normalizes {takes} {what} but is given {given}[ ({source})][; write {fix}]",
)
prelu_channels = Rule(
    "CONV204",
    "prelu-channels",
    "{layer} has {takes} slopes but is given {given} channels[ ({source})][; write {fix}]",
)
broadcast = Rule(
    "CONV205",
    "broadcast",
    "{layer}: {left} and {right} cannot be broadcast together: {a} against {b} in dimension {axis}[ ({source})]"
    "[; write {fix}]",
)
concatenate = Rule(
    "CONV206",
    "cat-sizes",
    "{layer} along dim {dim}: the tensors must agree elsewhere but dimension {axis} is {a} and {b}:"
    " {left} and {right}[ ({source})][; write {fix}]",
)
stack_shapes = Rule(
    "CONV207",
    "stack-shapes",
    "{layer} needs tensors of one shape but is given {left} and {right}[ ({source})]",
)
matmul_sizes = Rule(
    "CONV208",
    "matmul-sizes",
    "{layer}: {left} and {right} cannot be multiplied: {a} against {b}[ ({source})][; write {fix}]",
)
einsum_sizes = Rule(
    "CONV209",
    "einsum-sizes",
    "{layer}: {problem}[ ({source})]",
)
shuffle_channels = Rule(
    "CONV210",
    "shuffle-channels",
    "{layer} needs {what} divisible by {factor} but is given {given}[ ({source})][; {fix}]",
)
split_sizes = Rule(
    "CONV211",
    "split-sizes",
    "{layer}: the sizes {sizes} add up to {total} but dimension {axis} is {given}[ ({source})]",
)
sequence_features = Rule(
    "CONV212",
    "sequence-features",
    "{layer} takes {takes} features ({argument}) but is given {given}[ ({source})][; write {fix}]",
)
loss_shapes = Rule(
    "CONV213",
    "loss-shapes",
    "{layer}: {problem}[ ({source})][; write {fix}]",
)
parameter_shape = Rule(
    "CONV214",
    "parameter-shape",
    "{layer}: {argument} has shape {given} but {takes} is needed[; write {fix}]",
)
in_place_sizes = Rule(
    "CONV215",
    "in-place-sizes",
    "{layer} works in place: a tensor of shape {held} cannot hold a result of shape {given}[ ({source})][; {fix}]",
)
dtype = Rule(
    "CONV216",
    "dtype",
    "{layer} {problem}[ ({source})]; write {fix}",
)

# 3xx: sizes -------------------------------------------------------------------------------------------------

lossy_size = Rule(
    "CONV301",
    "lossy-size",
    "{layer}: ({size} - {kernel} + 2*{padding}) / {stride} = {quotient} is not whole, and the last {lost} of the input"
    " {verb} never read[; {fix}]",
)
floored_size = Rule(
    "CONV302",
    "floored-size",
    "{layer}: ({size} - {kernel} + 2*{padding}) / {stride} = {quotient} is not whole; torch floors it and drops only"
    " {what}[; {fix}]",
    opt_in=True,
)
kernel_too_large = Rule(
    "CONV303",
    "kernel-too-large",
    "{layer}: the kernel spans {kernel} but the padded input is only {size}[ ({source})][; {fix}]",
)
empty_output = Rule(
    "CONV304",
    "empty-output",
    "{layer}: an input of {input} leaves an output of {output}; every size must be at least 1[ ({source})]",
)
one_value_per_channel = Rule(
    "CONV305",
    "one-value-per-channel",
    "{layer}[ {when}] needs more than one value per {what} but is given {given}[ ({source})][; {fix}]",
)
reflect_too_large = Rule(
    "CONV306",
    "pad-too-large",
    "{layer}: padding {padding} must be {allowed} the size {size} of the dimension it pads[ ({source})]",
)

# 4xx: rank and layout ---------------------------------------------------------------------------------------

rank = Rule(
    "CONV401",
    "rank",
    "{layer} takes {takes} but is given {given}, {rank} dimensions[ ({source})][; {fix}]",
)
missing_axis = Rule(
    "CONV402",
    "missing-axis",
    "{layer} reads the {rank}-D input {given} as one unbatched {read} with {channels} channels, but takes {takes}:"
    " {missing} is missing[; write {fix}]",
)
channels_last = Rule(
    "CONV403",
    "channels-last",
    "{layer} takes {takes} channels in dimension {axis} but the input {given} has them last; write {fix}",
)
view_elements = Rule(
    "CONV404",
    "view-elements",
    "{layer}: {given} has {have} elements[ {beside}][ ({source})], which {target} cannot hold[; {fix}]",
)
permute_dims = Rule(
    "CONV405",
    "permute-dims",
    "{layer}: {problem}[ ({source})]",
)
unpack_count = Rule(
    "CONV406",
    "unpack-count",
    "{given} value[{s}] cannot be unpacked into {names} names[ ({source})]",
)
folded_batch = Rule(
    "CONV407",
    "folded-batch",
    "{layer}: one sample of {given} has {features} features, so view(-1, {columns}) folds pixels into the batch;"
    " write {fix}",
)
dim_range = Rule(
    "CONV408",
    "dim-range",
    "{layer}: {argument} {value} is out of range for {given}[ ({source})][; write {fix}]",
)
einops_pattern = Rule(
    "CONV409",
    "einops-pattern",
    "{layer}: {problem}[ ({source})]",
)

fixed_batch = Rule(
    "CONV410",
    "fixed-batch",
    "{layer}: the batch is fixed to {batch}, but the last batch[ ({source})] may be smaller; write {fix}",
)
view_strides = Rule(
    "CONV411",
    "view-strides",
    "{layer}: the elements of {given} do not lie in order any more[ ({source})], so it cannot be viewed as {target};"
    " write {fix}",
)
first_layer_unrun = Rule(
    "CONV412",
    "first-layer-unrun",
    "{layer} never runs {name}, which makes {gives} channels of {takes}, and so takes no input but one that has {gives}"
    " already; write {fix}",
)

# 5xx: contracts ---------------------------------------------------------------------------------------------

shape_annotation = Rule(
    "CONV501",
    "shape-annotation",
    "{name} is annotated {annotated}, but {problem}",
)
call_contract = Rule(
    "CONV502",
    "call-contract",
    "{layer} is given {given} for {name}, which is annotated {annotated}[ ({source})]",
)
malformed_annotation = Rule(
    "CONV503",
    "malformed-annotation",
    "the shape annotation {text} of {name} cannot be read: {problem}",
)

return_annotation = Rule(
    "CONV504",
    "return-annotation",
    "{layer} is annotated to return {annotated}, but returns {given}[ ({source})]",
)

# 6xx: what Python itself refuses ----------------------------------------------------------------------------

index_range = Rule(
    "CONV601",
    "index-range",
    "index {index} is out of range: {name} has {count}[, the last is {last}]",
)
missing_key = Rule(
    "CONV602",
    "missing-key",
    "key {key} is missing: {name} has {keys}",
)

not_callable = Rule(
    "CONV603",
    "not-callable",
    "{name} is called but is {what}[; {fix}]",
)
own_check = Rule(
    "CONV604",
    "own-check",
    "{layer}: {problem}[ ({values})][; write {fix}]",
)
wrong_type = Rule(
    "CONV605",
    "wrong-type",
    "{layer}: {problem}",
)

before_init = Rule(
    "CONV606",
    "before-init",
    "the {kind} {name} {problem} nn.Module.__init__ of {cls}; write super().__init__() first",
)

missing_attribute = Rule(
    "CONV607",
    "missing-attribute",
    "{cls} has no attribute {name}: nothing sets it[; write {fix}]",
)

# 9xx: the checker's own notes -------------------------------------------------------------------------------

not_understood = Rule(
    "CONV901",
    "not-understood",
    "not understood: {reason}[ ({waiting})]",
)

#: Every rule by its code.
RULES: dict[str, Rule] = {r.code: r for r in list(globals().values()) if isinstance(r, Rule)}
