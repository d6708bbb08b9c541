"""Phase recovery: magnitudes to audio, block by block to bound memory.

Pitched sound below 2 kHz keeps propagated phases (phase_propagation.py) until the last iteration of fast Griffin-Lim (Perraudin
et al. 2013), which finds all other phases. Blocks overlap. The first frames of a block are fixed to the spectrum of the block
before, so that the phases of the others continue it.

Letters: ``C`` mid and side (2), ``K`` bins, ``L`` bins of the propagated range, ``F`` frames, ``T`` samples.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from einops import rearrange
from torch import Tensor

from render_service.renderers.latent_diffusion.front_end import FrontEnd
from render_service.renderers.latent_diffusion.phase_propagation import (
    PhasePropagation,
    PropagatedPhases,
    PropagationSpec,
    Target,
)

_MIN_POWER = 1e-18  # avoids a division by zero in silent bins, whose phase has no effect
TargetOf = Callable[[int, int], Target]
"""``target_of(first_frame, stop_frame)``, computed block by block."""


@dataclass(frozen=True, kw_only=True)
class PhaseSpec:
    """``block_frames`` per block, after an overlap of ``overlap_frames`` of which the first ``fixed_frames`` are fixed.

    ``chunk_frames``: frames that a CPU transforms at a time, so that they fit into its cache; a GPU transforms whole blocks.
    ``momentum`` is the acceleration of fast Griffin-Lim.
    """

    block_frames: int = 768
    overlap_frames: int = 16
    fixed_frames: int = 12
    chunk_frames: int = 96
    momentum: float = 0.99
    propagation: PropagationSpec = field(default_factory=PropagationSpec)


def recover_phase(
    front_end: FrontEnd,
    target_of: TargetOf,
    frames: int,
    phase_noise: Callable[[int, int], Tensor],
    *,
    iterations: int,
    report: Callable[[int, int], None],
    bass_hz: Tensor | None = None,
    spec: PhaseSpec | None = None,
) -> Tensor:
    """Recover mid and side ``(C, F * hop)``.

    ``phase_noise(first_frame, stop_frame)`` gives the initial phases in turns ``(C, K, F)``. ``bass_hz``: the frequency of the
    bass note in each frame ``(F,)``, NaN where none is known.
    """
    spec = spec or PhaseSpec()
    hop = front_end.spec.hop_samples
    propagation = PhasePropagation(
        front_end.spec, spec.propagation, torch.full((frames,), torch.nan) if bass_hz is None else bass_hz
    )
    context = spec.propagation.context_frames
    starts = range(0, frames, spec.block_frames)
    audio: list[Tensor] = []
    tail: Tensor | None = None
    for done, start in enumerate(starts):
        report(done, len(starts))
        stop = min(start + spec.block_frames, frames)
        overlap = spec.overlap_frames if tail is not None else 0
        first = start - overlap
        before = min(context, first)
        wide = target_of(first - before, min(stop + context, frames))
        propagated = propagation.next_block(wide, before=before, frames=stop - first, repeated=overlap)
        target = wide.magnitudes[..., before : before + stop - first]
        initial = torch.polar(target, 2.0 * torch.pi * phase_noise(first, stop))
        fixed = None
        if tail is not None:
            fixed = front_end.transform(tail[None])[0, ..., : spec.fixed_frames]
        block = _Block(target=target, initial=initial, propagated=propagated, fixed=fixed)
        sound = _iterate_channels(front_end, block, iterations=iterations, spec=spec)
        if tail is not None:
            fade = _fade(overlap * hop, spec.fixed_frames * hop // 2, like=sound)
            faded = _crossfade(tail, sound[:, : overlap * hop], fade)
            audio[-1] = torch.cat([audio[-1][:, : -overlap * hop], faded], dim=1)
        audio.append(sound[:, overlap * hop :])
        tail = torch.cat(audio[-2:], dim=1)[:, -spec.overlap_frames * hop :]
    report(len(starts), len(starts))
    return torch.cat(audio, dim=1)


@dataclass(frozen=True, kw_only=True)
class _Block:
    """``target`` magnitudes and ``initial`` spectra ``(C, K, F)``; ``fixed`` spectra replace those of the first frames."""

    target: Tensor
    initial: Tensor
    propagated: PropagatedPhases
    fixed: Tensor | None

    def channel(self, index: int) -> _Block:
        """One channel of the block."""
        own = slice(index, index + 1)
        return _Block(
            target=self.target[own],
            initial=self.initial[own],
            propagated=PropagatedPhases(turns=self.propagated.turns[own], weight=self.propagated.weight[own]),
            fixed=None if self.fixed is None else self.fixed[own],
        )


def _iterate_channels(front_end: FrontEnd, block: _Block, *, iterations: int, spec: PhaseSpec) -> Tensor:
    """:func:`_iterate` with one thread each for mid and side on a CPU.

    Threads inside operations this small cost more than they gain, and the channels are independent.
    """
    if block.target.is_cuda:
        return _iterate(front_end, block, iterations=iterations, spec=spec)
    inference = torch.is_inference_mode_enabled()

    def one(channel: int) -> Tensor:
        with torch.inference_mode(inference):
            return _iterate(front_end, block.channel(channel), iterations=iterations, spec=spec)

    channels = block.target.shape[0]
    with ThreadPoolExecutor(max_workers=min(channels, torch.get_num_threads())) as threads:
        return torch.cat(list(threads.map(one, range(channels))))


def _iterate(front_end: FrontEnd, block: _Block, *, iterations: int, spec: PhaseSpec) -> Tensor:
    """Project alternately onto the target magnitudes and onto consistent spectra. Returns ``(C, T)``.

    Propagated phases are held in all iterations but the last, which makes them consistent; more would blur the tones.

    The momentum is applied to the audio instead of the spectrum. The STFT is linear, so the result is that of Perraudin et
    al., and audio is a quarter of the spectrum's size.
    """
    magnitudes = block.target.transpose(1, 2).contiguous()
    fixed_spectrum = None if block.fixed is None else block.fixed.transpose(1, 2).contiguous()
    channels, frames = magnitudes.shape[:2]
    chunk = frames if magnitudes.is_cuda else spec.chunk_frames
    spans = [(start, min(start + chunk, frames)) for start in range(0, frames, chunk)]
    frame_sum = _OverlapAdd(front_end, frames)
    spectrum = block.initial.transpose(1, 2).contiguous()
    hold = _Hold(magnitudes, block.propagated)
    audio = frame_sum.empty(channels)
    for start, stop in spans:
        held = hold.apply(spectrum[:, start:stop], start, stop)
        frame_sum.add(audio, _with_fixed(held, fixed_spectrum, start), start)
    previous = frame_sum.normalise(audio)
    accelerated = previous
    for iteration in range(iterations):
        audio = frame_sum.empty(channels)
        for start, stop in spans:
            part = frame_sum.spectrum(accelerated, start, stop)
            torch.mul(part, _scale_to(magnitudes[:, start:stop], part), out=part)
            if iteration < iterations - 1:
                hold.apply(part, start, stop)
            frame_sum.add(audio, _with_fixed(part, fixed_spectrum, start), start)
        frame_sum.normalise(audio)
        accelerated = audio + spec.momentum * (audio - previous)
        previous = audio
    return frame_sum.without_margins(previous)


class _Hold:
    """Keeps the phases of spectra ``(C, F, K)`` near the propagated ones, by the weight of each."""

    def __init__(self, magnitudes: Tensor, propagated: PropagatedPhases) -> None:
        weight = propagated.weight.transpose(1, 2).contiguous()
        self._magnitudes = magnitudes[..., : weight.shape[-1]]
        phases = 2.0 * torch.pi * propagated.turns.transpose(1, 2)
        self._share, self._pull = 1.0 - weight, torch.polar(weight * self._magnitudes, phases)

    def apply(self, spectrum: Tensor, start: int, stop: int) -> Tensor:
        """Turn the phases of frames ``start`` to ``stop`` in place; magnitudes stay. Returns the spectrum."""
        low = spectrum[..., : self._share.shape[-1]]
        mixed = low * self._share[:, start:stop] + self._pull[:, start:stop]
        low.copy_(mixed * _scale_to(self._magnitudes[:, start:stop], mixed))
        return spectrum


def _scale_to(magnitudes: Tensor, spectrum: Tensor) -> Tensor:
    """What brings the bins of a spectrum to their magnitudes. Faster than ``abs``, which guards against overflow."""
    power = torch.view_as_real(spectrum).square()
    return (power[..., 0] + power[..., 1]).clamp_(min=_MIN_POWER).rsqrt_().mul_(magnitudes)


class _OverlapAdd:
    """STFT and inverse STFT of one block, with a margin of silence on both sides. ``P``: samples with margins."""

    def __init__(self, front_end: FrontEnd, frames: int) -> None:
        spec = front_end.spec
        self._window, self._hop, self._length = front_end.window, spec.hop_samples, spec.window_samples
        self._margin = (spec.window_samples - spec.hop_samples) // 2
        self._samples = (frames - 1) * spec.hop_samples + spec.window_samples
        envelope = torch.zeros(1, self._samples, device=self._window.device)
        self._add_frames(envelope, (self._window * self._window).expand(1, frames, -1), 0)
        self._gain = envelope.clamp_(min=1e-8).reciprocal_()
        self._gain[:, : self._margin] = 0.0
        self._gain[:, -self._margin :] = 0.0

    def empty(self, channels: int) -> Tensor:
        """Silence ``(C, P)``."""
        return torch.zeros(channels, self._samples, device=self._window.device)

    def spectrum(self, audio: Tensor, start: int, stop: int) -> Tensor:
        """Spectra ``(C, stop - start, K)`` of some frames of ``(C, P)``."""
        part = audio[:, start * self._hop : (stop - 1) * self._hop + self._length]
        spectrum: Tensor = torch.fft.rfft(part.unfold(-1, self._length, self._hop) * self._window)
        return spectrum

    def add(self, audio: Tensor, spectrum: Tensor, start: int) -> None:
        """Overlap-add the frames ``(C, N, K)`` to ``(C, P)`` in place, from frame ``start`` on."""
        frames = torch.fft.irfft(spectrum, n=self._length).mul_(self._window)
        self._add_frames(audio, frames, start)

    def normalise(self, audio: Tensor) -> Tensor:
        """Divide by the sum of the squared windows and silence the margins, in place: the least-squares inverse."""
        return audio.mul_(self._gain)

    def without_margins(self, audio: Tensor) -> Tensor:
        """``(C, P)`` to ``(C, F * hop)``."""
        return audio[:, self._margin : -self._margin]

    def _add_frames(self, audio: Tensor, frames: Tensor, start: int) -> None:
        hops = rearrange(audio, "c (f h) -> c f h", h=self._hop)
        count = frames.shape[1]
        for piece in range(self._length // self._hop):
            part = frames[..., piece * self._hop : (piece + 1) * self._hop]
            hops[:, start + piece : start + piece + count] += part


def _with_fixed(spectrum: Tensor, fixed: Tensor | None, start: int) -> Tensor:
    """``(C, N, K)`` from frame ``start`` on, with the frames that ``fixed`` has replaced by them."""
    if fixed is None or start >= fixed.shape[1]:
        return spectrum
    count = min(fixed.shape[1] - start, spectrum.shape[1])
    return torch.cat([fixed[:, start : start + count], spectrum[:, count:]], dim=1)


def _fade(samples: int, middle: int, *, like: Tensor) -> Tensor:
    """0 to 1 over a quarter of the overlap around ``middle``, where both signals are nearly equal."""
    width = samples // 4
    position = torch.arange(samples, device=like.device, dtype=like.dtype)
    return ((position - (middle - width / 2)) / width).clamp(0.0, 1.0)


def _crossfade(old: Tensor, new: Tensor, fade: Tensor) -> Tensor:
    return old * (1.0 - fade) + new * fade
