"""Grouped convolutions: both channel counts must be multiples of the groups."""
import torch
from torch import nn


def depthwise():
    return nn.Conv2d(8, 8, kernel_size=3, padding=1, groups=8)


def thirds():
    return nn.Conv2d(8, 8, kernel_size=3, padding=1, groups=3)  # expect: CONV101 "in_channels=8 is not divisible by groups=3"


if __name__ == "__main__":
    print(depthwise()(torch.randn(1, 8, 32, 32)).shape)
    print(thirds())

# torch: depthwise()(torch.randn(1, 8, 32, 32)) gives (1, 8, 32, 32)
# torch: thirds() raises "in_channels must be divisible by groups"
