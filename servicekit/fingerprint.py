"""The execution fingerprint: everything besides the plan that the samples depend on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from servicekit.settings import SettingsError

_DISPATCH = ("ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ATEN_CPU_CAPABILITY", "OPENBLAS_CORETYPE")
_VECTOR_FLAGS = ("sse4", "avx", "fma", "amx", "asimd", "sve")
_LIBRARIES = ("torch", "numpy", "scipy", "demucs", "transformers")


def check_device(device: str) -> None:
    """Raise :class:`SettingsError` where torch cannot use the device."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        build = f"torch {torch.__version__}" + ("" if torch.version.cuda else ", a build without CUDA")
        raise SettingsError(
            f"SONICHAOS_DEVICE={device}: {build} finds no CUDA device; check that nvidia-smi lists one and that torch has CUDA, "
            "or set it to cpu"
        )


def host_fingerprint(*, device: str, threads: int) -> dict[str, str]:
    """Device model, driver, library versions and threads of this process.

    ``device`` is a torch device such as ``"cpu"`` or ``"cuda"``.
    """
    import torch

    facts = {f"library.{name}": importlib.metadata.distribution(name).version for name in _LIBRARIES}
    facts["python"] = platform.python_version()
    facts["threads"] = str(threads)
    if device.startswith("cuda"):
        facts["device"] = torch.cuda.get_device_name(device)
        facts["cuda"] = str(torch.version.cuda)
        facts["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    else:
        capability = torch.backends.cpu.get_cpu_capability()
        facts["device"] = f"cpu {platform.machine()} {capability}"
        facts["cpu.instructions"] = _instructions()
    # What chooses the kernels of the libraries in torch and numpy at run time, beside the processor itself.
    facts |= {f"dispatch.{name}": os.environ.get(name, "") or "default" for name in _DISPATCH}
    return facts


def _instructions() -> str:
    """The vector instructions of this processor, of which oneDNN and MKL take the widest."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "unknown"
    flags = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return " ".join(sorted(flag for flag in flags.split() if flag.startswith(_VECTOR_FLAGS))) or "unknown"


def merge(*parts: Mapping[str, str]) -> dict[str, str]:
    """Merge fingerprints, with sorted keys. Raises ValueError where one key has two values."""
    merged: dict[str, str] = {}
    for part in parts:
        for key, value in part.items():
            if merged.setdefault(key, value) != value:
                raise ValueError(f"fingerprint key {key!r} is both {merged[key]!r} and {value!r}")
    return dict(sorted(merged.items()))
