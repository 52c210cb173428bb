"""The names that others build on, whatever was imported before."""

from __future__ import annotations

import subprocess
import sys

import pytest

FUNCTIONS = ("train", "launch", "hypergradient", "resume", "stop", "adapt", "dynamics_of", "fit_dynamics", "decompose")


@pytest.mark.parametrize("first", ["", "import bidora.train, bidora.launch, bidora.hypergradient"])
def test_functions_are_functions_also_after_their_modules_were_imported(first: str) -> None:
    lines = [first, "import bidora"]
    for name in FUNCTIONS:
        lines += [f"from bidora import {name}", f"assert type({name}).__name__ == 'function', ({name!r}, {name})"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    import bidora

    with pytest.raises(AttributeError, match="nothing_like_it"):
        bidora.nothing_like_it  # noqa: B018
