"""Chooses the library that runs the networks: as configured, or the faster one. Log and fingerprint name it."""

from __future__ import annotations

from separation_service.engine import openvino_core
from separation_service.engine.bag import Bag
from separation_service.engine.hybrid import is_supported
from separation_service.engine.options import EngineOptions
from servicekit.errors import FailedPrecondition
from servicekit.logs import logger

_log = logger(__name__)

_MIN_PARAMETERS = 20_000_000
"""For smaller models the conversion takes longer than it saves over many songs (docs/decisions/0012-separation-engine.md)."""


def choose_openvino(bag: Bag, options: EngineOptions, *, name: str, parameters: int) -> bool:
    """True if OpenVINO runs this bag. Raises `FailedPrecondition` (MODEL_UNUSABLE) if it is configured and cannot."""
    obstacle = _obstacle(bag, options)
    if options.runtime == "openvino" and obstacle:
        raise FailedPrecondition(
            f"separator {name!r} cannot run on OpenVINO: {obstacle}; set SONICHAOS_SEPARATOR_RUNTIME to auto or torch",
            reason="MODEL_UNUSABLE",
            metadata={"model": name},
        )
    if options.runtime == "auto" and not obstacle and parameters < _MIN_PARAMETERS:
        obstacle = f"it has {parameters} parameters, and conversion does not pay below {_MIN_PARAMETERS}"
    chosen = options.runtime != "torch" and not obstacle
    runs = "openvino" if chosen else "torch"
    _log.info("separator runtime selected", configured=options.runtime, runtime=runs, reason=obstacle or None)
    return chosen


def _obstacle(bag: Bag, options: EngineOptions) -> str:
    """Why OpenVINO cannot run the bag; empty if it can."""
    if options.is_cuda:
        return "it is for CPUs, and the device is a GPU"
    if options.precision != "fp32":
        return "in reduced precision it reaches 27 dB, and 50 dB are required"
    if openvino_core.version() is None:
        return "it is not installed; install sonichaos-studio[openvino]"
    if not openvino_core.suits(bag):
        return "it runs HTDemucs models of the usual form only"
    return ""


def runtime_text(bag: Bag, options: EngineOptions, *, on_openvino: bool) -> str:
    """What runs the networks, for the fingerprint."""
    if on_openvino:
        return f"openvino {openvino_core.version()}"
    if not all(is_supported(member.model) for member in bag.members):
        return "torch, demucs' own forward"
    return "torch compiled" if options.is_cuda and options.compiled else "torch"
