"""What the first page says before anything else."""

from __future__ import annotations

TITLE = "BiDoRA Lab"
INTRODUCTION = (
    "**LoRA, DoRA and BiDoRA** adapt a pretrained model by training a small addition to its weights. DoRA splits each weight "
    "into a length (the magnitude) and a direction; BiDoRA trains these two on different parts of the data. This lab lets you "
    "see what that does to the weights, train it on real data, and check whether it helps."
)
ADVICE = "New here? Open **Decompose a weight** and move a slider, or read the finished comparison below."
