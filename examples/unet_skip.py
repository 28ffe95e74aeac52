"""A U-Net on a size that its poolings do not divide: 50 -> 25 -> 12, and 12 becomes 24 again, not 25."""
import torch
from torch import nn


def double_conv(cin, cout):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1), nn.ReLU(),
        nn.Conv2d(cout, cout, 3, padding=1), nn.ReLU())


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1 = double_conv(1, 16)
        self.down2 = double_conv(16, 32)
        self.middle = double_conv(32, 64)
        self.pool = nn.MaxPool2d(2)  # expect: CONV301 "(25 - 2 + 2*0) / 2 = 11.5 is not whole"
        self.up2 = nn.ConvTranspose2d(64, 32, 2, stride=2)
        self.conv2 = double_conv(64, 32)
        self.up1 = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.conv1 = double_conv(32, 16)
        self.last = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        d1 = self.down1(x)
        d2 = self.down2(self.pool(d1))
        m = self.middle(self.pool(d2))
        u2 = self.conv2(torch.cat([self.up2(m), d2], dim=1))  # expect: CONV206 "24 and 25"
        u1 = self.conv1(torch.cat([self.up1(u2), d1], dim=1))
        return self.last(u1)


def main():
    return UNet()(torch.randn(1, 1, 50, 50))


if __name__ == "__main__":
    main()

# torch: UNet()(torch.randn(1, 1, 48, 48)) gives (1, 1, 48, 48)
# torch: main() raises "Sizes of tensors must match except in dimension 1. Expected size 24 but got size 25"
