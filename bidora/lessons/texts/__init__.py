"""The texts of the lessons, one file each. Facts hold against the papers; measured numbers come from recordings."""
