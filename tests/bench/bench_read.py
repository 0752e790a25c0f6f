"""How long a paper takes to read, a PDF in the sandbox of a run: `python -m tests.bench.bench_read [PAPER …]`.

Without a paper: the e-print in examples/. The first reading pays for imports and is not counted.
"""

import statistics
import sys
import threading
import time
from pathlib import Path

from ml_intern.agent.pdf_inside import pdf_reader
from ml_intern.config import Config
from ml_intern.read.reader import read_paper
from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.selfcheck import choose

READINGS = 7
EXAMPLE = Path(__file__).parents[2] / "examples" / "papers" / "rescience-2021-periodic-functions.tar.gz"


def main(papers: list[str]) -> None:
    config = Config.from_environment()
    compute = LocalCompute(choose("auto", config.home), 1)
    read_pdf = pdf_reader(compute, config.cache / "read", threading.Event())
    print(f"sandbox: {compute.tier}")
    for name in papers:
        paper = read_paper(name, config, read_pdf)
        times = []
        for _ in range(READINGS):
            started = time.perf_counter()
            read_paper(name, config, read_pdf)
            times.append(time.perf_counter() - started)
        size = f"{paper.pages} pages" if paper.pages else f"{Path(name).stat().st_size / 1e3:.0f} KB"
        middle, slowest = statistics.median(times) * 1e3, max(times) * 1e3
        print(f"{Path(name).name}: {size}, median {middle:.0f} ms, slowest {slowest:.0f} ms")


if __name__ == "__main__":
    main(sys.argv[1:] or [str(EXAMPLE)])
