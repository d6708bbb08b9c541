"""The fake checks requests as the services do: the same fields, in the same order, with the same words."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from jobs_service import requests as jobs_requests
from render_service.api.requests import read_brief, read_stem_change
from separation_service.api.analysis_messages import read_analysis_header
from separation_service.api.messages import read_header
from servicekit.audio.upload import read_upload, read_upload_header
from servicekit.caller_fields import check_request_id
from servicekit.errors import InvalidAudio, InvalidFields
from servicekit.journal import OwningService
from servicekit.rpc.wellformed import check_request
from sonichaos.jobs.v1 import brief_pb2, error_reason_pb2, job_pb2, jobs_service_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2
from sonichaos_client.testing.fake import admission, briefs, checks, jobs_servicer, separation_servicer, upload_audio
from sonichaos_client.testing.fake.faults import scripted_failure
from sonichaos_client.testing.fake.refusals import Refusal

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
Violations = list[tuple[str, str]]


def of_service(check: Callable[[], object]) -> tuple[str, Violations]:
    """The message and the violations by which a service refuses."""
    with pytest.raises(InvalidFields) as caught:
        check()
    return caught.value.message, [(one.field, one.description) for one in caught.value.violations]


def of_fake(check: Callable[[], object]) -> tuple[str, Violations]:
    """Those by which the fake does."""
    with pytest.raises(Refusal) as caught:
        check()
    assert caught.value.reason == "INVALID_FIELD"
    return caught.value.message, [(one.field, one.description) for one in caught.value.violations]


def brief(**changes: Any) -> brief_pb2.Brief:
    """A valid brief with changes."""
    fields: dict[str, Any] = {"prompt": "slow", "persona_id": "neon-drift", "seconds": 2.0} | changes
    return brief_pb2.Brief(**fields)


def tempo_map(*points: tuple[float, float, int, int], **fields: float) -> brief_pb2.TempoMap:
    """A tempo map of points (second, bpm, beats per bar, beat unit)."""
    names = ("start_seconds", "bpm", "beats_per_bar", "beat_unit")
    values: list[dict[str, Any]] = [dict(zip(names, point, strict=True)) for point in points]
    made = [brief_pb2.TempoPoint(**point) for point in values]
    return brief_pb2.TempoMap(points=made, **fields)


WRONG_LICENCE: dict[str, Any] = {"tier": "t" * 65, "licensee": "l" * 257, "terms": "t" * 2049, "covers": 9}
LICENCE = brief_pb2.Licence(**WRONG_LICENCE)
BAD_BRIEFS = [
    brief_pb2.Brief(),
    brief(prompt="  "),
    brief(prompt="a" * 2001),
    brief(prompt="a\x00b"),
    brief(persona_id="No"),
    brief(seconds=1.5),
    brief(seconds=181),
    brief(seconds=-3),
    brief(bpm=29.5),
    brief(bpm=301),
    brief(tempo_map=tempo_map()),
    brief(tempo_map=tempo_map((1.0, 100.0, 4, 4))),
    brief(tempo_map=tempo_map((0.0, 100.0, 17, 4))),
    brief(tempo_map=tempo_map((0.0, 100.0, 4, 3))),
    brief(tempo_map=tempo_map((0.0, 10.0, 4, 4))),
    brief(tempo_map=tempo_map((0.0, 100.0, 4, 4), (2.0, 100.0, 4, 4), (2.0, 90.0, 4, 4))),
    brief(tempo_map=tempo_map((0.0, 100.0, 4, 4), (86401.0, 100.0, 4, 4))),
    brief(tempo_map=tempo_map((0.0, 100.0, 4, 4), first_downbeat_seconds=61.0)),
    brief(tempo_map=tempo_map((0.0, 100.0, 4, 4), swing_ratio=0.8)),
    brief(tempo_map=tempo_map(*[(float(i), 100.0, 4, 4) for i in range(513)])),
    brief(key="H minor"),
    brief(key="A minor "[:-1] + "ish"),
    brief(stem_mode=7),
    brief(licence=LICENCE),
    brief(labels={"": "a", "ok": "v" * 257}),
    brief(labels={f"l{i}": "" for i in range(33)}),
    brief(target_lufs=-31),
    brief(target_lufs=-8.5),
    brief(lyrics="l" * 4001),
    brief(expire_time={"seconds": 1}),
    brief(score=brief_pb2.Score()),
]


@pytest.mark.parametrize("message", BAD_BRIEFS, ids=range(len(BAD_BRIEFS)))
def test_a_brief_is_refused_in_the_words_of_render_service(message: brief_pb2.Brief) -> None:
    """Every wrong field of a brief is named as render_service names it."""
    assert of_fake(lambda: briefs.resolve(message, now=NOW, priority=0)) == of_service(
        lambda: read_brief(message, now=NOW)
    )


def test_many_violations_are_named_and_counted_as_by_the_services() -> None:
    """Of more than ten violations ten are named, and all are counted."""
    many = brief(
        prompt="",
        persona_id="",
        seconds=500,
        bpm=1,
        key="X",
        stem_mode=9,
        licence=LICENCE,
        target_lufs=3,
        labels={"-": ""},
    )
    text, violations = of_service(lambda: read_brief(many, now=NOW, priority=101))
    assert len(violations) == 10
    assert of_fake(lambda: briefs.resolve(many, now=NOW, priority=101)) == (text, violations)


def rerender(**fields: Any) -> render_pb2.RerenderStemRequest:
    """A request with wrong fields, of the vocals if it names no stem."""
    with_stem: dict[str, Any] = {"stem": brief_pb2.STEM_VOCALS} | fields
    return render_pb2.RerenderStemRequest(**with_stem)


def upload(**fields: Any) -> separation_pb2.SeparationHeader:
    """A header with wrong fields."""
    return separation_pb2.SeparationHeader(**fields)


BAD_RERENDERS = [
    render_pb2.RerenderStemRequest(),
    rerender(stem=9, priority=-101),
    rerender(prompt="a" * 2001, persona_id="-"),
    rerender(strength=1.5),
    rerender(strength=0.5, from_noise=True),
    rerender(from_bar=0, to_bar=2),
    rerender(from_bar=3, to_bar=2),
    rerender(bpm=1, key="?"),
]


@pytest.mark.parametrize("message", BAD_RERENDERS, ids=range(len(BAD_RERENDERS)))
def test_a_rerender_is_refused_in_the_words_of_render_service(message: render_pb2.RerenderStemRequest) -> None:
    """Every wrong field of a re-render is named as render_service names it, in any order."""
    fake_text, fake = of_fake(lambda: admission.read_change(message))
    _, service = of_service(lambda: read_stem_change(message))
    assert sorted(fake) == sorted(service), fake_text


BAD_HEADERS = [
    upload(stem_mode=9, licence=LICENCE),
    upload(request_id="a b", file_name="f" * 256, labels={"!": ""}, priority=101, sha256="0"),
    upload(licence=brief_pb2.Licence(tier="t" * 65)),
    upload(store_key="jobs/x"),
    upload(store_key="uploads/../x"),
]


@pytest.mark.parametrize("header", BAD_HEADERS, ids=range(len(BAD_HEADERS)))
def test_an_upload_is_refused_in_the_words_of_separation_service(header: separation_pb2.SeparationHeader) -> None:
    """Every wrong field of an upload's header is named as separation_service names it."""
    assert of_fake(lambda: separation_servicer.check_header(header)) == of_service(lambda: read_header(header))


BAD_ANALYSES = [
    separation_pb2.AnalysisHeader(min_bpm=100),
    separation_pb2.AnalysisHeader(min_bpm=100, max_bpm=90, beats_per_bar=17, store_key="x"),
]


@pytest.mark.parametrize("header", BAD_ANALYSES, ids=range(len(BAD_ANALYSES)))
def test_an_analysis_is_refused_in_the_words_of_separation_service(header: separation_pb2.AnalysisHeader) -> None:
    """Every wrong field of an analysis is named as separation_service names it."""
    assert of_fake(lambda: separation_servicer.check_analysis(header)) == of_service(
        lambda: read_analysis_header(header)
    )


def test_a_filter_of_jobs_is_refused_in_the_words_of_the_services() -> None:
    """Every wrong field of ListJobs is named as JobsService names it."""
    unknown: Any = [job_pb2.JOB_STATE_UNSPECIFIED, 99]
    request = jobs_service_pb2.ListJobsRequest(
        states=unknown,
        labels={f"l{i}": "v" * 300 for i in range(33)},
        persona_id="p" * 257,
        prompt_contains="p" * 257,
    )
    expected = of_service(lambda: jobs_requests.job_filter(request, OwningService.RENDER))
    assert of_fake(lambda: jobs_servicer.check_filter(request)) == expected


MALFORMED: list[Message] = [
    render_pb2.CreateRenderRequest(brief=brief(seconds=float("nan"), expire_time={"seconds": 1 << 60})),
    render_pb2.CreateRenderRequest(brief=brief(tempo_map=tempo_map((0.0, float("inf"), 4, 4)))),
    jobs_service_pb2.CreateSignedUrlRequest(ttl=Duration(seconds=1, nanos=-1)),
]


@pytest.mark.parametrize("request_", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_values_are_refused_in_the_words_of_the_services(request_: Message) -> None:
    """Times, durations and numbers that no service can use are named as the boundary of the services names them."""
    assert of_fake(lambda: checks.check_form(request_)) == of_service(lambda: check_request(request_))


def test_request_ids_follow_the_same_rule() -> None:
    """The same request ids are refused, in the same words."""
    for request_id in ("", "a", "a b", "ü", "x" * 129):
        expected = [(one.field, one.description) for one in check_request_id(request_id)]
        assert [(one.field, one.description) for one in checks.check_request_id(request_id)] == expected


def wav(*, rate: int = 44100, channels: int = 2, frames: int = 400, subtype: str = "PCM_24") -> bytes:
    """A WAV of noise."""
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (frames, channels))
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


GOOD_UPLOADS = [wav(subtype=subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")]
GOOD_UPLOADS.append(wav(channels=1))


@pytest.mark.parametrize("data", GOOD_UPLOADS, ids=range(len(GOOD_UPLOADS)))
def test_wavs_are_read_to_the_same_samples(data: bytes) -> None:
    """Every encoding gives the samples that separation_service reads."""
    expected = read_upload(data, read_upload_header(data, max_seconds=60.0))
    assert np.array_equal(upload_audio.read_upload(data).pcm, expected)


def _with_last_float(encoded: bytes) -> bytes:
    return wav(subtype="FLOAT")[:-4] + encoded


def _flac(*, bits: int = 16, frames: int = 400) -> bytes:
    """The header of a FLAC, and some bytes."""
    packed = 44100 << 44 | 1 << 41 | (bits - 1) << 36 | frames
    return b"fLaC\0\0\0\x22" + bytes(10) + packed.to_bytes(8, "big") + bytes(16 + 40)


BAD_UPLOADS = [
    b"",
    b"RIFX" + bytes(40),
    b"OggS" + bytes(40),
    b"RIFF\0\0\0\0AVI " + bytes(40),
    wav()[:100],
    wav()[:60],
    wav(rate=48000),
    wav(channels=3),
    wav(frames=1),
    wav()[:20] + b"\x07\0" + wav()[22:],
    _with_last_float(struct.pack("<f", float("nan"))),
    _with_last_float(b"\x01\x00\x80\x7f"),  # a signalling NaN
    _flac(bits=25),
    _flac(frames=0),
    _flac()[:42],
    _flac()[:30],
]


@pytest.mark.parametrize("data", BAD_UPLOADS, ids=range(len(BAD_UPLOADS)))
def test_an_upload_that_is_no_audio_is_refused_in_the_same_words(data: bytes) -> None:
    """What cannot be separated is refused with the detail that separation_service gives."""
    with pytest.raises(InvalidAudio) as expected:
        read_upload(data, read_upload_header(data, max_seconds=60.0, resample=False))
    with pytest.raises(Refusal) as refused:
        upload_audio.read_upload(data, max_seconds=60.0, resample=False)
    assert (refused.value.reason, refused.value.message) == ("INVALID_AUDIO", expected.value.message)
    assert refused.value.metadata == expected.value.metadata


def test_other_rates_are_converted_to_the_length_of_the_services() -> None:
    """With `resample` a recording has as many frames as separation_service makes of it."""
    data = wav(rate=48000, frames=4801)
    expected = read_upload_header(data, max_seconds=60.0, resample=True).frames
    recording = upload_audio.read_upload(data, resample=True)
    assert recording.pcm.shape == (2, expected)
    assert "48000 Hz" in recording.processing[0]


def test_the_same_rates_are_converted() -> None:
    """Those whose ratio to 44100 Hz is simple; any other is refused in the words of separation_service."""

    def of_service(data: bytes) -> str:
        try:
            return str(read_upload_header(data, max_seconds=60.0, resample=True).frames)
        except InvalidAudio as error:
            return error.message

    def of_fake(data: bytes) -> str:
        try:
            return str(upload_audio.read_upload(data, resample=True).pcm.shape[1])
        except Refusal as refusal:
            return refusal.message

    rates = (*range(8000, 9000, 25), 11025, 15240, 22050, 44000, 44184, 59520, 96000, 383999, 384000, 384001)
    files = [wav(rate=rate, frames=100) for rate in rates]
    assert [of_fake(data) for data in files] == [of_service(data) for data in files]


def test_scripted_failures_have_the_codes_that_the_docs_give_each_reason() -> None:
    """A fault may name any reason; its code, and whether it carries a retry time, are those of docs/errors.md."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    for number in error_reason_pb2.ErrorReason.values()[1:]:
        refusal = scripted_failure(number)
        row = re.search(rf"^\| `{refusal.reason}` \| ([A-Z_]+)( with RetryInfo)?\.", page, re.MULTILINE)
        assert row is not None, refusal.reason
        assert (refusal.code.name, refusal.retry_after_s is not None) == (row[1], bool(row[2])), refusal.reason
