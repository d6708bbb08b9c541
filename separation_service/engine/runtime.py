"""Which library runs the networks: what was asked for, or, where the choice is open, what pays. Said in log and fingerprint."""

from __future__ import annotations

from separation_service.engine import openvino_core
from separation_service.engine.bag import Bag
from separation_service.engine.hybrid import is_taken_apart
from separation_service.engine.options import EngineOptions
from servicekit.errors import FailedPrecondition
from servicekit.logs import logger

_log = logger(__name__)

_MIN_PARAMETERS = 20_000_000
"""Below it a conversion takes longer than it saves over many songs (docs/decisions/0012-separation-engine.md)."""


def choose_openvino(bag: Bag, options: EngineOptions, *, name: str, parameters: int) -> bool:
    """Whether OpenVINO runs this bag. Raises `FailedPrecondition` (MODEL_UNUSABLE) where it was asked for and cannot."""
    obstacle = _obstacle(bag, options)
    if options.runtime == "openvino" and obstacle:
        raise FailedPrecondition(
            f"separator {name!r} cannot run on OpenVINO: {obstacle}; set SONICHAOS_SEPARATOR_RUNTIME to auto or torch",
            reason="MODEL_UNUSABLE",
            metadata={"model": name},
        )
    if options.runtime == "auto" and not obstacle and parameters < _MIN_PARAMETERS:
        obstacle = f"it has {parameters} parameters, and below {_MIN_PARAMETERS} a conversion does not pay"
    chosen = options.runtime != "torch" and not obstacle
    runs = "openvino" if chosen else "torch"
    _log.info("the separator's runtime was chosen", asked=options.runtime, runs=runs, because=obstacle or None)
    return chosen


def _obstacle(bag: Bag, options: EngineOptions) -> str:
    """Why OpenVINO cannot run the bag; empty where it can."""
    if options.is_cuda:
        return "it is for CPUs, and the device is a GPU"
    if options.precision != "fp32":
        return "below float32 it holds 27 dB only, and 50 are wanted"
    if openvino_core.version() is None:
        return "it is not installed; install sonichaos-studio[openvino]"
    if not openvino_core.suits(bag):
        return "it runs HTDemucs models of the usual form only"
    return ""


def runtime_text(bag: Bag, options: EngineOptions, *, on_openvino: bool) -> str:
    """What runs the networks, for the fingerprint."""
    if on_openvino:
        return f"openvino {openvino_core.version()}"
    if not all(is_taken_apart(member.model) for member in bag.members):
        return "torch, demucs' own forward"
    return "torch compiled" if options.is_cuda and options.compiled else "torch"
