"""Personas: added from clips, stored, embedded by the loaded encoder."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.ndimage import uniform_filter1d

from render_service.personas.clips import Clip
from render_service.personas.library import PersonaLibrary
from render_service.personas.persona import Persona
from render_service.renderers.load import load_renderer
from render_service.renderers.renderer import Renderer
from servicekit.clock import SystemClock
from servicekit.delivery.files import StoredFile
from servicekit.errors import AlreadyExists, FailedPrecondition, InvalidAudio, InvalidFields, NotFound, Unavailable
from servicekit.store.folder_store import FolderStore
from servicekit.store.object_store import ObjectStat
from servicekit.store.url_signer import UrlSigner
from tests.support.tiny_checkpoint import tiny_checkpoint

LOCAL, STUDIO = "local", "studio-a"


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """The smallest real renderer."""
    return load_renderer(str(tiny_checkpoint(tmp_path_factory.mktemp("tiny"))), device="cpu")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """A folder store."""
    clock = SystemClock()
    return FolderStore(tmp_path / "store", UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=clock.now))


@pytest.fixture
def library(renderer: Renderer, store: FolderStore, tmp_path: Path) -> PersonaLibrary:
    """A library without built-in personas."""
    return PersonaLibrary(renderer=renderer, built_in=tmp_path / "none", store=store, clock=SystemClock())


def clip(
    seconds: float = 2.0, *, rate: int = 44100, seed: int = 0, channels: int = 2, scale: float = 0.1, smooth: int = 1
) -> Clip:
    """A WAV of noise, darker where it is averaged over ``smooth`` samples."""
    noise = scale * np.random.default_rng(seed).standard_normal((round(seconds * rate), channels))
    noise = uniform_filter1d(noise, smooth, axis=0)
    file = io.BytesIO()
    soundfile.write(file, noise, rate, format="WAV", subtype="FLOAT")
    return Clip(data=file.getvalue())


def encoded(kind: str, subtype: str, *, channels: int = 2, seconds: float = 2.0, scale: float = 0.1) -> Clip:
    """Noise in another format than WAV."""
    noise = scale * np.random.default_rng(3).standard_normal((round(seconds * 44100), channels))
    file = io.BytesIO()
    soundfile.write(file, noise, 44100, format=kind, subtype=subtype)
    return Clip(data=file.getvalue())


def constant(value: float) -> Clip:
    """A WAV of one value."""
    file = io.BytesIO()
    soundfile.write(file, np.full((88200, 2), value), 44100, format="WAV", subtype="PCM_16")
    return Clip(data=file.getvalue())


def halved(whole: Clip) -> Clip:
    """Its first half."""
    return Clip(data=whole.data[: len(whole.data) // 2])


@pytest.mark.parametrize(("kind", "subtype"), [("FLAC", "PCM_24"), ("AIFF", "PCM_16"), ("OGG", "VORBIS")])
def test_every_documented_format_is_taken(library: PersonaLibrary, kind: str, subtype: str) -> None:
    """Whole files of each, mono and stereo."""
    for channels in (1, 2):
        assert library.add(LOCAL, f"one-{channels}", "noise", [encoded(kind, subtype, channels=channels)]).embedding


def test_an_added_persona_is_read_by_the_next_process(
    library: PersonaLibrary, renderer: Renderer, store: FolderStore, tmp_path: Path
) -> None:
    """Another library on the same store reads what was added."""
    added = library.add(LOCAL, "my-band", "a band in a garage", [clip(seed=1), clip(seed=2, channels=1)])
    again = PersonaLibrary(renderer=renderer, built_in=tmp_path / "none", store=store, clock=SystemClock())
    assert again.get(LOCAL, "my-band") == added
    assert [p.id for p in again.all(LOCAL)] == ["my-band"]
    assert np.linalg.norm(added.embedding) == pytest.approx(1.0, abs=1e-4)


def test_other_clips_give_another_embedding(library: PersonaLibrary) -> None:
    """The embedding follows the sound."""
    noise = library.add(LOCAL, "one", "noise", [clip(seed=1)])
    rumble = library.add(LOCAL, "two", "noise", [clip(seed=1, smooth=64)])
    assert not np.allclose(noise.embedding, rumble.embedding, atol=1e-2)


def test_an_id_is_unique_until_the_persona_is_deleted(library: PersonaLibrary) -> None:
    """A second persona of the same id is refused; deletion frees the id and its files."""
    library.add(LOCAL, "one", "noise", [clip()])
    with pytest.raises(AlreadyExists) as error:
        library.add(LOCAL, "one", "noise", [clip()])
    assert error.value.reason == "PERSONA_EXISTS"
    library.remove(LOCAL, "one")
    with pytest.raises(NotFound):
        library.get(LOCAL, "one")
    library.add(LOCAL, "one", "noise", [clip()])


@pytest.mark.parametrize("persona_id", ["", "Upper", "1st", "a/b", "../x", "a" * 64, "a b", "one\n"])
def test_ids_are_plain(library: PersonaLibrary, persona_id: str) -> None:
    """An id is safe in a path. Another one cannot be added and is not found."""
    with pytest.raises(InvalidFields):
        library.add(LOCAL, persona_id, "noise", [clip()])
    with pytest.raises(NotFound):
        library.get(LOCAL, persona_id)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (Clip(data=b"not audio"), "readable audio file"),
        (clip(rate=48000), "48000 Hz"),
        (clip(0.5), "0.50 s"),
        (clip(scale=0.0), "silence"),
        (clip(scale=float("nan")), "NaN"),
        (clip(scale=1e30), "beyond full scale"),
        (constant(0.5), "constant"),
        (halved(clip()), "truncated"),
        (halved(encoded("FLAC", "PCM_16")), "clip 1"),
        (halved(encoded("AIFF", "PCM_16", seconds=4.0)), "complete"),
        (halved(encoded("OGG", "VORBIS", seconds=4.0)), "complete"),
        (encoded("AIFF", "FLOAT", scale=1e30), "full scale"),
        (encoded("AIFF", "PCM_16", channels=255, seconds=1.0), "255 channels"),
        (encoded("OGG", "VORBIS", channels=9, seconds=1.0), "9 channels"),
        (encoded("CAF", "PCM_16"), "WAV, FLAC, AIFF or Ogg"),
    ],
)
def test_a_bad_clip_is_named_and_nothing_is_stored(
    library: PersonaLibrary, store: FolderStore, bad: Clip, says: str
) -> None:
    """The error names the clip and the reason; the store stays empty."""
    with pytest.raises(InvalidAudio, match=says) as error:
        library.add(LOCAL, "one", "noise", [clip(), bad])
    assert "clip 1" in str(error.value)
    assert list(store.keys()) == []


def test_clips_must_match_their_announced_digests(library: PersonaLibrary, store: FolderStore) -> None:
    """A stream cut between two clips, or a clip changed on the way, creates no persona."""
    clips = [clip(seed=1), clip(seed=2)]
    announced = [one.sha256 for one in clips]
    for came, words in ((clips[:1], "2 announced, got 1"), ([clips[0], clip(seed=3)], "clip 1")):
        with pytest.raises(InvalidFields, match=words) as refused:
            library.add(LOCAL, "cut", "words", came, announced)
        assert refused.value.violations[0].field == "header.clip_sha256"
    assert list(store.keys("personas/")) == []
    assert library.add(LOCAL, "whole", "words", clips, announced).clip_sha256 == tuple(announced)


def test_concurrent_calls_with_one_id_create_one_persona(library: PersonaLibrary) -> None:
    """The others get PERSONA_EXISTS; record and clips are of the same call."""

    def add(seed: int) -> str:
        try:
            return library.add(LOCAL, "both", "words", [clip(seed=seed)]).clip_sha256[0]
        except AlreadyExists:
            return ""

    with ThreadPoolExecutor(4) as threads:
        added = [sha256 for sha256 in threads.map(add, range(4)) if sha256]
    assert added == list(library.get(LOCAL, "both").clip_sha256)


class _Failing(FolderStore):
    """Fails at the call of this number that writes or deletes."""

    left = 0

    def put_bytes(self, key: str, data: bytes, *, content_type: str, fallback: str = "") -> StoredFile:
        self._count()
        return super().put_bytes(key, data, content_type=content_type, fallback=fallback)

    def delete(self, key: str) -> None:
        self._count()
        super().delete(key)

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Unavailable("the store does not answer")


@pytest.mark.parametrize("call", [2, 3, 4])
def test_a_deletion_that_was_cut_short_is_finished_by_the_next_start(
    library: PersonaLibrary, renderer: Renderer, store: FolderStore, tmp_path: Path, call: int
) -> None:
    """From the first step on nobody sees the persona; the next start removes its clips; the id can be used again."""
    library.add(LOCAL, "neon-drift", "a prefix", [clip(), clip(seed=1)])
    failing = _Failing(tmp_path / "store", store.signer)
    failing.left = call
    with pytest.raises(Unavailable):
        PersonaLibrary(renderer=renderer, built_in=tmp_path / "none", store=failing, clock=SystemClock()).remove(
            LOCAL, "neon-drift"
        )
    assert library.all(LOCAL) == ()
    with pytest.raises(NotFound):
        library.get(LOCAL, "neon-drift")
    library.finish_deletions()
    assert list(store.keys("personas/")) == []
    assert library.add(LOCAL, "neon-drift", "another prefix", [clip()]).prefix == "another prefix"


@pytest.mark.parametrize("call", [1, 2, 3])
def test_an_addition_that_the_store_refuses_leaves_nothing(
    renderer: Renderer, store: FolderStore, tmp_path: Path, call: int
) -> None:
    """The clips that were stored before are removed."""
    failing = _Failing(tmp_path / "store", store.signer)
    failing.left = call
    library = PersonaLibrary(renderer=renderer, built_in=tmp_path / "none", store=failing, clock=SystemClock())
    with pytest.raises(Unavailable):
        library.add(LOCAL, "neon-drift", "a prefix", [clip(), clip(seed=1)])
    assert list(store.keys("personas/")) == []


class _Paused(FolderStore):
    """Calls ``meanwhile`` before its next deletion or write of a record, as if the process was suspended there."""

    at: str
    meanwhile: Callable[[], object] | None = None

    def put_bytes(self, key: str, data: bytes, *, content_type: str, fallback: str = "") -> StoredFile:
        if self.at == "record" and key.endswith("persona.json"):
            self._pause()
        return super().put_bytes(key, data, content_type=content_type, fallback=fallback)

    def delete(self, key: str) -> None:
        if self.at == "delete":
            self._pause()
        super().delete(key)

    def _pause(self) -> None:
        paused, self.meanwhile = self.meanwhile, None
        if paused is not None:
            paused()


@pytest.fixture
def paused(renderer: Renderer, store: FolderStore, tmp_path: Path) -> tuple[PersonaLibrary, _Paused]:
    """Another process's library on the same store."""
    other = _Paused(tmp_path / "store", store.signer)
    return PersonaLibrary(renderer=renderer, built_in=tmp_path / "none", store=other, clock=SystemClock()), other


def test_a_deletion_that_wakes_up_leaves_the_next_persona_alone(
    library: PersonaLibrary, paused: tuple[PersonaLibrary, _Paused], store: FolderStore
) -> None:
    """Another process finished it and added the id again; the old deletion goes on and removes nothing of the new persona."""
    library.add(LOCAL, "one", "old", [clip(), clip(seed=1)])
    slow, other = paused

    def meanwhile() -> None:
        library.finish_deletions()
        library.add(LOCAL, "one", "new", [clip(seed=2)])

    other.at, other.meanwhile = "delete", meanwhile
    slow.remove(LOCAL, "one")
    assert library.get(LOCAL, "one").prefix == "new"
    assert len(list(store.keys("personas"))) == 2


def test_of_two_processes_that_add_an_id_at_once_one_succeeds(
    library: PersonaLibrary, paused: tuple[PersonaLibrary, _Paused], store: FolderStore
) -> None:
    """The second to store its record withdraws it and finds that of the first, whose clips are whole."""
    slow, other = paused
    first = [clip(), clip(seed=1)]
    other.at, other.meanwhile = "record", lambda: library.add(LOCAL, "one", "first", first)
    with pytest.raises(AlreadyExists):
        slow.add(LOCAL, "one", "second", [clip(seed=2)])
    assert library.get(LOCAL, "one").clip_sha256 == tuple(one.sha256 for one in first)
    stored = [store.read(key, max_bytes=1 << 24) for key in store.keys("personas") if "clip" in key]
    assert stored == [one.data for one in first]


class _Together(FolderStore):
    """The store of one of two processes, which both store their first record and only then look for the other's."""

    both: threading.Barrier | None = None

    def put_bytes(self, key: str, data: bytes, *, content_type: str, fallback: str = "") -> StoredFile:
        both = self.both if key.endswith("persona.json") else None
        if both is None:
            return super().put_bytes(key, data, content_type=content_type, fallback=fallback)
        self.both = None
        both.wait(30)
        stored = super().put_bytes(key, data, content_type=content_type, fallback=fallback)
        both.wait(30)
        return stored


def test_two_processes_that_see_each_others_record(renderer: Renderer, store: FolderStore, tmp_path: Path) -> None:
    """Both withdraw, then exactly one succeeds: the other one's call is PERSONA_EXISTS, and nothing of it stays."""
    both = threading.Barrier(2)

    def add(seed: int) -> Persona | None:
        own = _Together(tmp_path / "store", store.signer)
        own.both = both
        library = PersonaLibrary(renderer=renderer, built_in=tmp_path / "none", store=own, clock=SystemClock())
        with suppress(AlreadyExists):
            return library.add(LOCAL, "one", f"process {seed}", [clip(seed=seed)])
        return None

    with ThreadPoolExecutor(2) as processes:
        (winner,) = filter(None, processes.map(add, (1, 2)))
    library = PersonaLibrary(renderer=renderer, built_in=tmp_path / "none", store=store, clock=SystemClock())
    assert library.get(LOCAL, "one") == winner
    assert len(list(store.keys("personas"))) == 2


class _Recording(FolderStore):
    """Records which keys it is asked for."""

    asked: list[str]

    def keys(self, prefix: str = "") -> Iterator[str]:
        self.asked.append(f"keys {prefix}")
        return super().keys(prefix)

    def stat(self, key: str) -> ObjectStat | None:
        self.asked.append(f"stat {key}")
        return super().stat(key)

    def read(self, key: str, *, max_bytes: int) -> bytes:
        self.asked.append(f"read {key}")
        return super().read(key, max_bytes=max_bytes)


def test_two_tenants_use_one_id_for_different_personas(renderer: Renderer, store: FolderStore, tmp_path: Path) -> None:
    """Each reads and deletes its own. The other's answers as one that does not exist, after the same calls to the store."""
    recording = _Recording(tmp_path / "store", store.signer)
    recording.asked = []
    library = PersonaLibrary(renderer=renderer, built_in=tmp_path / "none", store=recording, clock=SystemClock())
    mine, theirs = library.add(LOCAL, "one", "mine", [clip()]), library.add(STUDIO, "one", "theirs", [clip(seed=1)])
    library.add(STUDIO, "secret", "theirs", [clip()])
    assert (library.get(LOCAL, "one"), library.get(STUDIO, "one")) == (mine, theirs)
    assert [p.id for p in library.all(LOCAL)] == ["one"]
    for call in (library.get, library.remove):
        refused = []
        for persona_id in ("secret", "nobody"):
            recording.asked.clear()
            with pytest.raises(NotFound) as error:
                call(LOCAL, persona_id)
            assert error.value.metadata == {"persona_id": persona_id, "known": "one"}
            refused.append([text.replace(persona_id, "ID") for text in (error.value.message, *recording.asked)])
        assert refused[0] == refused[1]
    library.remove(LOCAL, "one")
    assert [p.id for p in library.all(STUDIO)] == ["one", "secret"]
    assert {key.partition("/personas/")[0] for key in store.keys("")} == {"tenants/studio-a"}


def test_deletions_and_cut_additions_of_every_tenant_are_cleaned_up(
    library: PersonaLibrary, renderer: Renderer, store: FolderStore, tmp_path: Path
) -> None:
    """The next start finishes its deletions; the sweep finds clips without a record, and leaves what is no persona's."""
    library.add(STUDIO, "one", "words", [clip()])
    library.add(STUDIO, "two", "words", [clip()])
    failing = _Failing(tmp_path / "store", store.signer)
    failing.left = 2
    with pytest.raises(Unavailable):
        PersonaLibrary(renderer=renderer, built_in=tmp_path / "none", store=failing, clock=SystemClock()).remove(
            STUDIO, "one"
        )
    library.finish_deletions()
    assert {key.split("/")[3] for key in store.keys("tenants")} == {"two"}
    cut, other = "tenants/studio-a/personas/three/0123456789abcdef/clip-000", "tenants/studio-a/notes.txt"
    for key in (cut, other):
        store.put_bytes(key, b"sound", content_type="application/octet-stream")
    assert library.unnamed_keys(list(store.keys("tenants"))) == [cut]


def test_clips_of_an_addition_that_was_cut_short_are_unnamed(library: PersonaLibrary, store: FolderStore) -> None:
    """The sweep of the store asks for them; what a record names, also an earlier release's, is not among them."""
    library.add(LOCAL, "one", "words", [clip()])
    cut = "personas/one/0123456789abcdef/clip-000"
    old = ["personas/two/clip-000", "personas/two/persona.json"]
    for key in (cut, *old):
        store.put_bytes(key, b"sound", content_type="application/octet-stream")
    assert library.unnamed_keys(list(store.keys("personas"))) == [cut]
    assert library.unnamed_keys([old[0]]) == []


def test_a_persona_of_an_earlier_release_is_read_and_deleted(library: PersonaLibrary, store: FolderStore) -> None:
    """Its files lie in the persona's own folder."""
    library.add(LOCAL, "one", "words", [clip()])
    for key in list(store.keys("personas")):
        data = store.read(key, max_bytes=1 << 24)
        store.put_bytes(f"personas/one/{key.rpartition('/')[2]}", data, content_type="application/octet-stream")
        store.delete(key)
    assert library.get(LOCAL, "one").prefix == "words"
    library.remove(LOCAL, "one")
    assert list(store.keys("personas")) == []


def test_an_unknown_persona_lists_the_existing_ones(library: PersonaLibrary) -> None:
    """In the message and in the metadata."""
    library.add(LOCAL, "one", "noise", [clip()])
    with pytest.raises(NotFound, match="one") as error:
        library.get(LOCAL, "nobody")
    assert error.value.metadata == {"persona_id": "nobody", "known": "one"}


def test_a_built_in_persona_cannot_be_deleted(store: FolderStore) -> None:
    """FailedPrecondition, and the persona stays. No tenant can add another one with its id."""
    from importlib.resources import files

    built_in = Path(str(files("render_service") / "personas" / "builtin"))
    if not any(built_in.glob("*/persona.json")):
        pytest.fail("no built-in personas")
    renderer = load_renderer("starter", device="cpu")
    library = PersonaLibrary(renderer=renderer, built_in=built_in, store=store, clock=SystemClock())
    assert len(library.all(LOCAL)) >= 8
    for tenant in (LOCAL, STUDIO):
        (first, *_) = library.all(tenant)
        with pytest.raises(FailedPrecondition):
            library.remove(tenant, first.id)
        with pytest.raises(AlreadyExists):
            library.add(tenant, first.id, "taken", [clip()])
