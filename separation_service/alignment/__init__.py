"""Moves a new stem onto the original's grid: onsets, timing, seams, level; and analyses audio without a tempo map.

Pure functions over numpy arrays. No jobs, protobuf or models.
"""

from separation_service.alignment.analysis import Analysis, Hints, TempoSpan, analyze
from separation_service.alignment.grid import BarRange, Grid
from separation_service.alignment.key import Key
from separation_service.alignment.limits import Limits, limits_for
from separation_service.alignment.report import DriftReport

__all__ = [
    "Analysis",
    "BarRange",
    "DriftReport",
    "Grid",
    "Hints",
    "Key",
    "Limits",
    "TempoSpan",
    "analyze",
    "limits_for",
]
