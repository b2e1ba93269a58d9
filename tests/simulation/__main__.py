"""Many histories, on all cores, or one of them told in full: see ``make simulate``."""

import argparse
import os
import sys
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.simulation.history import live_through

_CHUNK = 50
_LAST_LINES = 40


def main() -> int:
    """Let histories happen; tells how to repeat the first that goes wrong, and ends with 1 then."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first history's seed")
    parser.add_argument("--seed", type=int, help="tell this one history in full")
    asked = parser.parse_args()
    if asked.seed is not None:
        return _tell(asked.seed)
    return _many(asked.first, asked.histories)


def _many(first: int, count: int) -> int:
    began, done, shown = time.monotonic(), 0, 0
    runs, seconds = 0, 0.0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        last = first + count
        chunks = [pool.submit(_chunk, seed, min(_CHUNK, last - seed)) for seed in range(first, last, _CHUNK)]
        for chunk in as_completed(chunks):
            failed, so_many, more_runs, more_seconds = chunk.result()
            if failed is not None:
                pool.shutdown(wait=False, cancel_futures=True)
                _tell(failed, _LAST_LINES)
                return 1
            done, runs, seconds = done + so_many, runs + more_runs, seconds + more_seconds
            if done * 20 // count > shown:
                shown = done * 20 // count
                print(f"{done} of {count} histories, {time.monotonic() - began:.0f} s", flush=True)
    print(
        f"{runs} runs of the accounting CLI in {seconds / 86400:.1f} days of the world's own time: all well"
    )
    return 0


def _chunk(first: int, count: int) -> tuple[int | None, int, int, float]:
    runs, seconds = 0, 0.0
    for seed in range(first, first + count):
        try:
            told = live_through(seed)
        except Exception:  # noqa: BLE001 - told in full by whoever repeats it
            return seed, 0, 0, 0.0
        runs, seconds = runs + told.runs, seconds + told.seconds
    return None, count, runs, seconds


def _tell(seed: int, lines: int | None = None) -> int:
    history: deque[str] = deque(maxlen=lines)
    try:
        told = live_through(seed, history=history)
    except Exception as error:  # noqa: BLE001 - it is told of
        print("\n".join(history))
        print(f"\nHistory {seed} went wrong: {type(error).__name__}: {error}")
        print(f"All of it is told by: make simulate SEED={seed}")
        return 1
    print("\n".join(history))
    print(f"\nHistory {seed} went well: {told.runs} runs, {told.seconds:.0f} s of the world's own time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
