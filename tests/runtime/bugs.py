"""Models that cannot work, one mistake each: the source of ``Net``, how it is called, the code of the mistake.

``inputs`` are what ``check`` takes; the linter sees the same source with the call ``Net()(torch.randn(...))`` below it.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """``static``: does the linter see it too; then the codes must be the same."""

    name: str
    code: str
    init: str
    forward: str
    inputs: tuple[tuple[int, ...], ...] = ((2, 3, 32, 32),)
    static: bool = True

    @property
    def source(self) -> str:
        """The file."""
        arguments = ", ".join(f"torch.randn{shape}" for shape in self.inputs)
        names = ", ".join("xyz"[: len(self.inputs)])
        init = textwrap.indent(textwrap.dedent(self.init).strip() or "pass", " " * 8)
        forward = textwrap.indent(textwrap.dedent(self.forward).strip(), " " * 8)
        return (
            "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\nclass Net(nn.Module):\n"
            f"    def __init__(self):\n        super().__init__()\n{init}\n\n"
            f"    def forward(self, {names}):\n{forward}\n\n\n"
            f'if __name__ == "__main__":\n    Net()({arguments})\n'
        )


CONV = "self.conv = nn.Conv2d(3, 16, 3, padding=1)"

BUGS = [
    Bug("channels", "CONV201", CONV + "\nself.two = nn.Conv2d(32, 8, 3)", "return self.two(self.conv(x))"),
    Bug("channels after a cat", "CONV201", CONV + "\nself.two = nn.Conv2d(16, 8, 1)",
        "a = self.conv(x)\nreturn self.two(torch.cat([a, a], 1))"),
    Bug("functional groups", "CONV201", "self.weight = nn.Parameter(torch.zeros(8, 3, 3, 3))",
        "return F.conv2d(x, self.weight, groups=2)"),
    Bug("transposed channels", "CONV201", CONV + "\nself.up = nn.ConvTranspose2d(8, 3, 2, stride=2)",
        "return self.up(self.conv(x))"),
    Bug("functional bias", "CONV214",
        "self.weight = nn.Parameter(torch.zeros(8, 3, 3, 3))\nself.bias = nn.Parameter(torch.zeros(9))",
        "return F.conv2d(x, self.weight, self.bias)"),
    Bug("in place", "CONV215", CONV, "x = self.conv(x)\ngate = x.mean((2, 3), keepdim=True)\ngate *= x\nreturn gate"),
    Bug("linear", "CONV202", CONV + "\nself.fc = nn.Linear(16 * 5 * 5, 10)",
        "x = F.max_pool2d(self.conv(x), 4)\nreturn self.fc(x.flatten(1))"),
    Bug("linear without flatten", "CONV202", CONV + "\nself.fc = nn.Linear(16, 10)",
        "return self.fc(self.conv(x))"),
    Bug("functional linear", "CONV202", "self.weight = nn.Parameter(torch.zeros(10, 64))",
        "return F.linear(x.mean((2, 3)), self.weight)"),
    Bug("cat", "CONV206", CONV + "\nself.down = nn.Conv2d(3, 16, 3, stride=2, padding=1)",
        "return torch.cat([self.conv(x), self.down(x)], 1)"),
    Bug("stack", "CONV207", CONV + "\nself.two = nn.Conv2d(3, 8, 3, padding=1)",
        "return torch.stack([self.conv(x), self.two(x)])"),
    Bug("residual add", "CONV205", CONV + "\nself.two = nn.Conv2d(3, 32, 1)", "return self.conv(x) + self.two(x)"),
    Bug("add in place", "CONV205", CONV + "\nself.two = nn.Conv2d(3, 32, 1)",
        "a = self.conv(x)\na += self.two(x)\nreturn a"),
    Bug("product with a gate", "CONV205", CONV + "\nself.gate = nn.Linear(16, 16)",
        "a = self.conv(x)\nreturn a * self.gate(a.mean((2, 3)))"),
    Bug("batch norm", "CONV203", CONV + "\nself.bn = nn.BatchNorm2d(32)", "return self.bn(self.conv(x))"),
    Bug("group norm", "CONV203", CONV + "\nself.gn = nn.GroupNorm(8, 32)", "return self.gn(self.conv(x))"),
    Bug("layer norm", "CONV203", CONV + "\nself.norm = nn.LayerNorm(16)", "return self.norm(self.conv(x))"),
    Bug("batch norm rank", "CONV401", CONV + "\nself.bn = nn.BatchNorm2d(16)",
        "return self.bn(self.conv(x).flatten(1))"),
    Bug("one value per channel", "CONV305", CONV + "\nself.bn = nn.BatchNorm1d(16)",
        "return self.bn(self.conv(x).mean((2, 3)))", ((1, 3, 8, 8),)),
    Bug("prelu", "CONV204", CONV + "\nself.act = nn.PReLU(8)", "return self.act(self.conv(x))"),
    Bug("pool padding", "CONV108", CONV + "\nself.pool = nn.MaxPool2d(2, padding=2)",
        "return self.pool(self.conv(x))"),
    Bug("collapse in a conv", "CONV303", CONV + "\nself.two = nn.Conv2d(16, 16, 7)",
        "return self.two(F.max_pool2d(self.conv(x), 8))"),
    Bug("collapse in a pool", "CONV303", CONV, "return F.max_pool2d(F.max_pool2d(self.conv(x), 8), 8)"),
    Bug("nothing left", "CONV304", CONV, "return F.interpolate(self.conv(x), scale_factor=0.01)"),
    Bug("reflection", "CONV306", "self.pad = nn.ReflectionPad2d(40)", "return self.pad(x)"),
    Bug("output padding", "CONV107", "self.up = nn.ConvTranspose2d(3, 8, 2, output_padding=1)", "return self.up(x)"),
    Bug("kernel of three", "CONV104", "self.conv = nn.Conv2d(3, 8, (3, 3, 3))", "return self.conv(x)"),
    Bug("rank", "CONV401", CONV, "return self.conv(x.flatten(2).flatten(1))"),
    Bug("layout", "CONV403", CONV, "return self.conv(x)", ((2, 32, 32, 3),)),
    Bug("missing axis", "CONV402", "self.conv = nn.Conv2d(1, 8, 3)", "return self.conv(x)", ((8, 28, 28),)),
    Bug("view", "CONV404", CONV, "return self.conv(x).view(2, 100)"),
    Bug("folded batch", "CONV407", CONV + "\nself.fc = nn.Linear(300, 10)",
        "x = F.avg_pool2d(self.conv(x), 4)\nreturn F.cross_entropy(self.fc(x.view(-1, 256)), y.long())",
        ((2, 3, 32, 32), (2,))),
    Bug("permute", "CONV405", CONV, "return self.conv(x).permute(0, 2, 1)"),
    Bug("transpose", "CONV408", CONV, "return self.conv(x).flatten(2).transpose(1, 3)"),
    Bug("matmul", "CONV208", CONV, "a = self.conv(x).flatten(2)\nreturn a @ a"),
    Bug("bmm", "CONV208", CONV, "a = self.conv(x).flatten(2)\nreturn torch.bmm(a, a)"),
    Bug("einsum", "CONV209", CONV, "return torch.einsum('bchw,dc->bdhw', self.conv(x), torch.zeros(4, 8))"),
    Bug("pixel shuffle", "CONV210", "self.conv = nn.Conv2d(3, 18, 3)\nself.up = nn.PixelShuffle(2)",
        "return self.up(self.conv(x))"),
    Bug("split", "CONV211", CONV, "a, b = torch.split(self.conv(x), [8, 4], 1)\nreturn a"),
    Bug("lstm", "CONV212", CONV + "\nself.lstm = nn.LSTM(64, 32, batch_first=True)",
        "return self.lstm(self.conv(x).flatten(2).transpose(1, 2))[0]"),
    Bug("attention", "CONV212", CONV + "\nself.attn = nn.MultiheadAttention(64, 4, batch_first=True)",
        "a = self.conv(x).flatten(2).transpose(1, 2)\nreturn self.attn(a, a, a)[0]"),
    Bug("loss", "CONV213", CONV, "return F.cross_entropy(self.conv(x).mean((2, 3)), y.long())",
        ((2, 3, 32, 32), (4,))),
    Bug("dim out of range", "CONV408", CONV, "return self.conv(x).mean(4)"),
    Bug("unpacking", "CONV406", CONV, "b, c = self.conv(x).shape\nreturn x"),
    Bug("unpacking a name", "CONV406", CONV, "a = self.conv(x)\nb, c, h = a.size()\nreturn a"),
    Bug("unflatten", "CONV404", "self.parts = nn.Unflatten(1, (2, 2))", "return self.parts(x)"),
    Bug("upsample", "CONV113", "self.up = nn.Upsample()", "return self.up(x)"),
]  # fmt: skip

#: Layers that torch refuses to make: the constructor's own mistakes, seen when ``check`` makes the model.
CONSTRUCTION = [
    Bug("groups", "CONV101", "self.conv = nn.Conv2d(3, 8, 3, groups=2)", "return self.conv(x)"),
    Bug("output groups", "CONV102", "self.conv = nn.Conv2d(8, 6, 3, groups=4)",
        "return self.conv(x)", ((2, 8, 32, 32),)),
    Bug("padding string", "CONV106", "self.conv = nn.Conv2d(3, 8, 3, padding='Same')", "return self.conv(x)"),
    Bug("same with stride", "CONV105", "self.conv = nn.Conv2d(3, 8, 3, stride=2, padding='same')",
        "return self.conv(x)"),
    Bug("norm groups", "CONV109", "self.norm = nn.GroupNorm(4, 6)", "return self.norm(x)", ((2, 6, 8, 8),)),
    Bug("heads", "CONV111", "self.attn = nn.MultiheadAttention(10, 3)", "return x"),
]  # fmt: skip
