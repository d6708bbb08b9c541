"""Re-renders of loops: the end of the new stem leads into its start."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from separation_service.alignment import BarRange
from separation_service.api.messages import read_tensor_request
from separation_service.engine import load_separator
from separation_service.package import AllStems
from separation_service.rerender.align import AlignedStem, align
from separation_service.rerender.target import AlignmentTarget, BaseTake
from separation_service.scratch import DEFAULT_MEMORY_BYTES, ScratchFolder
from separation_service.separate import LOOP_MARGIN_FRAMES, Mix, separate
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ, Pcm24, from_pcm24, to_pcm24
from servicekit.audio.wav import read_wav
from servicekit.delivery.names import STEMS, StemMode, StemName
from servicekit.gpu_lock import GpuLock
from servicekit.metrics import Metrics
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from servicekit.work import StagedFiles
from sonichaos.jobs.v1 import brief_pb2
from sonichaos.separation.v1 import separation_pb2
from tests.support.corpus_takes import Waveform, steady_grid
from tests.support.separation_pipeline import new_pipeline, new_store, take_of
from tests.support.silent_progress import SilentProgress

SECONDS = 8.0
FRAMES = round(SECONDS * SAMPLE_RATE_HZ)
T_S = np.arange(FRAMES) / SAMPLE_RATE_HZ


def around(seed: int, *, hz: float, seconds: float = SECONDS) -> Waveform:
    """Bars of 2 s ``(2, T)`` that go round: a tone that fits, and strokes on the eighths that ring over the end."""
    rng, t_s = np.random.default_rng(seed), np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    ring = np.exp(-t_s / 0.2) * np.sin(2.0 * np.pi * 3.0 * hz * t_s)
    ring[:400] += 2.0 * rng.standard_normal(400) * np.exp(-np.arange(400) / 100.0)
    strokes = sum(np.roll(ring, round(at_s * SAMPLE_RATE_HZ)) for at_s in np.arange(0.0, seconds, 0.25))
    mono = 0.1 * np.sin(2.0 * np.pi * hz * t_s) + 0.05 * strokes
    return np.stack([mono, 0.8 * mono]).astype(np.float32)


OLD, NEW, REST = around(1, hz=110.0), around(2, hz=165.0), around(3, hz=220.0)


def target(region: BarRange | None = None, *, loop: bool = True) -> AlignmentTarget:
    """A loop of which ``other`` is replaced; the drums are the rest."""
    stems = np.zeros((4, 2, FRAMES), dtype=np.int32)
    stems[STEMS.index("other")] = to_pcm24(OLD, stage="TEST")
    stems[STEMS.index("drums")] = to_pcm24(REST, stage="TEST")
    base = BaseTake(bounce=stems.sum(axis=0, dtype=np.int32), stems=stems, stem=StemName.OTHER)
    return AlignmentTarget(
        base=base,
        grid=steady_grid(SECONDS),
        key=None,
        region=region,
        allow_drift=True,
        match_mix=True,
        max_true_peak_dbtp=-1.0,
        loop=loop,
    )


def aligned(wanted: AlignmentTarget, spoil: Callable[[Waveform], Waveform] = lambda waveform: waveform) -> AlignedStem:
    """The new stem in place of the old one, where the timing of the new mix is spoiled."""
    return align(spoil(NEW + REST), spoil(NEW), wanted, SilentProgress())


def roughness(samples: np.ndarray, where: slice) -> float:
    """The largest second difference, which is large for a click, in two rounds of the loop."""
    twice = np.concatenate([samples, samples], axis=1).astype(np.float64)
    return float(np.abs(np.diff(twice[:, where], 2, axis=1)).max())


WRAP = slice(FRAMES - 1500, FRAMES + 20)
WITHIN = slice(FRAMES // 2 - 1500, FRAMES // 2 + 20)


@pytest.mark.parametrize("late_s", [0.0, 0.02, -0.02])
def test_a_stem_that_comes_late_goes_round(late_s: float) -> None:
    """What is moved beyond one end comes in at the other; without the loop there is a hole or a click."""

    def spoil(waveform: Waveform) -> Waveform:
        return np.roll(waveform, round(late_s * SAMPLE_RATE_HZ), axis=1)

    done = aligned(target(), spoil)
    assert done.report.correction.offset_ms == pytest.approx(1e3 * late_s, abs=1.0)
    assert (done.bounce == target().base.bounce - target().base.old + done.stem).all()
    for samples in (done.stem, done.bounce):
        assert roughness(samples, WRAP) <= 1.3 * roughness(samples, WITHIN)
    if late_s:
        hole = slice(-300, None) if late_s > 0.0 else slice(0, 300)
        cut, whole = (
            np.abs(aligned(replace(target(loop=loop), match_mix=False), spoil).stem[:, hole]).max()
            for loop in (False, True)
        )
        assert cut < 0.3 * whole


def test_a_drift_is_bridged_at_the_wrap() -> None:
    """The loop that was played too slowly does not go round any more; its end fades over its start."""
    speed = 1.0 / 1.004
    done = aligned(
        target(), lambda waveform: np.stack([np.interp(T_S * speed, T_S, of) for of in waveform]).astype(np.float32)
    )
    assert done.report.correction.drift_ms_per_minute == pytest.approx(240.0, abs=40.0)
    assert roughness(done.stem, WRAP) <= 1.5 * roughness(done.stem, WITHIN)


@pytest.mark.parametrize("bars", [BarRange(from_bar=1, to_bar=2), BarRange(from_bar=3, to_bar=4)])
def test_bars_at_the_wrap_have_both_seams(bars: BarRange) -> None:
    """The last bar is followed by the first, which is the old stem's there; all bars are the whole loop."""
    done = aligned(target(bars))
    assert [seam.bar for seam in done.report.seams] == [bars.from_bar, 4 - bars.from_bar]
    assert roughness(done.stem, WRAP) <= 1.5 * max(roughness(done.stem, WITHIN), roughness(target().base.old, WITHIN))
    assert aligned(target(BarRange(from_bar=1, to_bar=4))).report.seams == ()


def test_a_loop_is_separated_as_it_goes_round(tmp_path: Path) -> None:
    """The separator gets the sound beyond both ends: its stem starts anywhere in the loop alike."""
    separator = load_separator("starter", repo=None, device="cpu", threads=1)
    signer = UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=lambda: 0)  # type: ignore[arg-type, return-value]
    store = FolderStore(tmp_path / "store", signer)
    mix = around(1, hz=110.0, seconds=2.0) + around(3, hz=220.0, seconds=2.0)
    frames = mix.shape[1]
    mixes = [mix, np.roll(mix, frames // 2, axis=1)]
    stems: dict[tuple[int, bool], Waveform] = {}
    for number, started in enumerate(mixes):
        for loop in (False, True):
            folder = tmp_path / f"{number}{loop}"
            folder.mkdir()
            with ScratchFolder(folder, memory_bytes=DEFAULT_MEMORY_BYTES).open() as scratch:
                bounce = take_of(to_pcm24(started, stage="TEST")).receive(store)(scratch)
                done = separate(
                    bounce,
                    (StemName.OTHER,),
                    separator=separator,
                    lock=GpuLock(folder / "cpu.lock"),
                    fingerprint={},
                    scratch=scratch,
                    progress=SilentProgress(),
                    loop=loop,
                )
                assert done.frames == frames
                stems[number, loop] = done.read(0, frames)[0].copy()
    edge = np.r_[0:4000, frames - 4000 : frames]
    errors = [
        float(np.square(np.roll(stems[1, loop], -(frames // 2), axis=1) - stems[0, loop])[:, edge].mean())
        for loop in (False, True)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_the_stems_of_a_loop_go_round_and_add_up(tmp_path: Path) -> None:
    """Those of a take too: they are alike wherever the loop starts, and their sum is the bounce to the bit."""
    separator = load_separator("starter", repo=None, device="cpu", threads=1)
    store = new_store(tmp_path)
    pipeline = new_pipeline(tmp_path, separator, store=store, metrics=Metrics("separation"))
    mix = around(1, hz=110.0, seconds=2.0) + around(3, hz=220.0, seconds=2.0)
    half = mix.shape[1] // 2

    def stems_of(pcm: Pcm24, *, loop: bool, version: int) -> np.ndarray:
        stored = pipeline(
            take_of(pcm).receive(store),
            AllStems(mode=StemMode.EXACT, loop=loop),
            SilentProgress(),
            StagedFiles(store, "loop", version, 1),
        )
        with zipfile.ZipFile(io.BytesIO(store.read(stored.zip.key, max_bytes=1 << 30))) as archive:
            names = {name.rpartition("/")[2]: name for name in archive.namelist()}
            stems = [read_wav(io.BytesIO(archive.read(names[f"{stem}.wav"])), name=stem) for stem in STEMS]
        assert np.array_equal(sum(stem.astype(np.int64) for stem in stems), pcm)
        return np.stack(stems).astype(np.float64)

    pcm, turned = (to_pcm24(sound, stage="TEST") for sound in (mix, np.roll(mix, half, axis=1)))
    edge = np.r_[0:4000, -4000:0]
    errors = []
    for loop in (False, True):
        straight = stems_of(pcm, loop=loop, version=1 + 2 * loop)
        around_again = np.roll(stems_of(turned, loop=loop, version=2 + 2 * loop), -half, axis=2)
        errors.append(float(np.square(around_again - straight)[..., edge].mean()))
    assert errors[1] < 0.5 * errors[0]


def test_a_call_says_whether_its_bounce_is_a_loop() -> None:
    """By default it is none."""
    for loop in (False, True):
        request = separation_pb2.SeparateTensorRequest(stem_mode=brief_pb2.STEM_MODE_RAW, loop=loop)
        assert read_tensor_request(request)[1] == AllStems(mode=StemMode.RAW, loop=loop)


def test_a_mix_with_margins_reads_round_the_loop(tmp_path: Path) -> None:
    """Also where the margin is longer than the loop."""
    pcm = to_pcm24(OLD[:, : LOOP_MARGIN_FRAMES // 3], stage="TEST")
    mix = Mix(take_of(pcm).wav, LOOP_MARGIN_FRAMES)
    whole = mix.read(0, mix.frames)
    expected = np.take(
        from_pcm24(pcm), np.arange(-LOOP_MARGIN_FRAMES, pcm.shape[1] + LOOP_MARGIN_FRAMES), axis=1, mode="wrap"
    )
    assert np.array_equal(whole, expected)
    assert np.array_equal(mix.read(50, 40_000), expected[:, 50:40_000])
    assert replace(mix, margin=0).frames == pcm.shape[1]
