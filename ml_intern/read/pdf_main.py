"""`pdf_main.py PDF SOURCE OUT`: reads one PDF in a process of its own, so that a hostile one can be kept in a sandbox.

OUT gets {"paper": …} or {"error": [what, why, next]}.
"""

import sys

# Started as a script: this folder, whose files are named like the standard library's, must not be searched first.
sys.path[0] = __file__.rsplit("/", 3)[0]

import gc  # noqa: E402
import json  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from ml_intern.errors import PaperError  # noqa: E402
from ml_intern.read.paper import Source  # noqa: E402
from ml_intern.read.pdf import read_pdf  # noqa: E402


def main(pdf: str, source: str, out: str) -> None:
    gc.freeze()  # what is imported stays
    gc.set_threshold(50_000, 20, 20)  # a page is many thousand small objects, hardly any of them garbage
    answer: dict[str, Any]
    try:
        paper = read_pdf(Path(pdf).read_bytes(), Source.model_validate_json(source))
        answer = {"paper": paper.model_dump(mode="json")}
    except PaperError as error:
        answer = {"error": [error.what, error.why, error.next]}
    Path(out).write_text(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
