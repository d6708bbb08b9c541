"""Where the weights of known models are published, and what is known of their digests.

Safetensors come from their author's repositories on Hugging Face at a pinned revision. Their full SHA-256 digests are those that
independent public repositories pin for the same files (nine of them for htdemucs_ft). If one is wrong, the download
fails its verification.

Pickles come from where demucs fetched them before 4.1. The ``demucs`` package names them and the first 8 hex digits of their
SHA-256 (``demucs/remote/files.txt``, release 4.1.0); no full digest is published there.

A bag's YAML is small and written here, after ``demucs/remote/*.yaml``, so that it needs no download.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Form = Literal["safetensors", "pickles"]

LICENCE = (
    "no licence is stated with the weights; their author: for scientific purposes only (facebookresearch/demucs#327)"
)
_HUB = "https://huggingface.co/adefossez"
_HYBRID_TRANSFORMER = "https://dl.fbaipublicfiles.com/demucs/hybrid_transformer"


@dataclass(frozen=True)
class WeightFile:
    """A published file and the first hex digits of its SHA-256: all 64 if they are known."""

    name: str
    sha256_prefix: str


@dataclass(frozen=True, kw_only=True)
class Published:
    """A model's files in one form, under one address."""

    base_url: str
    files: tuple[WeightFile, ...]


@dataclass(frozen=True, kw_only=True)
class WeightSource:
    """A model as it is published, in one form or more, and the YAML of its bag."""

    name: str
    forms: Mapping[Form, Published]
    bag_yaml: str


def demucs_model(
    name: str, *, revision: str, safetensors: Mapping[str, str], pickles: Mapping[str, str], weights: str = ""
) -> WeightSource:
    """A model of demucs; both mappings have its signatures in the bag's order.

    ``safetensors`` has the full digest of each ``SIGNATURE.safetensors``, ``pickles`` the first digits of the digest of each
    ``SIGNATURE-DIGITS.th``.
    """
    signatures = ", ".join(f"'{signature}'" for signature in safetensors)
    return WeightSource(
        name=name,
        forms={
            "safetensors": Published(
                base_url=f"{_HUB}/{name.replace('htdemucs', 'HTDemucs').replace('_', '-')}/resolve/{revision}",
                files=tuple(WeightFile(f"{sig}.safetensors", digest) for sig, digest in safetensors.items()),
            ),
            "pickles": Published(
                base_url=_HYBRID_TRANSFORMER,
                files=tuple(WeightFile(f"{sig}-{digits}.th", digits) for sig, digits in pickles.items()),
            ),
        },
        bag_yaml=f"models: [{signatures}]\n{weights}licence: '{LICENCE}'\n",
    )


_ONE_MODEL_A_STEM = """weights:
  - [1., 0., 0., 0.]
  - [0., 1., 0., 0.]
  - [0., 0., 1., 0.]
  - [0., 0., 0., 1.]
"""

SOURCES = {
    source.name: source
    for source in (
        demucs_model(
            "htdemucs_ft",
            revision="d74ac89c3a1e874fc78f152555cf4d8533f06cd4",
            safetensors={
                "f7e0c4bc": "2c85ab3c62dd6edd8e0b965e38b16fd1cdde357cc25de6b6bc9ce7c83f60925f",
                "d12395a8": "5b01a97567ae9a3178a6236fb520251045c03eb8834bc8c24a4eec11d6c8fb56",
                "92cfc3b6": "a241863551f30d01c42bd7b97da40839922ead3acb0f1fcab25682f55b4eeb59",
                "04573f0d": "68854b0d7c2b3274723b5761f6fd9f5aec5f1bcd3f0de7c1669546fdb7871b7c",
            },
            pickles={"f7e0c4bc": "ba3fe64a", "d12395a8": "e57c48e6", "92cfc3b6": "ef3bcb9c", "04573f0d": "f3cf25b2"},
            weights=_ONE_MODEL_A_STEM,
        ),
        demucs_model(
            "htdemucs",
            revision="cbc8a9b1a87023b7fd74e7b3412e6321c0eab003",
            safetensors={"955717e8": "d9fa14133cfcc034a6758923bb3a8ca9f8dfd0b582134643bbf83f72c17576dd"},
            pickles={"955717e8": "8726e21a"},
        ),
        demucs_model(
            "htdemucs_6s",
            revision="3c5ee475be622df764938de97e4281a7b07ffa58",
            safetensors={"5c90dfd2": "d2a1745f0744721f6b8ca5bf469b67c651ea5ed1b52998cab033b2158609d411"},
            pickles={"5c90dfd2": "34c22ccb"},
        ),
    )
}
