"""How a new stem comes to lie where the old one lay: onsets, timing, seams, level, and the analysis of unknown audio.

Pure functions over numpy arrays. Nothing here knows of jobs, protobuf or models.
"""

from separation_service.alignment.analysis import Analysis, Hints, TempoSpan, analyze
from separation_service.alignment.grid import Grid, Region
from separation_service.alignment.key import Key
from separation_service.alignment.limits import Kind, Limits, limits_for
from separation_service.alignment.report import DriftReport

__all__ = [
    "Analysis",
    "DriftReport",
    "Grid",
    "Hints",
    "Key",
    "Kind",
    "Limits",
    "Region",
    "TempoSpan",
    "analyze",
    "limits_for",
]
