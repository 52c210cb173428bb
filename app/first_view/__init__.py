"""The finished comparison of the first page as a still picture, seen before the browser has read the lab's code."""
