"""How long does `import kerascv_course` take, beside an interpreter that imports nothing?

Run: python benchmarks/import_time.py
"""

import statistics
import subprocess
import sys
import time

RUNS = 11


def seconds(statement: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - started


def main() -> None:
    pairs = [(seconds("import kerascv_course"), seconds("pass")) for _ in range(RUNS)]
    with_import, without = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"interpreter {without:.3f} s, with the import {with_import:.3f} s: {with_import - without:.3f} s for it"
    )


if __name__ == "__main__":
    main()
