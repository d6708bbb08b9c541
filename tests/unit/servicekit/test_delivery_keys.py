"""Keys of a version's files (docs/contract.md, section 4)."""

from __future__ import annotations

from servicekit.delivery.keys import VersionKeys, job_folder


def test_the_original_lies_at_the_keys_of_the_contract() -> None:
    """v1: bounce.wav, v1.json, v1.mid, v1.zip and v1.latents.safetensors in the job's folder."""
    keys = VersionKeys("j-1", 1)
    assert (keys.folder, job_folder("j-1")) == ("jobs/j-1", "jobs/j-1")
    assert (keys.bounce, keys.manifest) == ("jobs/j-1/bounce.wav", "jobs/j-1/v1.json")
    assert (keys.zip, keys.latents) == ("jobs/j-1/v1.zip", "jobs/j-1/v1.latents.safetensors")
    assert keys.midi == "jobs/j-1/v1.mid"
    assert set(keys.all) == {keys.bounce, keys.manifest, keys.zip, keys.latents, keys.midi}


def test_a_rerender_lies_beside_the_original() -> None:
    """v2: v2.wav, v2.json, v2.mid and v2.zip."""
    keys = VersionKeys("j-1", 2)
    assert (keys.bounce, keys.manifest, keys.zip) == ("jobs/j-1/v2.wav", "jobs/j-1/v2.json", "jobs/j-1/v2.zip")
    assert keys.midi == "jobs/j-1/v2.mid"
