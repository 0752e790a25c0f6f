"""Becomes a shell that carries out a file: how a command runs in a sandbox, each of which starts a Python script.

Knows nothing of this package; it stands alone in its folder, since a script sees what lies beside it.
"""

import os
import shutil
import signal
import sys
from pathlib import Path


def main() -> None:
    """`python shell.py FILE`."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what it starts would too
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    shell = shutil.which("bash") or "/bin/sh"
    os.execv(shell, [shell, sys.argv[1]])  # noqa: S606


if __name__ == "__main__":
    main()
