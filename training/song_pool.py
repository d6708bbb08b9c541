"""Latent songs in the memory of the training device, so that a batch is a few gathers; songs can be added at any time.

Latents stay float16 and controls int8: an hour takes about 30 MB. Songs are indexed in order of their numbers, so a batch depends
on which songs are there and not on when they came.

Letters: ``B`` batch, ``D`` latent channels, ``L`` latent frames, ``G`` control channels, ``E`` embedding size, ``S`` tokens, ``X``
text width, ``K`` windows that are pooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.latents import CONTROL_STEPS, LatentSong

_GROWTH = 1.5
_MAX_POOLED = 6


@dataclass(frozen=True, kw_only=True)
class PoolConditions:
    """Text and persona of a batch.

    ``text`` ``(B, S, X)`` with ``text_mask`` ``(B, S)``; ``prefix`` ``(B, X)``, zero where ``has_prefix`` ``(B,)`` is false;
    ``persona`` ``(B, E)`` of length 1.
    """

    text: Tensor
    text_mask: Tensor
    prefix: Tensor
    has_prefix: Tensor
    persona: Tensor


class SongPool:
    """Songs on ``device``. Indices of songs are positions in the order of their numbers and change when songs are added."""

    def __init__(self, *, device: torch.device) -> None:
        self._device = device
        self._latents, self._controls = _Rows(device), _Rows(device)
        self._tokens, self._vectors, self._prefixes = _Rows(device), _Rows(device), _Rows(device)
        self._songs: list[_Song] = []
        self._index = _Index.of(self._songs)

    def __len__(self) -> int:
        return len(self._songs)

    @property
    def lengths(self) -> Tensor:
        """Latent frames of each song, int64 on the CPU."""
        return self._index.lengths

    def add(self, songs: Sequence[LatentSong]) -> None:
        """Copy songs to the device. A song with a number that the pool has already would be drawn twice as often."""
        if not songs:
            return
        latents = self._latents.append([torch.from_numpy(song.latents.T) for song in songs])
        controls = self._controls.append([torch.from_numpy(song.controls.T) for song in songs])
        if latents != controls:
            raise ValueError(f"latents and controls must have the same number of frames, got {latents} and {controls}")
        vectors = self._vectors.append([torch.from_numpy(song.persona_vectors) for song in songs])
        captions = [
            torch.from_numpy(song.text[i, :length]) for song in songs for i, length in enumerate(song.text_lengths)
        ]
        tokens = iter(self._tokens.append(captions))
        with_prefix = [torch.from_numpy(song.prefix)[None] for song in songs if song.prefix.size]
        prefixes = iter(self._prefixes.append(with_prefix))
        self._songs += [
            _Song(
                number=song.number,
                persona=song.persona,
                first_frame=latents[i],
                frames=song.frames,
                first_vector=vectors[i],
                vectors=len(song.persona_vectors),
                captions=tuple((next(tokens), int(length)) for length in song.text_lengths),
                prefix=next(prefixes) if song.prefix.size else None,
            )
            for i, song in enumerate(songs)
        ]
        self._songs.sort(key=lambda song: song.number)
        self._index = _Index.of(self._songs)

    def crops(self, chosen: Tensor, starts: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """Latents ``(B, D, L)`` and controls ``(B, G, L)``, float32, of songs ``chosen`` ``(B,)`` from ``starts`` ``(B,)`` on."""
        rows = (self._index.first_frames[chosen] + starts)[:, None] + torch.arange(frames)
        rows = rows.to(self._device, non_blocking=True)
        latents, controls = self._latents.at(rows), self._controls.at(rows)
        return latents.float().transpose(1, 2), controls.float().transpose(1, 2) / CONTROL_STEPS

    def conditions(self, chosen: Tensor, generator: torch.Generator) -> PoolConditions:
        """A random caption of each song, and a vector of its persona that is pooled from up to six windows of another song.

        The vector is like the embedding of a persona's clips. One of the song itself reveals its instruments, and the net would
        learn to ignore the words; it is used only if the persona has no other song.
        """
        index, device = self._index, self._device
        captions = index.first_captions[chosen] + _draw_below(index.captions[chosen], generator)
        lengths = index.caption_lengths[captions]
        steps = torch.arange(int(lengths.max()))
        mask = steps < lengths[:, None]
        rows = index.caption_rows[captions][:, None] + torch.where(mask, steps, 0)
        mask = mask.to(device, non_blocking=True)
        text = self._tokens.at(rows.to(device, non_blocking=True)).float() * mask[..., None]
        has_prefix = index.prefixes[chosen] >= 0
        prefix = torch.zeros(len(chosen), text.shape[2], device=device)
        with_prefix = has_prefix.nonzero()[:, 0]
        if len(with_prefix):
            stored = index.prefixes[chosen[with_prefix]].to(device, non_blocking=True)
            prefix[with_prefix.to(device, non_blocking=True)] = self._prefixes.at(stored).float()
        return PoolConditions(
            text=text,
            text_mask=mask,
            prefix=prefix,
            has_prefix=has_prefix.to(device, non_blocking=True),
            persona=self._persona(chosen, generator),
        )

    def _persona(self, chosen: Tensor, generator: torch.Generator) -> Tensor:
        """``(B, E)``."""
        index = self._index
        sizes = index.persona_sizes[chosen]
        further = 1 + _draw_below((sizes - 1).clamp(min=1), generator)
        others = index.members[index.persona_firsts[chosen] + (index.positions[chosen] + further) % sizes]
        counts = 1 + _draw_below(torch.full_like(chosen, _MAX_POOLED), generator)
        windows = index.vectors[others][:, None].expand(-1, _MAX_POOLED)
        rows = index.first_vectors[others][:, None] + _draw_below(windows, generator)
        pooled = torch.arange(_MAX_POOLED) < counts[:, None]
        vectors = self._vectors.at(rows.to(self._device, non_blocking=True)).float()
        return functional.normalize((vectors * pooled.to(self._device)[..., None]).sum(dim=1), dim=-1)


@dataclass(frozen=True, kw_only=True)
class _Song:
    """Where a song's rows are. ``captions``: (first token row, tokens) of each."""

    number: int
    persona: str
    first_frame: int
    frames: int
    first_vector: int
    vectors: int
    captions: tuple[tuple[int, int], ...]
    prefix: int | None


@dataclass(frozen=True, kw_only=True)
class _Index:
    """The songs as columns, int64 on the CPU, one row per song; ``caption_*`` have one per caption.

    ``members`` lists the songs persona by persona; a persona's songs are ``persona_sizes`` entries from ``persona_firsts`` on, and
    a song is at ``positions`` among them. ``prefixes`` is -1 for songs without one.
    """

    first_frames: Tensor
    lengths: Tensor
    first_vectors: Tensor
    vectors: Tensor
    first_captions: Tensor
    captions: Tensor
    caption_rows: Tensor
    caption_lengths: Tensor
    prefixes: Tensor
    members: Tensor
    persona_firsts: Tensor
    persona_sizes: Tensor
    positions: Tensor

    @classmethod
    def of(cls, songs: Sequence[_Song]) -> _Index:
        _, persona, sizes = np.unique(
            np.array([song.persona for song in songs], dtype=np.str_), return_inverse=True, return_counts=True
        )
        members = np.argsort(persona, kind="stable")
        firsts = np.cumsum(sizes) - sizes
        positions = np.empty(len(songs), dtype=np.int64)
        positions[members] = np.arange(len(songs)) - firsts[persona[members]]
        captions = [caption for song in songs for caption in song.captions]
        return cls(
            first_frames=_column([song.first_frame for song in songs]),
            lengths=_column([song.frames for song in songs]),
            first_vectors=_column([song.first_vector for song in songs]),
            vectors=_column([song.vectors for song in songs]),
            first_captions=_column([0, *accumulate(len(song.captions) for song in songs)][: len(songs)]),
            captions=_column([len(song.captions) for song in songs]),
            caption_rows=_column([row for row, _ in captions]),
            caption_lengths=_column([length for _, length in captions]),
            prefixes=_column([-1 if song.prefix is None else song.prefix for song in songs]),
            members=torch.from_numpy(members),
            persona_firsts=_column(firsts[persona].tolist()),
            persona_sizes=_column(sizes[persona].tolist()),
            positions=torch.from_numpy(positions),
        )


class _Rows:
    """Rows of one width in a tensor that grows by half its size at a time, so that adding a few rows copies only them."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._data = torch.empty(0)
        self._count = 0

    def append(self, blocks: Sequence[Tensor]) -> list[int]:
        """Copy blocks of rows to the end; returns the row at which each begins."""
        if not blocks:
            return []
        rows = torch.cat(list(blocks))
        firsts = list(accumulate((len(block) for block in blocks), initial=self._count))[:-1]
        needed = self._count + len(rows)
        if needed > len(self._data):
            capacity = max(needed, round(_GROWTH * len(self._data)))
            data = torch.empty(capacity, rows.shape[1], dtype=rows.dtype, device=self._device)
            if self._count:
                data[: self._count] = self._data[: self._count]
            self._data = data
        self._data[self._count : needed] = rows.to(self._device)
        self._count = needed
        return firsts

    def at(self, rows: Tensor) -> Tensor:
        """The rows ``(..., width)`` at int64 ``rows`` ``(...)`` on the device."""
        return self._data[rows]


def _column(values: Sequence[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)


def _draw_below(limits: Tensor, generator: torch.Generator) -> Tensor:
    """A random integer from 0 to each of the limits, exclusive."""
    return (torch.rand(limits.shape, generator=generator, dtype=torch.float64) * limits).long()
