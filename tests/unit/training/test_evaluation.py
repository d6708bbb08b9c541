"""The evaluation: each metric measures what it claims to, and the report is complete."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from render_service.music.harmony import ChordQuality, ChordSpan
from render_service.music.key import Key
from render_service.renderers.load import load_latent_diffusion
from separation_service.engine import load_separator
from tests.support.tiny_checkpoint import tiny_checkpoint
from training.corpus.soundfont import DEFAULT_SOUNDFONT
from training.evaluation.classifier import PersonaClassifier, audio_features, fit_classifier
from training.evaluation.diversity import frechet_distance, mean_distance, windows
from training.evaluation.parts import PARTS, Evaluation, EvaluationSize
from training.evaluation.report import evaluate
from training.evaluation.section import Goal
from training.evaluation.takes import Sampling
from training.metrics import RATE_HZ, chroma, estimate_key, mirex_score, share_of_frames_on_chord

C_TRIAD, F_TRIAD = (60, 64, 67), (65, 69, 72)


def _tones(pitches: tuple[int, ...], seconds: float) -> NDArray[np.float32]:
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    tone = sum(np.sin(2 * np.pi * 440.0 * 2 ** ((pitch - 69) / 12) * t) for pitch in pitches) * 0.1
    return np.stack([tone, tone]).astype(np.float32)


def _chord(start_s: float, end_s: float, root: int, quality: ChordQuality = ChordQuality.MAJ) -> ChordSpan:
    return ChordSpan(start_s=start_s, end_s=end_s, root=root, quality=quality, bass=root)


def _noise(*, seed: int, tilt: float = 0.0, width: float = 1.0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal((2, RATE_HZ * 2)))
    shaped = np.fft.irfft(spectrum * np.arange(1, spectrum.shape[1] + 1) ** tilt) * 0.1
    shaped = shaped / shaped.std() * 0.1
    middle, side = shaped.mean(axis=0), 0.5 * (shaped[0] - shaped[1]) * width
    return np.stack([middle + side, middle - side]).astype(np.float32)


@pytest.mark.parametrize(
    ("estimated", "score"),
    [("C major", 1.0), ("G major", 0.5), ("A minor", 0.3), ("C minor", 0.2), ("F major", 0.0), ("F# major", 0.0)],
)
def test_a_related_key_scores_in_part(estimated: str, score: float) -> None:
    """As in MIREX: a fifth above, the relative and the parallel key get partial scores."""
    assert mirex_score(Key.parse(estimated), Key.parse("C major")) == score


def test_the_key_of_a_cadence_is_estimated() -> None:
    """A cadence in C is estimated as C major, transposed by a fourth as F major."""
    cadence = np.concatenate([_tones(p, 0.6) for p in (C_TRIAD, F_TRIAD, (67, 71, 74), C_TRIAD)], axis=1)
    assert estimate_key(chroma(cadence)) == Key.parse("C major")
    assert estimate_key(np.roll(chroma(cadence), 5, axis=0)) == Key.parse("F major")


def test_a_chord_is_found_where_it_sounds() -> None:
    """C then F: found as requested, not a tritone away; a chord that is neither major nor minor is ignored."""
    energy = chroma(np.concatenate([_tones(C_TRIAD, 2.0), _tones(F_TRIAD, 2.0)], axis=1))
    requested = (_chord(0.0, 2.0, 0), _chord(2.0, 4.0, 5))
    assert share_of_frames_on_chord(energy, requested) > 0.9
    assert share_of_frames_on_chord(energy, requested, transposed=6) == 0.0
    assert np.isnan(share_of_frames_on_chord(energy, (_chord(0.0, 4.0, 0, ChordQuality.SUS4),)))


def test_audio_features_hardly_depend_on_level() -> None:
    """Half the level changes them far less than a darker or narrower sound."""
    plain = audio_features(_noise(seed=0))
    quieter = np.linalg.norm(plain - audio_features(np.float32(0.5) * _noise(seed=0)))
    darker = np.linalg.norm(plain - audio_features(_noise(seed=0, tilt=-1.0)))
    narrower = np.linalg.norm(plain - audio_features(_noise(seed=0, width=0.1)))
    assert quieter < 0.05 * min(darker, narrower)


def _labelled_features(count: int = 12, clips: int = 6) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Features of synthetic personas whose noise differs in spectral tilt."""
    features = [
        audio_features(_noise(seed=100 * persona + clip, tilt=-0.1 * persona))
        for persona in range(count)
        for clip in range(clips)
    ]
    return np.stack(features), np.repeat(np.arange(count), clips)


def test_the_classifier_recognises_the_personas_it_was_fitted_on() -> None:
    """Unseen clips are assigned to the persona with the same spectral tilt."""
    classifier = fit_classifier(*_labelled_features())
    found = [classifier.nearest_persona(_noise(seed=9_000 + persona, tilt=-0.1 * persona)) for persona in range(12)]
    assert np.mean(np.array(found) == np.arange(12)) > 0.7


def test_distances() -> None:
    """Fréchet distance: 0 to itself, the squared shift for a shift. Pairs of different groups do not count."""
    rng = np.random.default_rng(0)
    cloud = rng.standard_normal((400, 8))
    assert frechet_distance(cloud, cloud, basis=cloud) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(cloud + 2.0, cloud, basis=cloud) == pytest.approx(8 * 4.0, rel=1e-6)
    assert frechet_distance(3.0 * cloud, cloud, basis=cloud) > 10.0
    points = [np.array([0.0]), np.array([3.0]), np.array([100.0])]
    assert mean_distance(points, ["a", "a", "b"]) == 3.0
    assert [piece.shape for piece in windows(_noise(seed=0), seconds=0.9)] == [(2, 39_690)] * 2


def test_a_goal_without_a_value_is_not_met() -> None:
    """NaN does not reach any target."""
    assert Goal(name="", value=0.95, target=0.95).met
    assert Goal(name="", value=-31.0, target=-30.0, at_most=True).met
    assert not Goal(name="", value=float("nan"), target=0.0).met
    assert not Goal(name="", value=float("nan"), target=0.0, at_most=True).met


@pytest.mark.skipif(not DEFAULT_SOUNDFONT.is_file(), reason="needs Debian package fluid-soundfont-gm")
def test_the_report_is_one_page_with_its_pictures(tmp_path: Path) -> None:
    """With tiny nets and the smallest size: every part has its table, every goal its row, and the figures are small."""
    classifier, cache = fit_classifier(*_labelled_features(clips=2)), tmp_path / "classifier.npz"
    np.savez(cache, **{name: getattr(classifier, name) for name in PersonaClassifier.__dataclass_fields__})
    size = EvaluationSize(
        takes=2,
        other_songs=2,
        tempo_changes=1,
        unseen_personas=1,
        prompts=1,
        vocoder_songs=1,
        stem_songs=1,
        stem_seconds=3.0,
        clip_s=2.0,
        pictures=1,
        picture_s=4.0,
    )
    parts: list[str] = []
    evaluation = Evaluation(
        renderer=load_latent_diffusion(str(tiny_checkpoint(tmp_path / "tiny")), device="cpu", threads=1),
        separator=load_separator("starter", repo=None, device="cpu", threads=1),
        sampling=Sampling(seconds=4.0, steps=2, guidance=1.0),
        size=size,
        held_out_soundfont=None,
        classifier_file=cache,
        on_part=parts.append,
    )
    page = evaluate(evaluation, tmp_path / "report", parts=list(PARTS))
    text, rows = page.read_text(), json.loads((tmp_path / "report" / "figures.json").read_text())
    without_section = {"classifier", "personas", "takes"}  # every other part, pictures included, has a heading
    assert text.count("\n## ") == len([part for part in parts if part not in without_section])
    assert all(f"| {row['name']} |" in text for row in rows)
    pictures = [path for path in (tmp_path / "report").iterdir() if path.suffix in {".png", ".jpg"}]
    assert {path.name for path in pictures} == {"take-1.jpg", "stems.png", "goals.png"}
    assert sum(path.stat().st_size for path in pictures) < 1_000_000
