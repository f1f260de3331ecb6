"""Peak memory of ``headstart compare`` on a folder of photographs, and what ten times more learning rates add.

python benchmarks/memory.py PHOTOS --weights-dir WEIGHTS [--backbones mobilenet] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FEW = "1e-2,1e-3,1e-4"
MANY = ",".join(f"{10 ** -(1 + step / 10):.4g}" for step in range(30))


def peak_megabytes(arguments: list[str], folder: Path, out: str) -> float:
    """Return the largest resident memory of one whole run of the command line (Linux: kilobytes in ``wait4``)."""
    command = [sys.executable, "-m", "headstart.cli", "compare", *arguments, "--out", str(folder / out), "--quiet"]
    environment = {**os.environ, "HEADSTART_CACHE": str(folder / "cache")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"headstart compare ended with status {status}")
    return usage.ru_maxrss / 1024


def main() -> None:
    """Measure, print one table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("--weights-dir", required=True)
    parser.add_argument("--backbones", default="mobilenet")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/memory.json"))
    given = parser.parse_args()
    common = [given.photos, "--weights-dir", given.weights_dir, "--backbones", given.backbones]
    common += ["--no-logistic", "--learning-rates"]
    with tempfile.TemporaryDirectory() as name:
        results = {
            "3 rates, features computed": peak_megabytes([*common, FEW], Path(name), "first"),
            "3 rates, features cached": peak_megabytes([*common, FEW], Path(name), "few"),
            "30 rates, features cached": peak_megabytes([*common, MANY], Path(name), "many"),
        }
    for label, megabytes in results.items():
        print(f"{label:<30}{megabytes:>8,.0f} MiB")
    few, many = results["3 rates, features cached"], results["30 rates, features cached"]
    print(f"ten times more learning rates add {100 * (many / few - 1):.1f} %")
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
