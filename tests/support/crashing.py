"""The command line with a scripted model in it, killed by SIGKILL at a chosen boundary.

`python -m tests.support.crashing KILL_AT ARGUMENTS…`: a place, by number or name (`boundaries.py`). 0 never kills,
and says on stderr how many there were.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from ml_intern.llm.protocol import Reply, Request, ToolCall, Usage
from tests.support.boundaries import Boundaries
from tests.support.light import SCRIPTS

CLAIM: dict[str, Any] = {
    "statement": "A zebra is more accurate than an okapi.",
    "quote": "A zebra that sees all six features is more accurate than an okapi, which sees one.",
    "anchor": "sec:1/par:1", "kind": "direction", "method": "zebra", "baseline": "okapi", "metric": "accuracy",
    "higher_is_better": True,
}  # fmt: skip
EXPERIMENT: dict[str, Any] = {
    "id": "zoo", "title": "zebra against okapi",
    "data": {"name": "made up", "revision": "data.py", "inputs": ["x"], "label": "y"},
    "variants": [{"name": "zebra", "settings": {"features": 6}}, {"name": "okapi", "settings": {"features": 1}}],
    "seeds": {"explore": 0, "confirm": 2, "extra": 0},
    "metrics": [{"name": "accuracy"}],
    "select": {"name": "accuracy", "rows": "validation"}, "select_higher_is_better": True,
    "tests": [{"claim": "C1", "kind": "direction", "metric": {"name": "accuracy"}, "higher_is_better": True,
               "contrast": {"zebra": 1, "okapi": -1}, "minimal_effect": 0.05}],
    "setting": "analogue",
}  # fmt: skip
PAPER = r"""\documentclass{article}\title{Zebras and Okapis}\begin{document}
\section{Results}
A zebra that sees all six features is more accurate than an okapi, which sees one.
\end{document}
"""


class ZooModel:
    """Says the same to the same conversation, so that a resumed run can be compared with an undisturbed one."""

    id = "openai/zoo"
    context_chars = 1_000_000

    def ceiling(self, request: Request) -> int:
        return 1000

    def complete(self, request: Request) -> Reply:
        usage = Usage(input_tokens=10, output_tokens=10, cost_usd=0.0005)
        answers = {"claims": {"claims": [CLAIM]}, "plan": {"experiments": [EXPERIMENT], "left_out": []}}
        if request.answer_name:
            return Reply(content=json.dumps(answers[request.answer_name]), usage=usage)
        if not request.tools:
            return Reply(content="The zebra won here.", usage=usage)
        turns = [message for message in request.messages if message.role == "assistant"]
        scripts = SCRIPTS | {"train.py": os.environ.get("ZOO_TRAIN") or SCRIPTS["train.py"]}
        files = [("write_file", {"path": name, "content": text}) for name, text in scripts.items()]
        asked = {"question": "Should it see the stripes?", "meanwhile": "it sees them"}
        tries = [("read_file", {"path": "train.py"}), ("ask_person", asked), ("smoke_run", {})]
        script = [files, tries, [("finish", {"note": "done"})]]
        calls = [
            ToolCall(id=f"{len(turns)}-{place}", name=name, arguments=json.dumps(arguments))
            for place, (name, arguments) in enumerate(script[min(len(turns), 2)])
        ]
        return Reply(tool_calls=tuple(calls), usage=usage)


def crash_at(kill_at: int | str, arguments: list[str], places: Path | None = None) -> None:
    """Runs the command line in this process. `places`: where the names of all boundaries go at its end."""
    from ml_intern.cli import common
    from ml_intern.cli import main as command_line

    common.open_model = lambda *_, **__: ZooModel()  # type: ignore[assignment]
    boundaries = Boundaries(kill_at, Path(os.environ["ML_INTERN_HOME"]))
    boundaries.install()
    sys.argv = ["ml-intern", *arguments]
    try:
        command_line.main()
    finally:
        sys.stderr.write(f"boundaries: {len(boundaries.names)}\n")
        if places:
            boundaries.tell(places)


if __name__ == "__main__":
    crash_at(int(sys.argv[1]) if sys.argv[1].isdigit() else sys.argv[1], sys.argv[2:])
