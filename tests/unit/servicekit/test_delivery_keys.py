"""Keys of a version's files (docs/contract.md, section 4)."""

from __future__ import annotations

from servicekit.delivery.keys import VersionKeys, attempt_of, job_folder, public_key


def test_the_original_lies_at_the_keys_of_the_contract() -> None:
    """v1: bounce.wav, v1.json, v1.mid, v1.zip and v1.latents.safetensors in the job's folder."""
    keys = VersionKeys("j-1", 1)
    assert all(key.startswith(job_folder("j-1") + "/") for key in keys.all)
    assert (keys.bounce, keys.manifest) == ("jobs/j-1/bounce.wav", "jobs/j-1/v1.json")
    assert (keys.zip, keys.latents) == ("jobs/j-1/v1.zip", "jobs/j-1/v1.latents.safetensors")
    assert keys.midi == "jobs/j-1/v1.mid"
    assert set(keys.all) == {keys.bounce, keys.manifest, keys.zip, keys.latents, keys.midi}


def test_a_rerender_lies_beside_the_original() -> None:
    """v2: v2.wav, v2.json, v2.mid and v2.zip."""
    keys = VersionKeys("j-1", 2)
    assert (keys.bounce, keys.manifest, keys.zip) == ("jobs/j-1/v2.wav", "jobs/j-1/v2.json", "jobs/j-1/v2.zip")
    assert keys.midi == "jobs/j-1/v2.mid"


def test_an_attempt_has_keys_of_its_own() -> None:
    """No two attempts share a key; callers see the same names; the key tells version and attempt."""
    first, second = (VersionKeys.of_attempt("j-1", 2, 3) for _ in range(2))
    assert not set(first.all) & set(second.all)
    assert [public_key(key) for key in first.all] == list(VersionKeys("j-1", 2).all)
    assert {attempt_of(key) for key in first.all} == {(2, 3)}
    assert attempt_of("jobs/j-1/v2.zip") is None
    assert first.file("zip") == first.zip
    assert public_key(f"studio/{first.zip}") == "studio/jobs/j-1/v2.zip"
