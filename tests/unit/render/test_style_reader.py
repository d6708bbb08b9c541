"""The style reader: listed words decide, other wordings are compared with them by the text encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from render_service.composer.style import Instrumentation, Mood, Recognized
from render_service.composer.style_anchors import read_vectors
from render_service.composer.style_reader import StyleReader
from render_service.renderers.latent_diffusion.checkpoint import sha256_of
from render_service.renderers.latent_diffusion.text_encoder import TextEncoder, packaged_folder

F, M = Instrumentation, Mood


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    """The packaged text encoder."""
    return TextEncoder(packaged_folder())


@pytest.fixture(scope="module")
def reader(encoder: TextEncoder) -> StyleReader:
    """A reader as the renderer makes it."""
    return StyleReader(encoder.sentences, encoder_sha256=sha256_of(encoder.weights_path))


def test_stored_vectors_are_those_of_the_encoder(encoder: TextEncoder, reader: StyleReader) -> None:
    """Of the words and scenes of today; `python scripts/style_anchors.py` writes them."""
    stored = read_vectors(sha256_of(encoder.weights_path), reader.anchor_texts)
    assert stored is not None, "run scripts/style_anchors.py"
    np.testing.assert_allclose(stored, encoder.sentences(reader.anchor_texts), atol=1e-5)


def test_vectors_of_other_texts_or_of_another_encoder_are_not_used(encoder: TextEncoder, reader: StyleReader) -> None:
    """They are computed instead: the reading stays right."""
    digest, texts = sha256_of(encoder.weights_path), reader.anchor_texts
    assert read_vectors(digest, texts[1:]) is None
    assert read_vectors("0" * 64, texts) is None
    prompt = "an ensemble of fiddlers and cellists"
    assert StyleReader(encoder.sentences, encoder_sha256="0" * 64).read(prompt) == reader.read(prompt)


@pytest.mark.parametrize(
    ("prompt", "families", "mood"),
    [
        ("Calm piano, slow", (F.PIANO,), M.CALM),
        ("dark synths over a string section", (F.SYNTHS, F.STRINGS), M.DARK),
        ("an Electric Piano and a horn section, cheerful", (F.ELECTRIC_PIANO, F.BRASS), M.HAPPY),
        ("church organ, brooding", (F.ORGAN,), M.DARK),
        ("nylon strings, relaxed", (F.ACOUSTIC_GUITAR,), M.CALM),
        ("marimba, violins and trumpets, tense", (F.MALLETS, F.STRINGS), M.TENSE),
        ("energetic synths without piano or strings", (F.SYNTHS,), M.ENERGETIC),
        ("not sad, happy; no guitar solo", (), M.HAPPY),
    ],
)
def test_listed_words_decide(
    reader: StyleReader, prompt: str, families: tuple[Instrumentation, ...], mood: Mood
) -> None:
    """In the order of the text, the longer phrase first, never what is negated, and at most two families."""
    reading = reader.read(prompt)
    assert (reading.families, reading.mood) == (families, mood)


@pytest.mark.parametrize(
    ("prompt", "family"),
    [
        ("an ensemble of fiddlers and cellists", F.STRINGS),
        ("a screaming overdriven rock guitarist", F.ELECTRIC_GUITAR),
        ("trumpeters marching by", F.BRASS),
        ("somebody plays a grand pianoforte", F.PIANO),
    ],
)
def test_other_wordings_are_read_by_their_meaning(reader: StyleReader, prompt: str, family: Instrumentation) -> None:
    """Instruments that no list names."""
    assert family in reader.read(prompt).families


@pytest.mark.parametrize(
    ("prompt", "mood"),
    [
        ("tears on her grave", M.SAD),
        ("giggling children at a birthday party", M.HAPPY),
        ("a demon waits in the cellar", M.DARK),
        ("meditation by a still lake", M.CALM),
    ],
)
def test_a_mood_is_read_by_its_meaning(reader: StyleReader, prompt: str, mood: Mood) -> None:
    """Scenes instead of adjectives."""
    assert reader.read(prompt).mood is mood


@pytest.mark.parametrize(
    ("prompt", "families", "mood"),
    [
        (
            "Dark synths over a String  Section",
            [(F.SYNTHS, "synths"), (F.STRINGS, "String  Section")],
            (M.DARK, "Dark"),
        ),
        ("HORNS, no piano; horns and a mellow organ", [(F.BRASS, "HORNS"), (F.ORGAN, "organ")], (M.CALM, "mellow")),
    ],
)
def test_a_listed_word_is_quoted_as_it_is_written(
    reader: StyleReader,
    prompt: str,
    families: list[tuple[Instrumentation, str]],
    mood: tuple[Mood, str],
) -> None:
    """The first of a value's words, also where it spans several spaces."""
    reading = reader.read(prompt)
    assert [(found.value, found.quote, found.listed) for found in reading.recognized_families] == [
        (*one, True) for one in families
    ]
    assert reading.recognized_mood == Recognized(value=mood[0], quote=mood[1], listed=True)
    assert reader.read_listed(prompt).recognized_families == reading.recognized_families


def test_a_clause_that_is_matched_by_its_meaning_is_quoted(reader: StyleReader) -> None:
    """The one that names the value, between others that do not; a listed word beside it is still one."""
    reading = reader.read("In D minor, An Ensemble of Fiddlers, track four; tears on her grave")
    assert [(found.value, found.quote, found.listed) for found in reading.recognized_families] == [
        (F.STRINGS, "An Ensemble of Fiddlers", False)
    ]
    assert reading.recognized_mood == Recognized(value=M.SAD, quote="tears on her grave", listed=False)
    mixed = reader.read("church organ over an ensemble of fiddlers")
    assert [(found.value, found.quote, found.listed) for found in mixed.recognized_families] == [
        (F.ORGAN, "church organ", True),
        (F.STRINGS, "an ensemble of fiddlers", False),
    ]


@pytest.mark.parametrize("prompt", ["a song", "in D minor at 96 bpm", "track number four", "  ,,, !", ""])
def test_a_prompt_that_names_nothing_is_read_as_nothing(reader: StyleReader, prompt: str) -> None:
    """No family and no mood."""
    reading = reader.read(prompt)
    assert (reading.families, reading.mood) == ((), None)


@pytest.mark.parametrize(
    "prompt",
    [", ".join(f"word{i} of many" for i in range(120)), "one " * 400, "x, " * 600 + "and a clause of some more words"],
)
def test_a_long_prompt_encodes_a_bounded_batch(encoder: TextEncoder, prompt: str) -> None:
    """2000 characters cost little more than a sentence, however they are cut into clauses."""
    batches: list[list[str]] = []

    def recording(texts: Sequence[str]) -> NDArray[np.float32]:
        batches.append(list(texts))
        return encoder.sentences(texts)

    StyleReader(recording, encoder_sha256=sha256_of(encoder.weights_path)).read(prompt)
    (clauses,) = batches
    assert 0 < len(clauses) * max(len(clause.split()) for clause in clauses) <= 48
