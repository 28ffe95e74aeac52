"""DenseNet for CIFAR, a recurrent classifier over its features, and a small Inception."""

import math
from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812


class Bottleneck(nn.Module):
    def __init__(self, in_planes, growth_rate):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = nn.Conv2d(in_planes, 4 * growth_rate, kernel_size=1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth_rate)
        self.conv2 = nn.Conv2d(4 * growth_rate, growth_rate, kernel_size=3, padding=1, bias=False)

    def forward(self, x):
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        return torch.cat([out, x], 1)


class Transition(nn.Module):
    def __init__(self, in_planes, out_planes):
        super().__init__()
        self.bn = nn.BatchNorm2d(in_planes)
        self.conv = nn.Conv2d(in_planes, out_planes, kernel_size=1, bias=False)

    def forward(self, x):
        out = self.conv(F.relu(self.bn(x)))
        return F.avg_pool2d(out, 2)


class DenseNet(nn.Module):
    def __init__(self, block, nblocks, growth_rate=12, reduction=0.5, num_classes=10):
        super().__init__()
        self.growth_rate = growth_rate
        num_planes = 2 * growth_rate
        self.conv1 = nn.Conv2d(3, num_planes, kernel_size=3, padding=1, bias=False)
        self.stages = nn.Sequential(OrderedDict())
        for i, n in enumerate(nblocks):
            self.stages.add_module(f"dense{i + 1}", self._make_dense_layers(block, num_planes, n))
            num_planes += n * growth_rate
            if i < len(nblocks) - 1:
                out_planes = int(math.floor(num_planes * reduction))  # noqa: RUF046
                self.stages.add_module(f"trans{i + 1}", Transition(num_planes, out_planes))
                num_planes = out_planes
        self.bn = nn.BatchNorm2d(num_planes)
        self.linear = nn.Linear(num_planes, num_classes)

    def _make_dense_layers(self, block, in_planes, nblock):
        layers = []
        for _ in range(nblock):
            layers.append(block(in_planes, self.growth_rate))
            in_planes += self.growth_rate
        return nn.Sequential(*layers)

    def forward(self, x):
        out = self.stages(self.conv1(x))
        out = F.avg_pool2d(F.relu(self.bn(out)), 4)
        out = out.view(out.size(0), -1)
        return self.linear(out)


def densenet_cifar():
    return DenseNet(Bottleneck, [6, 12, 24, 16], growth_rate=12)


class Inception(nn.Module):
    def __init__(self, in_planes, n1x1, n3x3red, n3x3, pool_planes):
        super().__init__()
        self.b1 = nn.Sequential(nn.Conv2d(in_planes, n1x1, kernel_size=1), nn.BatchNorm2d(n1x1), nn.ReLU(True))
        self.b2 = nn.Sequential(
            OrderedDict(
                [
                    ("reduce", nn.Conv2d(in_planes, n3x3red, kernel_size=1)),
                    ("conv", nn.Conv2d(n3x3red, n3x3, kernel_size=3, padding=1)),
                    ("relu", nn.ReLU(True)),
                ]
            )
        )
        self.b3 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(in_planes, pool_planes, kernel_size=1))
        self.out_planes = n1x1 + n3x3 + pool_planes

    def forward(self, x):
        return torch.cat([b(x) for b in (self.b1, self.b2, self.b3)], 1)


class CRNN(nn.Module):
    """Text lines: columns of a feature map are the steps of an LSTM."""

    def __init__(self, n_class=37, hidden=128):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 32, 3, 1, 1),
            nn.MaxPool2d(2, 2),
            Inception(32, 16, 24, 32, 16),
            nn.MaxPool2d((2, 2), (2, 1), (0, 1)),
            nn.Conv2d(64, 128, 3, 1, 1),
            nn.AdaptiveAvgPool2d((1, None)),
        )
        self.rnn = nn.LSTM(128, hidden, num_layers=2, bidirectional=True)
        self.embedding = nn.Linear(hidden * 2, n_class)

    def forward(self, input):
        conv = self.cnn(input)
        _, _, h, _ = conv.size()
        assert h == 1, "the height of conv must be 1"
        conv = conv.squeeze(2)
        conv = conv.permute(2, 0, 1)  # [w, b, c]
        recurrent, _ = self.rnn(conv)
        t, b, h = recurrent.size()
        output = self.embedding(recurrent.view(t * b, h))
        return output.view(t, b, -1)


if __name__ == "__main__":
    print(densenet_cifar()(torch.randn(1, 3, 32, 32)).size(), CRNN()(torch.randn(2, 1, 32, 100)).size())
