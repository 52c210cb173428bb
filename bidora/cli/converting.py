"""bidora convert: a checkpoint that another program wrote, as a model folder."""

from __future__ import annotations

import argparse
from collections import Counter

from bidora.cli.flags import Commands, add_command

DESCRIPTION = """Makes a model folder of a checkpoint that another program wrote, such as ProteinAligner's: finds the encoder in it, takes
the prefix off its names, gives it settings and a tokenizer. Then `bidora run --model FOLDER`, and so does every other command.

  bidora convert aligner.safetensors --into aligner                       an ESM-2 of a published size, seen by its shapes
  bidora convert aligner.safetensors --into aligner --base facebook/esm2_t33_650M_UR50D
  bidora convert both.safetensors --into aligner --prefix sequence_encoder

Names as transformers or fair-esm have them. Only .safetensors files are read; for .pt, .pth, .ckpt and .bin it says how to make one."""


def add_commands(commands: Commands) -> None:
    """Add convert."""
    convert = add_command(
        commands, "convert", _convert, help="a checkpoint of another program as a model folder", description=DESCRIPTION
    )
    convert.add_argument("file", metavar="FILE", help="the checkpoint, a .safetensors file")
    convert.add_argument("--into", metavar="FOLDER", required=True, help="the folder to make")
    convert.add_argument(
        "--base", metavar="MODEL", default="", help="a model of the same architecture: packaged name, folder or hub id"
    )
    convert.add_argument(
        "--prefix", metavar="NAME", help="what stands before the encoder's names (default: what fits best)"
    )


def _convert(args: argparse.Namespace) -> int:
    from bidora.models.conversion import convert_checkpoint

    done = convert_checkpoint(args.file, args.into, base=args.base, prefix=args.prefix)
    print(f"encoder: {done.described_by}; {done.parameters:,} parameters in {done.tensors} tensors")
    print(f"names: {done.names}'s" + (f", under {done.prefix!r}" if done.prefix else ""))
    if done.unused:
        parts = Counter(_part_of(name, done.prefix) for name in done.unused)
        told = ", ".join(f"{part} ({count})" for part, count in parts.most_common(8))
        more = f" and {len(parts) - 8} other parts" if len(parts) > 8 else ""
        print(f"not taken: {len(done.unused)} tensors of {told}{more}")
    print(f"written: {done.folder}; use it with --model {done.folder}")
    return 0


def _part_of(name: str, prefix: str) -> str:
    """The part of the checkpoint that a tensor belongs to: the first name behind the encoder's prefix, or the first."""
    inside = bool(prefix) and name.startswith(prefix)
    return (prefix if inside else "") + name.removeprefix(prefix if inside else "").partition(".")[0]
