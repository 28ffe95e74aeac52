"""A small image classifier.  Nothing is wrong with it: flake8 prints nothing."""
import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Linear(32 * 8 * 8, num_classes)

    def forward(self, x):
        x = self.features(x)
        x = torch.flatten(x, 1)
        return self.head(x)


if __name__ == "__main__":
    model = Classifier()
    images = torch.randn(4, 3, 32, 32)
    print(model(images).shape)

# torch: Classifier()(torch.randn(4, 3, 32, 32)) gives (4, 10)
