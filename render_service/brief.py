"""The brief of a caller, its checks, and the brief with tempo, key and seed resolved."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

import numpy as np

from jobs_service import journal_json
from render_service.composer.given import GivenChords, GivenMidi, GivenScore
from render_service.composer.habits import Habits
from render_service.composer.style import MOOD_SHAPES, Mood
from render_service.music.key import Key, Mode
from render_service.music.prompt_words import PromptFacts, read_prompt
from render_service.music.tempo_map import STRAIGHT, TempoMap
from servicekit.caller_fields import check_labels, check_licence, check_text
from servicekit.delivery.manifest import Licence
from servicekit.delivery.names import StemMode
from servicekit.errors import FieldViolation, InvalidFields

SECONDS_RANGE = (2.0, 180.0)
DEFAULT_SECONDS = 30.0
TARGET_LUFS_RANGE = (-30.0, -9.0)
DEFAULT_TARGET_LUFS = -16.0
MAX_PROMPT_CHARACTERS = 2000
MAX_LYRICS_CHARACTERS = 4000
_DRAWN_BPM_RANGE = (72.0, 150.0)
_BAR_LINE_S = (
    1e-3  # a bar line this little after the asked length still belongs to it: 2.727 s hold a bar of 2.727273 s
)

# Each use of the seed has a stream of its own, so that setting one value explicitly never changes another.
SEED_STREAMS = {"tempo": 1, "key": 2, "chords": 3, "new part": 4}


class Source(Enum):
    """Where a resolved value came from."""

    CALLER = "caller"
    SCORE = "score"
    PROMPT = "prompt"
    DRAWN = "drawn"


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What the caller asks for. None: not given."""

    prompt: str
    persona_id: str
    seed: int | None = None
    seconds: float = DEFAULT_SECONDS
    tempo_map: TempoMap | None = None
    key: Key | None = None
    instrumental: bool = False
    stems: bool = False
    stem_mode: StemMode = StemMode.EXACT
    labels: Mapping[str, str] = field(default_factory=dict)
    licence: Licence = field(default_factory=Licence)
    expires_at: datetime | None = None
    lyrics: str = ""
    loop: bool = False
    target_lufs: float = DEFAULT_TARGET_LUFS
    score: GivenScore | None = None


@dataclass(frozen=True, kw_only=True)
class ResolvedBrief:
    """A brief with tempo map, key and seed decided, and where each came from. ``seconds`` of a loop are those of its whole bars."""

    brief: Brief
    seed: int
    seconds: float
    tempo_map: TempoMap
    key: Key
    instrumental: bool
    tempo_source: Source
    key_source: Source
    seed_source: Source

    def json(self) -> dict[str, Any]:
        """As the journal keeps it."""
        brief = self.brief
        return journal_json.ResolvedBrief(
            prompt=brief.prompt,
            persona_id=brief.persona_id,
            seed=self.seed,
            seconds=self.seconds,
            tempo_map=self.tempo_map,
            key=str(self.key),
            instrumental=self.instrumental,
            stems=brief.stems,
            stem_mode=brief.stem_mode,
            labels=brief.labels,
            licence=brief.licence,
            expire_time=brief.expires_at,
            tempo_source=self.tempo_source.value,
            key_source=self.key_source.value,
            seed_source=self.seed_source.value,
            loop=brief.loop,
            target_lufs=brief.target_lufs,
            score_midi_sha256=brief.score.sha256 if isinstance(brief.score, GivenMidi) else "",
            score_chords=brief.score.text if isinstance(brief.score, GivenChords) else "",
        ).json()


def check_brief(brief: Brief, *, now: datetime) -> list[FieldViolation]:
    """Everything that is wrong with a brief, each under its path in the request. Tempo map and key were parsed before."""
    found = check_prompt(brief.prompt, "brief.prompt")
    if not brief.persona_id:
        found.append(FieldViolation("brief.persona_id", "must be the id of a persona (ListPersonas), got none"))
    found += check_seconds(brief.seconds, "brief.seconds")
    low, high = TARGET_LUFS_RANGE
    if not (math.isfinite(brief.target_lufs) and low <= brief.target_lufs <= high):
        text = f"must be {low:g} to {high:g} LUFS, got {brief.target_lufs:g}"
        found.append(FieldViolation("brief.target_lufs", text))
    if brief.expires_at is not None and brief.expires_at <= now:
        found.append(FieldViolation("brief.expire_time", f"must be in the future, got {brief.expires_at.isoformat()}"))
    found += check_text(brief.lyrics, "brief.lyrics", max_characters=MAX_LYRICS_CHARACTERS)
    found += check_labels(brief.labels, "brief.labels")
    return found + check_licence(brief.licence, "brief.licence")


def check_prompt(prompt: str, field: str) -> list[FieldViolation]:
    """The prompt of a new take, which must have one."""
    found = check_text(prompt, field, max_characters=MAX_PROMPT_CHARACTERS)
    if not prompt.strip():
        found.append(FieldViolation(field, f"must have 1 to {MAX_PROMPT_CHARACTERS} characters, got none"))
    return found


def check_seconds(seconds: float, field: str) -> list[FieldViolation]:
    """The length of a take, whatever the renderer."""
    low, high = SECONDS_RANGE
    if math.isfinite(seconds) and low <= seconds <= high:
        return []
    return [FieldViolation(field, f"must be {low:g} to {high:g}, got {seconds:g}")]


def resolve(brief: Brief, *, habits: Habits | None = None, mood: Mood | None = None) -> ResolvedBrief:
    """Decide what the caller left open: an explicit value wins over the prompt, the prompt over a draw from the seed.

    ``habits`` of the persona: their swing is that of a tempo map that the caller did not give. ``mood`` of the prompt, as a planner
    reads it: it decides how likely a minor key is; without it, the prompt's plain words do.
    A given score is the caller's word too: tempo and key signature of a MIDI file win over the prompt. A key that is estimated from
    its notes or chords wins over a draw only. Raises MidiError for a file that has no place in the take, and
    InvalidFields for a loop that does not begin with a bar or has no room for one.
    """
    seed = secrets.randbits(32) if brief.seed is None else brief.seed
    facts = read_prompt(brief.prompt)
    swing = habits.swing if habits is not None and not isinstance(brief.score, GivenMidi) else STRAIGHT
    tempo_map, tempo_source = _resolve_tempo(
        brief, facts, np.random.default_rng([seed, SEED_STREAMS["tempo"]]), swing=swing
    )
    seconds = _loop_seconds(brief.seconds, tempo_map) if brief.loop else brief.seconds
    key, key_source = _resolve_key(
        brief,
        facts,
        np.random.default_rng([seed, SEED_STREAMS["key"]]),
        mood=mood,
        estimated=_estimate_key(brief.score, tempo_map, seconds),
    )
    return ResolvedBrief(
        brief=brief,
        seed=seed,
        seconds=seconds,
        tempo_map=tempo_map,
        key=key,
        instrumental=brief.instrumental or facts.instrumental,
        tempo_source=tempo_source,
        key_source=key_source,
        seed_source=Source.DRAWN if brief.seed is None else Source.CALLER,
    )


def _loop_seconds(seconds: float, tempo_map: TempoMap) -> float:
    """The last bar line up to ``seconds``."""
    if tempo_map.first_downbeat_s > 0.0:
        text = f"needs a tempo map whose first downbeat is at 0 s, got {tempo_map.first_downbeat_s:g} s"
        raise InvalidFields([FieldViolation("brief.loop", text)])
    bars_s = tempo_map.bars_s(seconds + _BAR_LINE_S)[1:]
    if not bars_s.size:
        text = f"must have room for one bar of the loop, got {seconds:g} s; ask for more, or for a faster tempo"
        raise InvalidFields([FieldViolation("brief.seconds", text)])
    return float(bars_s[-1])


def _resolve_tempo(
    brief: Brief, facts: PromptFacts, rng: np.random.Generator, *, swing: float
) -> tuple[TempoMap, Source]:
    if brief.tempo_map is not None:
        return brief.tempo_map, Source.CALLER
    own = brief.score.tempo_map() if isinstance(brief.score, GivenMidi) else None
    if own is not None:
        return own, Source.SCORE
    if facts.bpm is not None:
        return TempoMap.constant(facts.bpm, swing=swing), Source.PROMPT
    low, high = facts.bpm_range or _DRAWN_BPM_RANGE
    source = Source.PROMPT if facts.bpm_range else Source.DRAWN
    return TempoMap.constant(float(np.round(rng.uniform(low, high))), swing=swing), source


def _estimate_key(score: GivenScore | None, tempo_map: TempoMap, seconds: float) -> Key | None:
    """The key of a given score's chords or notes. Raises MidiError."""
    if isinstance(score, GivenMidi):
        return score.estimate_key(tempo_map, seconds)
    return score.estimate_key() if score is not None else None


def _resolve_key(
    brief: Brief, facts: PromptFacts, rng: np.random.Generator, *, mood: Mood | None, estimated: Key | None
) -> tuple[Key, Source]:
    tonic, draw = int(rng.integers(12)), float(rng.random())
    if brief.key is not None:
        return brief.key, Source.CALLER
    if isinstance(brief.score, GivenMidi) and brief.score.song.key is not None:
        return brief.score.song.key, Source.SCORE
    if facts.key is not None:
        return facts.key, Source.PROMPT
    if estimated is not None:
        return estimated, Source.SCORE
    minor_share = MOOD_SHAPES[mood].minor_share if mood is not None else 0.5
    drawn = Mode.MINOR if draw < minor_share else Mode.MAJOR
    mode = drawn if mood is not None else facts.mode or drawn
    return Key(tonic=tonic, mode=mode), Source.DRAWN
