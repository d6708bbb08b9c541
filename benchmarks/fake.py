"""What the fake services cost: ``python -m benchmarks.fake [--takes 20]``. Prints the start and the processor time of takes."""

from __future__ import annotations

import argparse
import time

from sonichaos_client.testing.fake import ANY_PORT, FakeOptions, start_fake


def main() -> None:
    """Print one line for each kind of take. The client's share of the processor time is included."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--takes", type=int, default=20, help="how many of each length")
    takes = parser.parse_args().takes
    started_s = time.perf_counter()
    options = FakeOptions(render_listen=ANY_PORT, separation_listen=ANY_PORT, url_listen=ANY_PORT, speed=0.0)
    with start_fake(options) as fake, fake.client() as client:
        print(f"started in {1000 * (time.perf_counter() - started_s):.0f} ms")
        for seconds in (2.0, 30.0, 180.0):
            spent_ms = []
            for seed in range(takes):
                before_s = time.process_time()
                job = client.create_render(
                    prompt="slow", persona_id="neon-drift", seconds=seconds, seed=seed, stems=True
                )
                fake.skip(100)
                assert client.get_job(job.job_id).versions[0].files.HasField("zip")
                spent_ms.append(1000 * (time.process_time() - before_s))
            ordered = sorted(spent_ms)
            print(
                f"{seconds:g} s with stems: first {spent_ms[0]:.0f} ms, median {ordered[takes // 2]:.0f} ms, "
                f"maximum {ordered[-1]:.0f} ms of processor time"
            )


if __name__ == "__main__":
    main()
