"""Reference clips are read as they were sent, checked against their digests."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile

from render_service.personas.clip_files import PART_BYTES, CheckedClip
from render_service.personas.clips import Clip
from render_service.personas.library import PersonaLibrary
from render_service.renderers.load import load_renderer
from render_service.renderers.renderer import Renderer
from servicekit.clock import SystemClock
from servicekit.errors import DataLoss, NotFound
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from tests.support.tiny_checkpoint import tiny_checkpoint

LOCAL, STUDIO = "local", "studio-a"
BUILT_IN = Path(str(files("render_service") / "personas" / "builtin"))
ID3_TAG = b"ID3\x03\x00\x00\x00\x00\x01\x00" + bytes(128)
HIGH_BITS_TAG = b"ID3\x03\x00\x00\x80\x80\x81\x80" + bytes(128)


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """The smallest real renderer."""
    return load_renderer(str(tiny_checkpoint(tmp_path_factory.mktemp("tiny"))), device="cpu")


def signer() -> UrlSigner:
    """For stores whose URLs no test uses."""
    return UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=SystemClock().now)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """A folder store."""
    return FolderStore(tmp_path / "store", signer())


@pytest.fixture
def library(renderer: Renderer, store: FolderStore, tmp_path: Path) -> PersonaLibrary:
    """A library without built-in personas."""
    return PersonaLibrary(renderer=renderer, built_in=tmp_path / "none", store=store, clock=SystemClock())


def recording(kind: str, subtype: str, seconds: float = 2.0) -> bytes:
    """A file of noise."""
    noise = 0.1 * np.random.default_rng(3).standard_normal((round(seconds * 44100), 2))
    file = io.BytesIO()
    soundfile.write(file, noise, 44100, format=kind, subtype=subtype)
    return file.getvalue()


def whole(clip: CheckedClip) -> bytes:
    """All parts of a clip, none of which is longer than allowed."""
    parts = [clip.part(offset) for offset in range(0, clip.size_bytes, PART_BYTES)]
    assert max(map(len, parts)) <= PART_BYTES
    return b"".join(parts)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (recording("WAV", "PCM_16"), "audio/wav"),
        (recording("FLAC", "PCM_24"), "audio/flac"),
        (recording("AIFF", "PCM_16"), "audio/aiff"),
        (recording("OGG", "VORBIS"), "audio/ogg"),
        (ID3_TAG + recording("FLAC", "PCM_16"), "audio/flac"),
        (HIGH_BITS_TAG + recording("FLAC", "PCM_16"), "audio/flac"),
    ],
    ids=["wav", "flac", "aiff", "ogg", "flac with an ID3 tag", "flac with an ID3 tag whose size has unused bits set"],
)
def test_a_clip_is_read_as_it_was_sent(library: PersonaLibrary, data: bytes, media_type: str) -> None:
    """All of its bytes, with the media type of its content."""
    library.add(LOCAL, "band", "noise", [Clip(data=recording("WAV", "PCM_24", 1.0)), Clip(data=data)])
    clip = library.clip(LOCAL, "band", 1)
    assert (clip.media_type, clip.size_bytes) == (media_type, len(data))
    assert whole(clip) == data


def test_every_clip_of_the_built_in_personas_can_be_read(renderer: Renderer, store: FolderStore) -> None:
    """In the order of the digests that the persona lists."""
    library = PersonaLibrary(renderer=renderer, built_in=BUILT_IN, store=store, clock=SystemClock())
    personas = library.all(STUDIO)
    assert len(personas) == len(list(BUILT_IN.glob("*/persona.json")))
    for persona in personas:
        clips = [library.clip(STUDIO, persona.id, index) for index in range(len(persona.clip_sha256))]
        assert [clip.media_type for clip in clips] == ["audio/flac"] * len(clips)
        assert [hashlib.sha256(whole(clip)).hexdigest() for clip in clips] == list(persona.clip_sha256)


def test_an_index_that_no_clip_has_is_refused(library: PersonaLibrary) -> None:
    """The error says how many there are."""
    library.add(LOCAL, "band", "noise", [Clip(data=recording("WAV", "PCM_16"))])
    with pytest.raises(NotFound, match="must be below 1, the number of clips of the persona 'band', got 1") as caught:
        library.clip(LOCAL, "band", 1)
    assert caught.value.reason == "FILE_NOT_FOUND"
    assert caught.value.metadata == {"persona_id": "band", "clips": "1"}


@pytest.mark.parametrize("persona_id", ["band", "nobody", "../band", ""])
def test_a_persona_that_the_tenant_does_not_have_is_not_found(library: PersonaLibrary, persona_id: str) -> None:
    """Another tenant's, one that nobody has, and what is no id."""
    library.add(LOCAL, "band", "noise", [Clip(data=recording("WAV", "PCM_16"))])
    with pytest.raises(NotFound) as caught:
        library.clip(STUDIO, persona_id, 0)
    assert caught.value.reason == "PERSONA_NOT_FOUND"


@pytest.mark.parametrize("harm", ["altered", "missing"])
def test_a_clip_that_is_not_what_was_stored_is_data_loss(
    library: PersonaLibrary, store: FolderStore, harm: str
) -> None:
    """Before any of its bytes is given out."""
    data = recording("WAV", "PCM_16")
    library.add(LOCAL, "band", "noise", [Clip(data=data)])
    (key,) = [key for key in store.keys("personas/band") if key.endswith("clip-000")]
    if harm == "altered":
        store.put_bytes(key, data[:-1] + bytes([data[-1] ^ 1]), content_type="audio/wav")
    else:
        store.delete(key)
    with pytest.raises(DataLoss) as caught:
        library.clip(LOCAL, "band", 0)
    assert caught.value.reason == "DIGEST_MISMATCH"
    assert caught.value.metadata["expected_sha256"] == hashlib.sha256(data).hexdigest()


class InterruptedStore(FolderStore):
    """A folder store in which something else happens just before a clip is opened."""

    before_clip: Callable[[], object] | None = None

    @contextmanager
    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[BinaryIO]:
        """See ObjectStore."""
        if self.before_clip is not None and "clip-" in key:
            happens, self.before_clip = self.before_clip, None
            happens()
        with super().open(key, offset=offset, length=length) as source:
            yield source


def test_a_persona_that_is_deleted_meanwhile_is_not_found(renderer: Renderer, tmp_path: Path) -> None:
    """Between the reading of its record and of its clip, or between two parts: that is no loss of data."""
    store = InterruptedStore(tmp_path / "store", signer())
    library = PersonaLibrary(renderer=renderer, built_in=tmp_path / "none", store=store, clock=SystemClock())
    library.add(LOCAL, "band", "noise", [Clip(data=recording("WAV", "PCM_24"))])
    clip = library.clip(LOCAL, "band", 0)
    store.before_clip = lambda: library.remove(LOCAL, "band")
    with pytest.raises(NotFound):
        clip.part(PART_BYTES)
    library.add(LOCAL, "band", "noise", [Clip(data=recording("WAV", "PCM_24"))])
    store.before_clip = lambda: library.remove(LOCAL, "band")
    with pytest.raises(NotFound) as caught:
        library.clip(LOCAL, "band", 0)
    assert caught.value.reason == "PERSONA_NOT_FOUND"
