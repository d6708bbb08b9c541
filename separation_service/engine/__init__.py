"""From a mix to stems: one interface over any model or bag that demucs loads."""

from separation_service.engine.loading import load_separator
from separation_service.engine.mix import ArrayMix
from separation_service.engine.options import EngineOptions
from separation_service.engine.separator import (
    MixSource,
    Separator,
    SeparatorInfo,
    StemBlock,
    StemBlocks,
    StemWaveforms,
    StepReport,
    Waveform,
    WeightsFile,
)

__all__ = [
    "ArrayMix",
    "EngineOptions",
    "MixSource",
    "Separator",
    "SeparatorInfo",
    "StemBlock",
    "StemBlocks",
    "StemWaveforms",
    "StepReport",
    "Waveform",
    "WeightsFile",
    "load_separator",
]
