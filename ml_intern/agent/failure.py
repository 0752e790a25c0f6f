"""What a failure is, with everything folded away that varies between two tries of the same mistake.

Knows nothing of loops: two texts with one signature are the same failure.
"""

from __future__ import annotations

import re

_MAX_CHARS = 300
# What changes by itself from one moment to the next, and says nothing about what was done.
_VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([.,]\d+)?(Z|[+-]\d\d:?\d\d)?"), "TIME"),
    (
        re.compile(
            r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w* (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\w* +\d+[ \d:]*"
        ),
        "TIME",
    ),
    (re.compile(r"\b\d\d?:\d\d:\d\d([.,]\d+)?\b"), "TIME"),
    (re.compile(r"\b(1[5-9]\d{8}|2\d{9})(\.\d+)?\b"), "TIME"),  # seconds since the epoch
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "HEX"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b[a-z]?(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{10,}\b"), "ID"),
    (re.compile(r"(?i)\b(pid|process|thread|port|seed|job|run|task|worker)([ =:#\[(]+)\d+"), r"\1\2N"),
    (re.compile(r"(/tmp|/var/folders|/private/var|/dev/shm)(/[\w.\-]+)+"), "TEMPORARY"),
    (re.compile(r"\btmp[\w]{6,}\b"), "TEMPORARY"),
    (re.compile(r"\bread_output with id \d+"), "read_output"),
    (re.compile(r"\b(in|took|after|elapsed:?) \d+(\.\d+)? ?(s|ms|seconds|sec|min|minutes)\b"), r"\1 TIME"),
)
_ERROR_LINE = re.compile(
    r"^(?:[\w.]*\.)?[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Warning)\b.*|^\w*error\b:.*|^.*: (?:fatal )?error: .*",
    re.IGNORECASE,
)
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line \d+, in (?P<function>\S+)')
_EXIT_0 = re.compile(r"^exit code 0 [^\n]*\n(?:[^\n<]+\n)*<output>\n(?P<output>.*?)\n</output>", re.DOTALL)
_TRACEBACK = re.compile(r"^\s*Traceback \(most recent call last\):", re.MULTILINE)
_ENDS_TRACEBACK = re.compile(
    r"(?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Interrupt|Exit|OutOfMemory)\w*(?::(?P<message>.*))?"
)
_SAYS_WHY = re.compile(r"(?!\s*[-+]?(?:\.?\d|nan\b|inf\b)).*[^\W\d_]{2}", re.IGNORECASE)  # words, not a number
# What still belongs to a failure behind its traceback: more of the message, and what a shell says of its end.
_BEHIND_IT = re.compile(r"\s|$|.*(\b(exit|status|code|rc)\b|fail|cuda|abort|killed)", re.IGNORECASE)
_BEHIND_AT_MOST = 8  # lines
_PATH = re.compile(r"(?:/[\w.\-+]+){2,}")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def without_volatile(text: str) -> str:
    """`text` with times, process ids, seeds, addresses and temporary paths replaced by their kind."""
    for pattern, name in _VOLATILE:
        text = pattern.sub(name, text)
    return text


def failure_signature(text: str) -> str:
    """Exception type, last own frame and message, with numbers and paths folded; at most 300 characters."""
    message = _message(text)
    folded = _PATH.sub("PATH", without_volatile(message))
    frame = _last_own_frame(text)
    return f"{_NUMBER.sub('N', folded)}{f' in {frame}' if frame else ''}"[:_MAX_CHARS]


def failure_detail(text: str) -> str:
    """The message with its numbers kept: what tells a sweep's failures apart."""
    return without_volatile(_message(text))[:_MAX_CHARS]


def is_masked(text: str) -> bool:
    """Whether a command's result says exit code 0 and its output ends in a traceback, or in the last line of one: a
    pipe or `|| true` hid it. `MeanSquaredError: 0.1 at best` is none."""
    found = _EXIT_0.match(text)
    lines = found["output"].splitlines() if found else []
    for place in range(len(lines) - 1, max(-1, len(lines) - 2 - _BEHIND_AT_MOST), -1):
        if end := _ENDS_TRACEBACK.fullmatch(lines[place]):
            says_why = _SAYS_WHY.match(end["message"] or "") is not None
            is_one = says_why or _TRACEBACK.search("\n".join(lines[:place])) is not None
            return is_one and all(_BEHIND_IT.match(line) for line in lines[place + 1 :])
    return False


def _message(text: str) -> str:
    """The line that says what went wrong: the last that looks like an error, else the last that is not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _ERROR_LINE.match(line)]
    if telling:
        return telling[-1]
    return lines[0] if lines and lines[0].startswith("FAILED") else (lines[-1] if lines else "")


def _last_own_frame(text: str) -> str:
    """`file:function` of the innermost frame that is not inside an installed package."""
    frames = [match for line in text.splitlines() if (match := _FRAME.match(line))]
    own = [f for f in frames if "site-packages" not in f["file"] and "/lib/python" not in f["file"]]
    if not own:
        return ""
    return f"{own[-1]['file'].rsplit('/', 1)[-1]}:{own[-1]['function']}"
