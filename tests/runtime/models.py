"""Models of many kinds that work, for the tests of the runtime half."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Small(nn.Module):
    """(N, 3, H, W) -> (N, 10), with a batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(self.drop(torch.relu(self.bn(self.conv(x)))).mean((2, 3)))


class TwoInputs(nn.Module):
    """An image and a vector, and a number that is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8 + 5, 4)

    def forward(self, image: torch.Tensor, extra: torch.Tensor, scale: float = 1.0) -> Any:
        return self.fc(torch.cat([self.conv(image).mean((2, 3)), extra * scale], 1))


class Nested(nn.Module):
    """A dict with a tuple of tensors in it goes in, a dict of tensors comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 6), nn.Linear(5, 6)

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        a, b = batch["pair"]
        return {"sum": self.left(a) + self.right(b), "name": batch["name"]}


class Sequence(nn.Module):
    """A CNN over (N, 1, 32, W), read by an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.lstm = nn.LSTM(8 * 16, 20, num_layers=2, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(40, 11)

    def forward(self, x: torch.Tensor) -> Any:
        x = self.cnn(x)
        n, c, h, w = x.shape
        out, _ = self.lstm(x.permute(0, 3, 1, 2).reshape(n, w, c * h))
        return self.fc(out)


class Clip(torch.autograd.Function):
    """A function with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grads[0] * ((x >= 0) & (x <= 1))


class WithFunction(nn.Module):
    """Uses :class:`Clip`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.conv(Clip.apply(x))


class Counter(nn.Module):
    """Changes everything that a forward can change of a module."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", torch.zeros(4))
        self.calls = 0
        self.history: list[Any] = []
        self.last: Any = None

    def forward(self, x: torch.Tensor) -> Any:
        self.steps += 1
        y = self.bn(self.conv(x))
        self.mean = 0.9 * self.mean + 0.1 * y.mean((0, 2, 3))
        self.calls += 1
        self.history.append(y)
        self.last = y
        self.extra = nn.Linear(1, 1)
        self.register_buffer("late", torch.ones(2))
        self.eval()
        return y * torch.rand(1, device=y.device)


class Fails(Counter):
    """The same, and raises in the end."""

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x).view(1, 7)


class Reads(nn.Module):
    """Looks at the numbers of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> Any:
        y = self.conv(x)
        return y if y.sum().item() > 0 else -y


class OwnDevice(nn.Module):
    """Makes tensors on a device of its own choice, as code written for one machine does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.conv(x) + torch.zeros(4, 1, 1, device="cpu")


class Mixed(nn.Module):
    """Runs under autocast inside."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> Any:
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return self.conv(x)


class Lazy(nn.Module):
    """Learns its sizes from the first input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.fc = nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.LazyLinear(10)

    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(self.bn(self.conv(x)).flatten(1))


class Residual(nn.Module):
    """A strided block whose branches join: 3x3 stride 2 and 3x3 beside 1x1 stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1)
        self.short = nn.Conv2d(3, 8, 1, 2)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(8 * 8 * 8, 10)

    def forward(self, x: torch.Tensor) -> Any:
        y = functional.relu(self.two(functional.relu(self.one(x))) + self.short(x))
        return self.fc(self.pool(y).flatten(1))
