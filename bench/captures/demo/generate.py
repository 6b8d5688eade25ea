#!/usr/bin/env python3
"""Writes events.ndjson.zst, the demo capture, beside this file; the same bytes of NDJSON each time.

    python3 generate.py            # needs Python 3.9 or newer and the zstd command

`capture.toml` describes what is made here, and `docs/demo.md` the format.
"""

import hashlib
import json
import pathlib
import random
import subprocess
import sys

import attack
import background
from vendors import Vendors

SEED = 1383  # the year in which Jacquemart came to Dijon
DURATION_MS = 30_000
BENIGN = 7_000


def benign(r, hosts, phones):
    """(at_ms, None, feed, record) of the working day."""
    rng = r.rng
    names, weights = list(background.WEIGHTS), list(background.WEIGHTS.values())
    controllers = hosts["dijon-metropole"][-2:]
    for commune, record in background.lookalikes(r, hosts):
        yield rng.randrange(DURATION_MS), None, f"{commune}-endpoints", record
    for _ in range(BENIGN):
        at_ms, commune = rng.randrange(DURATION_MS), rng.choices(names, weights)[0]
        if rng.random() < 0.01:
            everyone = [host for each in hosts.values() for host in each]
            yield at_ms, None, "metropole-sentinelone", background.console(r, everyone)
        elif rng.random() < 0.08:
            yield at_ms, None, f"{commune}-phones", background.phone(r, rng.choice(phones[commune]))
        elif background.COMMUNES[commune][4] == "windows":
            host = rng.choice(controllers if commune == "dijon-metropole" and rng.random() < 0.4 else hosts[commune])
            record = background.windows(r, host, commune == "talant", controllers)
            yield at_ms, None, f"{commune}-endpoints", record
        else:
            yield at_ms, None, f"{commune}-endpoints", background.funnel(r, rng.choice(hosts[commune]))


def main():
    r = Vendors(random.Random(SEED))
    hosts, phones = background.estate(r.rng)
    lines = [
        (at_ms, number, {"at_ms": at_ms, "feed": feed, "stage": stage, "record": record})
        for number, (at_ms, stage, feed, record) in enumerate([*benign(r, hosts, phones), *attack.events(r)])
    ]
    lines.sort(key=lambda line: line[:2])
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for *_, line in lines)
    out = pathlib.Path(__file__).with_name("events.ndjson.zst")
    subprocess.run(["zstd", "-19", "-q", "-f", "-o", out], input=text.encode(), check=True)
    stages = sum(1 for *_, line in lines if line["stage"])
    print(f"{len(lines)} events, {stages} of them of the attack, {len(text.encode()) / 1e6:.1f} MB,"
          f" sha256 {hashlib.sha256(text.encode()).hexdigest()}, {out.stat().st_size / 1e6:.2f} MB compressed",
          file=sys.stderr)


if __name__ == "__main__":
    main()
