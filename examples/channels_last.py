"""A photo from numpy has its channels last.  ``wrong`` hands it over as it is, ``right`` reorders it first."""
import numpy as np
import torch
from torch import nn

conv = nn.Conv2d(3, 64, kernel_size=3, padding=1)


def wrong():
    photo = torch.from_numpy(np.zeros((224, 224, 3), dtype=np.float32))
    return conv(photo)  # expect: CONV403 "x.permute(2, 0, 1).unsqueeze(0)"


def right():
    photo = torch.from_numpy(np.zeros((224, 224, 3), dtype=np.float32))
    x = photo.permute(2, 0, 1).unsqueeze(0)
    return conv(x)


if __name__ == "__main__":
    print(right().shape)
    print(wrong().shape)

# torch: right() gives (1, 64, 224, 224)
# torch: wrong() raises "to have 3 channels, but got 224 channels instead"
