"""Two unpadded convolutions leave 16 x 5 x 5 numbers of a 32 x 32 image, but these images are 28 x 28."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)  # expect: CONV202 "fc1 takes 400 features but is given 256"
        self.fc2 = nn.Linear(120, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return self.fc2(x)


def main():
    model = LeNet()
    digits = torch.randn(64, 1, 28, 28)
    print(model(digits).shape)


if __name__ == "__main__":
    main()

# torch: main() raises "mat1 and mat2 shapes cannot be multiplied (64x256 and 400x120)"
