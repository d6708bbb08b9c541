"""Magnitudes to sound: fast Griffin-Lim (Perraudin et al. 2013), block after block, so that length costs no memory.

A block starts in the sound that is already there: its first frames keep the spectrum of the block before, the rest
finds phases that continue it.

Letters: ``C`` mid and side (2), ``K`` bins, ``F`` frames, ``T`` samples.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from render_service.renderers.latent_diffusion.front_end import FrontEnd

_SMALLEST_POWER = 1e-18  # of a bin without sound, whose phase means nothing
MagnitudesOf = Callable[[int, int], Tensor]
"""``magnitudes(first_frame, stop_frame) -> (C, K, F)``: made when they are needed."""


@dataclass(frozen=True, kw_only=True)
class PhaseSpec:
    """Frames a block; frames of the one before that are kept; momentum of the fast iteration.

    ``chunk_frames``: as many frames are worked on at once as a CPU's cache holds; a GPU takes the block as a whole.
    """

    block_frames: int = 768
    lead_frames: int = 16
    held_frames: int = 12
    chunk_frames: int = 96
    momentum: float = 0.99


def recover_phase(
    front_end: FrontEnd,
    magnitudes: MagnitudesOf,
    frames: int,
    phase_noise: Callable[[int, int], Tensor],
    *,
    iterations: int,
    report: Callable[[int, int], None],
    spec: PhaseSpec | None = None,
) -> Tensor:
    """Mid and side ``(C, F * hop)``. ``phase_noise(first, stop)`` gives the starting phases in turns ``(C, K, F)``."""
    spec = spec or PhaseSpec()
    hop = front_end.spec.hop_samples
    starts = range(0, frames, spec.block_frames)
    sound: list[Tensor] = []
    tail: Tensor | None = None
    for done, start in enumerate(starts):
        report(done, len(starts))
        stop = min(start + spec.block_frames, frames)
        lead = spec.lead_frames if tail is not None else 0
        wanted = magnitudes(start - lead, stop)
        first = torch.polar(wanted, 2.0 * torch.pi * phase_noise(start - lead, stop))
        held = None
        if tail is not None:
            held = front_end.transform(tail[None])[0, ..., : spec.held_frames]
        block = _side_by_side(front_end, wanted, first, held, iterations=iterations, spec=spec)
        if tail is not None:
            fade = _fade(lead * hop, spec.held_frames * hop // 2, like=block)
            sound[-1] = torch.cat([sound[-1][:, : -lead * hop], _mix(tail, block[:, : lead * hop], fade)], dim=1)
        sound.append(block[:, lead * hop :])
        tail = torch.cat(sound[-2:], dim=1)[:, -spec.lead_frames * hop :]
    report(len(starts), len(starts))
    return torch.cat(sound, dim=1)


def _side_by_side(
    front_end: FrontEnd, wanted: Tensor, first: Tensor, held: Tensor | None, *, iterations: int, spec: PhaseSpec
) -> Tensor:
    """:func:`_iterate` for mid and side in a thread each, where the device is a CPU that may use several.

    Threads inside such small operations cost more than they bring; the channels never meet.
    """
    if wanted.is_cuda:
        return _iterate(front_end, wanted, first, held, iterations=iterations, spec=spec)
    inference = torch.is_inference_mode_enabled()

    def one(channel: int) -> Tensor:
        own = slice(channel, channel + 1)
        kept = None if held is None else held[own]
        with torch.inference_mode(inference):
            return _iterate(front_end, wanted[own], first[own], kept, iterations=iterations, spec=spec)

    channels = wanted.shape[0]
    with ThreadPoolExecutor(max_workers=min(channels, torch.get_num_threads())) as threads:
        return torch.cat(list(threads.map(one, range(channels))))


def _iterate(
    front_end: FrontEnd, wanted: Tensor, first: Tensor, held: Tensor | None, *, iterations: int, spec: PhaseSpec
) -> Tensor:
    """Project in turn on "has these magnitudes" and "is the spectrum of a sound". ``(C, K, F) -> (C, T)``.

    The momentum of the fast iteration is taken on the sound: the transform is linear, so that its spectrum is the one
    that Perraudin et al. extrapolate, and a sound is a quarter as large as its spectrum.
    """
    magnitudes = wanted.transpose(1, 2).contiguous()
    kept = None if held is None else held.transpose(1, 2).contiguous()
    frames = magnitudes.shape[1]
    chunk = frames if wanted.is_cuda else spec.chunk_frames
    spans = [(start, min(start + chunk, frames)) for start in range(0, frames, chunk)]
    level = _OverlapLevel(front_end, frames)
    spectrum = first.transpose(1, 2).contiguous()
    sound = level.empty(wanted.shape[0])
    for start, stop in spans:
        level.add(sound, _held(spectrum[:, start:stop], kept, start), start)
    previous = level.settle(sound)
    ahead = previous
    for _ in range(iterations):
        sound = level.empty(wanted.shape[0])
        for start, stop in spans:
            turned = level.spectrum(ahead, start, stop)
            power = torch.view_as_real(turned).square()
            scale = (power[..., 0] + power[..., 1]).clamp_(min=_SMALLEST_POWER).rsqrt_().mul_(magnitudes[:, start:stop])
            level.add(sound, _held(torch.mul(turned, scale, out=turned), kept, start), start)
        level.settle(sound)
        ahead = sound + spec.momentum * (sound - previous)
        previous = sound
    return level.inside(previous)


class _OverlapLevel:
    """Frames of one block and the sound that they overlap to, a margin of silence on both sides. ``P``: padded samples."""

    def __init__(self, front_end: FrontEnd, frames: int) -> None:
        spec = front_end.spec
        self._window, self._hop, self._length = front_end.window, spec.hop_samples, spec.window_samples
        self._margin = (spec.window_samples - spec.hop_samples) // 2
        self._samples = (frames - 1) * spec.hop_samples + spec.window_samples
        envelope = torch.zeros(1, self._samples, device=self._window.device)
        self._overlap(envelope, (self._window * self._window).expand(1, frames, -1), 0)
        self._gain = envelope.clamp_(min=1e-8).reciprocal_()
        self._gain[:, : self._margin] = 0.0
        self._gain[:, -self._margin :] = 0.0

    def empty(self, channels: int) -> Tensor:
        """Silence ``(C, P)``."""
        return torch.zeros(channels, self._samples, device=self._window.device)

    def spectrum(self, sound: Tensor, start: int, stop: int) -> Tensor:
        """``(C, P)`` to the spectra of some frames, ``(C, stop - start, K)``."""
        part = sound[:, start * self._hop : (stop - 1) * self._hop + self._length]
        spectrum: Tensor = torch.fft.rfft(part.unfold(-1, self._length, self._hop) * self._window)
        return spectrum

    def add(self, sound: Tensor, spectrum: Tensor, start: int) -> None:
        """Overlap the frames of ``(C, N, K)`` into ``(C, P)``, in place, from frame ``start`` on."""
        frames = torch.fft.irfft(spectrum, n=self._length).mul_(self._window)
        self._overlap(sound, frames, start)

    def settle(self, sound: Tensor) -> Tensor:
        """Divide by the windows' overlap and silence the margins, in place: the least-squares sound of its frames."""
        return sound.mul_(self._gain)

    def inside(self, sound: Tensor) -> Tensor:
        """``(C, P)`` without its margins: ``(C, F * hop)``."""
        return sound[:, self._margin : -self._margin]

    def _overlap(self, sound: Tensor, frames: Tensor, start: int) -> None:
        hops = rearrange(sound, "c (f h) -> c f h", h=self._hop)
        count = frames.shape[1]
        for piece in range(self._length // self._hop):
            inside = frames[..., piece * self._hop : (piece + 1) * self._hop]
            hops[:, start + piece : start + piece + count] += inside


def _held(spectrum: Tensor, kept: Tensor | None, start: int) -> Tensor:
    """``(C, N, K)`` from frame ``start`` on, its part of the first frames replaced by those that are kept."""
    if kept is None or start >= kept.shape[1]:
        return spectrum
    count = min(kept.shape[1] - start, spectrum.shape[1])
    return torch.cat([kept[:, start : start + count], spectrum[:, count:]], dim=1)


def _fade(samples: int, middle: int, *, like: Tensor) -> Tensor:
    """0 to 1 over a quarter of the lead around ``middle``; both sounds are nearly the same there."""
    width = samples // 4
    place = torch.arange(samples, device=like.device, dtype=like.dtype)
    return ((place - (middle - width / 2)) / width).clamp(0.0, 1.0)


def _mix(old: Tensor, new: Tensor, fade: Tensor) -> Tensor:
    return old * (1.0 - fade) + new * fade
