"""The second convolution expects 32 channels, the first one makes 16."""
import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)  # expect: CONV201 "conv2 takes 32 input channels but is given 16"
        self.head = nn.Linear(64, num_classes)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        return self.head(x.mean(dim=(2, 3)))


if __name__ == "__main__":
    print(Classifier()(torch.randn(4, 3, 32, 32)).shape)

# torch: Classifier()(torch.randn(4, 3, 32, 32)) raises "to have 32 channels, but got 16 channels instead"
