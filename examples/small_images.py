"""A network made for large photos is given 32 x 32 pictures: nothing is left for the last convolution."""
import torch
from torch import nn


class Photos(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(32, 64, kernel_size=5),  # expect: CONV303 "spans 5 but the padded input is only 4"
        )

    def forward(self, x):
        return self.layers(x).mean(dim=(2, 3))


def main():
    return Photos()(torch.randn(1, 3, 32, 32))


if __name__ == "__main__":
    main()

# torch: Photos()(torch.randn(1, 3, 224, 224)) gives (1, 64)
# torch: main() raises "Kernel size can't be greater than actual input size"
