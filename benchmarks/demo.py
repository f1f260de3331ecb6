"""`headstart demo` of ten seeds: the accuracy on the test images, and what the folds predict of it.

    python benchmarks/demo.py [--seeds 10]

A test outside its prediction of 99 %, or below 98 %, is marked.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from headstart import api

LEAST = 0.98


def main() -> None:
    """Print one line per seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    print(f"{'seed':>4}  {'right':>11}  {'test':>8}  {'predicted, 99 %':<16}{'repeated':>9}")
    for seed in range(parser.parse_args().seeds):
        with tempfile.TemporaryDirectory() as folder:
            found = api.demo(out=Path(folder) / "run", seed=seed).summary
        [final] = [one for one in found.finals if one.candidate == found.recommended]
        accuracy, expected, images = (
            final.test.accuracy,
            found.expected_test,
            sum(map(sum, final.test.confusion_matrix)),
        )
        assert expected is not None, "folds are scored at the end of training"
        odd = not expected.low <= accuracy <= expected.high or accuracy < LEAST
        span = f"{100 * expected.low:.1f} to {100 * expected.high:.1f}"
        right, mark = f"{round(accuracy * images)} of {images}", "  <--" if odd else ""
        print(f"{seed:>4}  {right:>11}  {accuracy:>8.2%}  {span:<16}{final.attempts - 1:>9}{mark}", flush=True)


if __name__ == "__main__":
    main()
