"""Fitting the habits head: what embeddings tell is read from unseen personas, what they do not tell is the mean."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from safetensors.numpy import save_file

from render_service.composer.habits import Habits
from render_service.renderers.latent_diffusion.checkpoint import load
from tests.support.tiny_checkpoint import tiny_checkpoint
from training.cli import main
from training.habits import HabitsError, KnownPersona, fit_head
from training.training_set import persona_of
from training.work_folder import WorkFolder

SIZE = 64
SONGS = 2


def _vectors(rng: np.random.Generator, identity: NDArray[np.float64], habits: Habits) -> NDArray[np.float64]:
    """Two songs' vectors: the persona's own direction, an 808 in the first value, little noise."""
    direction = np.concatenate([[1.0 if habits.sub_bass else -1.0], identity])
    songs = direction + rng.normal(0.0, 0.02, (SONGS, SIZE))
    unit: NDArray[np.float64] = songs / np.linalg.norm(songs, axis=1, keepdims=True)
    return unit


def _personas(count: int) -> list[KnownPersona]:
    """The personas of the first songs of the training set; the embeddings are made up."""
    rng = np.random.default_rng(0)
    specs = {persona.id: persona for persona in map(persona_of, range(4 * count))}
    return [
        KnownPersona(id=spec.id, habits=spec.habits, vectors=_vectors(rng, rng.normal(0.0, 0.4, SIZE - 1), spec.habits))
        for spec in specs.values()
    ]


def test_what_the_embedding_tells_is_read_from_unseen_personas() -> None:
    """Here it tells the 808 and nothing else. Named personas are recalled from songs that were not fitted."""
    _, unseen, recalled = fit_head(_personas(80))
    errors = {error.habit: error for error in unseen}
    assert errors["sub_bass"].error < 0.25 * errors["sub_bass"].null
    assert errors["density"].error < 1.25 * errors["density"].null
    assert {error.habit: round(error.error, 2) for error in recalled} == dict.fromkeys(errors, 0.0)


def test_too_few_personas_are_refused() -> None:
    """The message says what is needed and what there is."""
    with pytest.raises(HabitsError, match="10 random personas, got songs of 12 and 6"):
        fit_head(_personas(6))


def test_the_command_writes_the_head_for_export_and_into_a_checkpoint(tmp_path: Path) -> None:
    """From latents on disk; a recording among them is left out."""
    rng, work = np.random.default_rng(1), WorkFolder(path=tmp_path / "work")
    work.latents.mkdir(parents=True)
    identities = {}
    for number in range(200):
        spec = persona_of(number)
        identity = identities.setdefault(spec.id, rng.normal(0.0, 0.4, SIZE - 1))
        _write(work.latents, number, spec.id, _vectors(rng, identity, spec.habits))
    _write(work.latents, 999_999, "a recording", rng.normal(size=(SONGS, SIZE)))
    checkpoint = tiny_checkpoint(tmp_path / "checkpoint")
    before, _ = load(checkpoint)
    ended = CliRunner().invoke(main, ["habits", "--work", str(work.path), "--renderer", str(checkpoint)])
    assert ended.exit_code == 0, ended.output
    assert "62 personas" in ended.output
    head = work.habits_head()
    config, nets = load(checkpoint)
    assert head is not None
    assert nets.habits is not None
    assert replace(config, habits=None, files=before.files) == before
    assert {role: config.files[role] for role in before.files} == before.files
    embedding = [float(x) for x in _vectors(rng, identities["neon-drift"], persona_of(0).habits)[0]]
    assert head.habits(embedding) == nets.habits.habits(embedding)
    assert head.habits(embedding).electronic_kit == persona_of(0).habits.electronic_kit


def _write(folder: Path, number: int, persona: str, vectors: NDArray[np.float64]) -> None:
    facts = {"song": json.dumps({"number": number, "persona": persona})}
    path = folder / f"{number:08d}.safetensors"
    save_file({"persona_vectors": vectors.astype(np.float16)}, str(path), metadata=facts)
