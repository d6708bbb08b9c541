"""Where the weights of known models are published, and what is known of their digests.

The names and the first 8 hex digits of each file's SHA-256 are those that the ``demucs`` package itself carries
(``demucs/remote/files.txt``, release 4.1.0); no full digest is published there. A bag's YAML is small and written here, after
``demucs/remote/*.yaml``, so that it needs no fetching.
"""

from __future__ import annotations

from dataclasses import dataclass

_HYBRID_TRANSFORMER = "https://dl.fbaipublicfiles.com/demucs/hybrid_transformer/"
_LICENCE = "as published with facebookresearch/demucs (its code: MIT)"


@dataclass(frozen=True)
class WeightFile:
    """A published file, and the first hex digits of its SHA-256, all 64 where they are published."""

    name: str
    sha256_prefix: str


@dataclass(frozen=True, kw_only=True)
class WeightSource:
    """A model as it is published: files under an address, and the bag that binds them."""

    name: str
    base_url: str
    files: tuple[WeightFile, ...]
    bag_yaml: str


def _demucs_model(name: str, files: tuple[str, ...], weights: str = "") -> WeightSource:
    """``files`` are named ``SIGNATURE-PREFIX.th``."""
    signatures = ", ".join(f"'{file.partition('-')[0]}'" for file in files)
    return WeightSource(
        name=name,
        base_url=_HYBRID_TRANSFORMER,
        files=tuple(WeightFile(file, file.removesuffix(".th").partition("-")[2]) for file in files),
        bag_yaml=f"models: [{signatures}]\n{weights}licence: '{_LICENCE}'\n",
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
        _demucs_model(
            "htdemucs_ft",
            ("f7e0c4bc-ba3fe64a.th", "d12395a8-e57c48e6.th", "92cfc3b6-ef3bcb9c.th", "04573f0d-f3cf25b2.th"),
            _ONE_MODEL_A_STEM,
        ),
        _demucs_model("htdemucs", ("955717e8-8726e21a.th",)),
        _demucs_model("htdemucs_6s", ("5c90dfd2-34c22ccb.th",)),
    )
}
