"""The two paths of a residual block meet with different sizes: only one of them has the stride."""
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, channels=64):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)  # expect: CONV205 "write stride=1 in conv1"
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        y = torch.relu(self.conv1(x))
        return x + self.conv2(y)


def main():
    return Block()(torch.randn(1, 64, 15, 15))


if __name__ == "__main__":
    main()

# torch: main() raises "The size of tensor a (15) must match the size of tensor b (8)"
