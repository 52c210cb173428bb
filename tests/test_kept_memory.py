"""Memory that a step frees is kept for the next one, and given back when training ends."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

glibc = pytest.mark.skipif(
    platform.system() != "Linux" or platform.libc_ver()[0] != "glibc", reason="this system's C library is not glibc"
)

PROGRAM = """
import resource, sys
import torch
from bidora.shortcuts import kept_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

def step():
    torch.ones(24 << 20)  # 96 MiB, freed at once

def pages_per_step():
    step(), step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 5

usual = pages_per_step()
with kept_memory() as kept:
    inside, held = pages_per_step(), resident()
print(kept, usual, inside, held - resident(), pages_per_step())
"""


def measured(**environment: str) -> list[str]:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env={**clean(), **environment}
    )
    return answer.stdout.split()


def clean() -> dict[str, str]:
    """This environment without anybody's settings of the memory."""
    import os

    return {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}


@glibc
def test_pages_are_asked_for_once_and_given_back_at_the_end() -> None:
    kept, usual, inside, given_back, after = measured()
    assert kept == "True"
    assert float(usual) > 1_000  # each step asks for its pages anew (24,576 of 4 KiB; fewer where pages are huge)
    assert float(inside) < 50
    assert int(given_back) > 80 << 20
    assert float(after) > 1_000


@glibc
@pytest.mark.parametrize(
    "environment", [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}]
)
def test_a_threshold_of_the_user_holds(environment: dict[str, str]) -> None:
    kept, usual, inside, *_ = measured(**environment)
    assert kept == "False"
    assert float(inside) == pytest.approx(float(usual), rel=0.2)


@glibc
def test_other_settings_of_the_user_are_no_hindrance() -> None:
    assert measured(MALLOC_ARENA_MAX="2")[0] == "True"
