"""Packages of a layer run where the script runs, never in what builds its walls."""

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from ml_intern.run.selfcheck import ISOLATING
from ml_intern.run.spec import RunSpec
from tests.support.compute import require, shared_compute

# Loaded into every program that is started with LD_PRELOAD.
LIBRARY = """
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void begin(void) {
    const char *places[] = {"%s", "ran"};
    for (int n = 0; n < 2; n++) {
        int file = open(places[n], O_WRONLY | O_APPEND | (n ? O_CREAT : 0), 0666);
        if (file >= 0 && write(file, "x", 1)) close(file);
    }
}
"""


@pytest.mark.parametrize("kind", ISOLATING)  # with a layer no start is warm
def test_what_a_layer_names_for_every_program_is_loaded_inside_alone(kind: str, tmp_path: Path) -> None:
    require(kind)
    if shutil.which("cc") is None:
        pytest.skip("there is no compiler")
    layer, victim = tmp_path / "layer", tmp_path / "victim"
    victim.write_text("")
    victim.chmod(0o666)
    for folder in (layer, tmp_path / "s"):
        folder.mkdir()
    (layer / "begin.c").write_text(LIBRARY % victim)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", layer / "begin.so", layer / "begin.c"], check=True, timeout=60)
    planted = f"import contextlib\nwith contextlib.suppress(OSError): open({str(victim)!r}, 'a').write('y')\n"
    (layer / "sitecustomize.py").write_text(planted)
    (tmp_path / "s" / "s.py").write_text("import os, sitecustomize\nprint(os.path.exists('ran'))")
    spec = RunSpec(
        run_id="r",
        script=tmp_path / "s" / "s.py",
        arguments=(),
        cwd=tmp_path / "cwd",
        log=tmp_path / "log.txt",
        reads=(layer,),
        environment={"LD_PRELOAD": str(layer / "begin.so"), "PYTHONPATH": str(layer)},
    )
    result = shared_compute(kind).execute(spec, threading.Event())
    assert (result.outcome, result.tail) == ("ok", "True\n")
    assert victim.read_text() == ""
