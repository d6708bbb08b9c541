"""Checkpoints on disk: a folder with config.json and one safetensors file for each net (docs/checkpoint.md).

Weights are stored in float16 and loaded as float32. A checkpoint that cannot be used is refused with
:class:`ModelUnusable`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_type_hints

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from render_service.renderers.latent_diffusion.autoencoder import Autoencoder, AutoencoderConfig
from render_service.renderers.latent_diffusion.controls import CONTROL_WIDTHS
from render_service.renderers.latent_diffusion.denoiser import Denoiser, DenoiserConfig
from render_service.renderers.latent_diffusion.flow import WindowSpec
from render_service.renderers.latent_diffusion.front_end import FrontEnd, FrontEndSpec, filterbank
from render_service.renderers.latent_diffusion.habits_head import HabitsHead, HabitsHeadConfig
from render_service.renderers.latent_diffusion.partial_shares import PartialShares, PartialSharesConfig
from render_service.renderers.latent_diffusion.persona_encoder import PersonaEncoder, PersonaEncoderConfig
from render_service.renderers.latent_diffusion.vocoder import MagnitudeRefiner, VocoderConfig

FORMAT_VERSION = 1
ROLES = ("front_end", "autoencoder", "denoiser", "vocoder", "persona")
HABITS = "habits"
PARTIALS = "partials"
"""The roles that a checkpoint may lack."""
_CONFIG = "config.json"
_GET_AGAIN = "fetch or export the checkpoint again"
_FILTERBANK_TOLERANCE = 1e-3  # half precision of a weight near 1
_Config = TypeVar("_Config")


class ModelUnusable(Exception):
    """A model that cannot be loaded or run: the ``path`` or name, the ``problem``, and the ``remedy``."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = path
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One file of the folder, its SHA-256 and the number of trained parameters in it."""

    file: str
    sha256: str
    parameters: int


@dataclass(frozen=True, kw_only=True)
class TextEncoderRef:
    """The text encoder that the denoiser was trained with. It is installed as a package of its own."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """The content of config.json.

    ``noise_scale``: standard deviation of the initial noise. Below 1, takes of a small net are smoother and follow the
    controls better, but vary less (docs/decisions/0018-starter-weights.md).
    """

    format_version: int = FORMAT_VERSION
    name: str
    licence: str
    front_end_id: str
    default_steps: int
    default_guidance: float
    noise_scale: float
    front_end: FrontEndSpec
    windows: WindowSpec
    autoencoder: AutoencoderConfig
    denoiser: DenoiserConfig
    vocoder: VocoderConfig
    persona_encoder: PersonaEncoderConfig
    habits: HabitsHeadConfig | None = None
    partials: PartialSharesConfig | None = None
    text_encoder: TextEncoderRef
    controls: Mapping[str, int] = field(default_factory=lambda: dict(CONTROL_WIDTHS))
    files: Mapping[str, WeightsFile]

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of its nets."""
        optional = ((HABITS, self.habits), (PARTIALS, self.partials))
        return (*ROLES, *(role for role, sizes in optional if sizes is not None))


@dataclass(frozen=True, kw_only=True)
class Nets:
    """The nets of one checkpoint, in float32 and in evaluation mode."""

    front_end: FrontEnd
    autoencoder: Autoencoder
    denoiser: Denoiser
    vocoder: MagnitudeRefiner
    persona: PersonaEncoder
    habits: HabitsHead | None = None
    partials: PartialShares | None = None

    def of(self, role: str) -> nn.Module:
        """The net of one of :data:`ROLES`, or of :data:`HABITS` or :data:`PARTIALS` where there is one."""
        return cast("nn.Module", getattr(self, role))


def load(folder: Path) -> tuple[CheckpointConfig, Nets]:
    """Read, check and build the nets. Raises :class:`ModelUnusable`."""
    config = read_config(folder)
    nets = Nets(
        front_end=FrontEnd(config.front_end),
        autoencoder=Autoencoder(config.autoencoder),
        denoiser=Denoiser(config.denoiser),
        vocoder=MagnitudeRefiner(config.vocoder),
        persona=PersonaEncoder(config.persona_encoder),
        habits=HabitsHead(config.habits) if config.habits is not None else None,
        partials=PartialShares(config.partials) if config.partials is not None else None,
    )
    for role in config.roles:
        _load_tensors(nets.of(role), folder / config.files[role].file, config.files[role].sha256)
    bank = torch.from_numpy(filterbank(config.front_end))
    if not torch.allclose(nets.front_end.filterbank, bank, atol=_FILTERBANK_TOLERANCE):
        path = str(folder / config.files["front_end"].file)
        raise ModelUnusable(path, f"the stored filterbank is not that of {config.front_end_id}", _GET_AGAIN)
    return config, nets


def save(folder: Path, config: CheckpointConfig, nets: Nets) -> CheckpointConfig:
    """Write the nets in float16 (the front end in float32), and config.json with their digests. Returns that config."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, WeightsFile] = {}
    for role in config.roles:
        net = nets.of(role)
        path = folder / f"{role}.safetensors"
        dtype = torch.float32 if role == "front_end" else torch.float16
        save_file({name: value.to(dtype).contiguous() for name, value in net.state_dict().items()}, str(path))
        parameters = sum(p.numel() for p in net.parameters())
        files[role] = WeightsFile(file=path.name, sha256=sha256_of(path), parameters=parameters)
    stored = CheckpointConfig(**{**{f.name: getattr(config, f.name) for f in fields(config)}, "files": files})
    (folder / _CONFIG).write_text(json.dumps(asdict(stored), indent=2) + "\n", encoding="utf-8")
    return stored


def read_config(folder: Path) -> CheckpointConfig:
    """Read config.json and check that this version can run it, without reading the weights."""
    path = folder / _CONFIG
    if not path.is_file():
        raise ModelUnusable(str(path), "the file is missing", "name a folder in the checkpoint form, or 'starter'")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelUnusable(str(path), f"it is not JSON ({error})", _GET_AGAIN) from error
    if not isinstance(raw, dict):
        raise ModelUnusable(str(path), "it is not a JSON object", _GET_AGAIN)
    version = raw.get("format_version")
    if version != FORMAT_VERSION:
        problem = f"format_version must be {FORMAT_VERSION}, got {version!r}"
        raise ModelUnusable(str(path), problem, "update this software, or use a checkpoint of that version")
    config = _parse(CheckpointConfig, raw, str(path), "config")
    _check_consistency(config, str(path))
    return config


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_consistency(config: CheckpointConfig, path: str) -> None:
    """Check the parts of a config against each other and against this version."""
    spec, bands = config.front_end, 2 * config.front_end.bands
    remedy = "use a checkpoint that was trained for this front end and these controls"
    checks: tuple[tuple[str, object, object], ...] = (
        ("front_end_id", config.front_end_id, spec.id),
        ("controls", dict(config.controls), dict(CONTROL_WIDTHS)),
        ("denoiser.control_channels", config.denoiser.control_channels, sum(CONTROL_WIDTHS.values())),
        ("denoiser.latent_channels", config.denoiser.latent_channels, config.autoencoder.latent_channels),
        ("denoiser.embedding_size", config.denoiser.embedding_size, config.persona_encoder.embedding_size),
        ("autoencoder.frames_per_latent", config.autoencoder.frames_per_latent, spec.frames_per_latent),
        ("autoencoder.bands", config.autoencoder.bands, bands),
        ("vocoder.bands", config.vocoder.bands, bands),
        ("vocoder.bins", config.vocoder.bins, spec.bins),
        ("persona_encoder.bands", config.persona_encoder.bands, bands),
        ("front_end.sample_rate_hz", spec.sample_rate_hz, 44100),
        ("files", sorted(config.files), sorted(config.roles)),
        *(
            (("habits.embedding_size", config.habits.embedding_size, config.persona_encoder.embedding_size),)
            if config.habits
            else ()
        ),
    )
    for name, got, expected in checks:
        if got != expected:
            raise ModelUnusable(path, f"{name} must be {expected!r}, got {got!r}", remedy)
    if not 0.0 < config.noise_scale <= 1.0:
        problem = f"noise_scale must be above 0 and at most 1, got {config.noise_scale}"
        raise ModelUnusable(path, problem, _GET_AGAIN)


def _parse(kind: type[_Config], raw: object, path: str, where: str) -> _Config:
    """Build a frozen dataclass from JSON that has exactly its keys, with values of their types."""
    if not isinstance(raw, dict):
        raise ModelUnusable(path, f"{where} must be an object, got {raw!r:.80}", _GET_AGAIN)
    hints = get_type_hints(kind)
    for key in raw:
        if key not in hints:
            raise ModelUnusable(path, f"{where} has the unknown key {key!r}", "update this software, or remove the key")
    for key in hints:
        if key not in raw and not _is_optional(hints[key]):
            raise ModelUnusable(path, f"{where} lacks the key {key!r}", _GET_AGAIN)
    return kind(**{key: _parse_value(hints[key], value, path, f"{where}.{key}") for key, value in raw.items()})


def _is_optional(hint: Any) -> bool:  # noqa: ANN401 - a type at run time
    return NoneType in get_args(hint)


def _parse_value(hint: Any, value: object, path: str, where: str) -> object:  # noqa: ANN401 - a type at run time
    if _is_optional(hint):
        hint = next(kind for kind in get_args(hint) if kind is not NoneType)
        if value is None:
            return None
    if is_dataclass(hint):
        return _parse(cast("type[object]", hint), value, path, where)
    if hint == Mapping[str, WeightsFile] and isinstance(value, dict):
        return {role: _parse(WeightsFile, entry, path, f"{where}.{role}") for role, entry in value.items()}
    if hint == Mapping[str, int] and isinstance(value, dict) and all(type(width) is int for width in value.values()):
        return value
    if hint is float and type(value) is int:
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    kind = hint.__name__ if isinstance(hint, type) else str(hint)
    raise ModelUnusable(path, f"{where} must be of type {kind}, got {value!r:.80}", _GET_AGAIN)


def _load_tensors(net: nn.Module, path: Path, sha256: str) -> None:
    """Load a file's tensors into a net. Names and shapes must be exactly the net's own."""
    if not path.is_file():
        raise ModelUnusable(str(path), "the file is missing", _GET_AGAIN)
    actual = sha256_of(path)
    if actual != sha256:
        raise ModelUnusable(str(path), f"its SHA-256 must be {sha256} (config.json), got {actual}", _GET_AGAIN)
    try:
        tensors: dict[str, Tensor] = load_file(str(path))
    except SafetensorError as error:
        raise ModelUnusable(str(path), f"it is not safetensors ({error})", _GET_AGAIN) from error
    own = net.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        if name not in tensors:
            raise ModelUnusable(str(path), f"tensor {name!r} is missing", _GET_AGAIN)
        if name not in own:
            raise ModelUnusable(str(path), f"tensor {name!r} is unknown", _GET_AGAIN)
        if tensors[name].shape != own[name].shape:
            expected, got = tuple(own[name].shape), tuple(tensors[name].shape)
            problem = f"tensor {name!r} must have the shape {expected} of the config, got {got}"
            raise ModelUnusable(str(path), problem, _GET_AGAIN)
    net.load_state_dict({name: value.float() for name, value in tensors.items()})
    net.eval().requires_grad_(requires_grad=False)
