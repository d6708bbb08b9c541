"""Writes pictures of each page for browsers to build/web-pictures: ``scripts/web_pictures.py``, after ``make web``.

The upper parts of two of them are those of the documentation, docs/img/web-*.webp. It starts both services with the starter models,
renders a take with stems and renders its vocals again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from sonichaos_client import Client, Stem

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "web-pictures"
IMAGES = ROOT / "docs" / "img"
SHOWN = {"web-take": ("take-dark", 1036), "web-compose": ("compose-light", 900)}
"""The pictures of the documentation: which page, and how much of its height in pixels."""
PROMPT = "slow dusty boom bap, warm bass, mellow piano, a voice that hums"
PERSONAS = ("neon-drift", "harbour-brass")


def main() -> None:
    """Start, render, take the pictures, stop."""
    _write_pictures()
    for name, (page, height) in SHOWN.items():
        with Image.open(OUT / f"{page}.png") as whole:
            whole.convert("RGB").crop((0, 0, whole.width, height)).save(IMAGES / f"{name}.webp", quality=88, method=6)


def _write_pictures() -> None:
    with tempfile.TemporaryDirectory() as data:
        listen = [f"--{name}-listen=127.0.0.1:0" for name in ("render", "separation", "url", "web")]
        command = [str(Path(sys.executable).parent / "sonichaos"), "up", "--web", "--json", "--data", data, *listen]
        services = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            ready = next(found for found in map(json.loads, services.stdout or ()) if "ready" in found)
            with Client(ready["renderAddress"], ready["separationAddress"]) as client:
                _make_takes(client)
            stack = {"url": ready["page"], "control": "", "personas": PERSONAS, "out": str(OUT)}
            subprocess.run(
                ["npm", "run", "--silent", "test:browser", "--", "pictures.spec.ts"],
                cwd=ROOT / "clients" / "web",
                env={**os.environ, "SONICHAOS_PAGE_TEST": json.dumps(stack)},
                check=True,
            )
        finally:
            services.send_signal(signal.SIGTERM)
            services.wait()


def _make_takes(client: Client) -> None:
    """Two takes; one of them has two versions."""
    client.wait(client.create_render(prompt="house loop, bright and driving", persona_id=PERSONAS[0], seconds=8))
    take = client.wait(client.create_render(prompt=PROMPT, persona_id=PERSONAS[0], seed=7, seconds=16, stems=True))
    client.wait(client.rerender_stem(take.job_id, Stem.VOCALS, persona_id=PERSONAS[1], seed=1, allow_drift=True))


if __name__ == "__main__":
    main()
