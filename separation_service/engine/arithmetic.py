"""Layout of the network's arithmetic per device; results differ in their last bits only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """``in_blocks``: a few frequencies at a time, as many as a cache holds. ``winograd``: 3 x 3 convolutions by winograd.py.

    ``feeds_by_convolution``: the transformer's widening matrix as a convolution of one step. ``whole``: products of the same
    numbers as one: what a gate lets through and the gate; queries, keys and values. ``taps_apart``: a convolution to few channels
    as one product for all its taps, whose parts are then shifted and added. ``plain_stretch``: a transposed convolution down the
    frequencies as a plain one that gives all new frequencies of its place at once, as it is done along time anyway.
    ``sums_in_blocks``: sums over time in two steps, for devices that add one number after the other. ``reduced``: the transformer
    in bfloat16.
    """

    in_blocks: bool = False
    winograd: bool = False
    feeds_by_convolution: bool = False
    whole: bool = False
    taps_apart: bool = False
    plain_stretch: bool = False
    sums_in_blocks: bool = True
    reduced: bool = False


ON_CPU = Arithmetic(in_blocks=True)
ON_GPU = Arithmetic(whole=True, taps_apart=True, plain_stretch=True, sums_in_blocks=False)
ON_OPENVINO = Arithmetic(winograd=True, feeds_by_convolution=True)
