"""What is fetched for scripts: at exact commits, known before, read-only, checked; and never by the scripts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_intern.errors import MlInternError
from ml_intern.run.resources import packages
from ml_intern.run.resources.broker import Broker
from ml_intern.run.resources.resource import Resource, ResourceError
from ml_intern.run.resources.store import Store, digest_of
from tests.support.hub import StandInHub, serve_hub
from tests.support.wheels import make_source, make_wheel

MODEL = {"model.safetensors": b"weights", "pytorch_model.bin": b"pickle" * 9, "config.json": b"{}", "README.md": b"# x"}


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with serve_hub() as served:
        yield served


def broker(hub: StandInHub, folder: Path, most: int = 10_000) -> Broker:
    return Broker(Store(folder / "store"), most, hub.site)


def test_a_branch_is_pinned_to_its_commit_with_size_and_licence_and_without_other_weights(
    hub: StandInHub, tmp_path: Path
) -> None:
    repository = hub.create("model", "ada/tiny", MODEL, licence="apache-2.0")
    pinned = broker(hub, tmp_path).pin(Resource(name="base", kind="model", id="ada/tiny", revision="main"))
    assert pinned.revision == repository.branches["main"]
    assert (pinned.bytes, pinned.licence, pinned.is_pinned) == (7 + 2 + 3, "apache-2.0", True)
    assert "apache-2.0" in pinned.shown
    assert not [path for path in hub.asked if "/resolve/" in path]  # nothing was fetched for it


def test_what_is_fetched_is_the_pinned_commit_although_the_branch_went_on(hub: StandInHub, tmp_path: Path) -> None:
    repository = hub.create("dataset", "ada/rows", {"data/rows.csv": b"a,b\n1,2\n"})
    pinned = broker(hub, tmp_path).pin(Resource(name="rows", kind="dataset", id="ada/rows"))
    repository.commit({"data/rows.csv": b"a,b\n9,9\n"})
    provided = broker(hub, tmp_path).provide([pinned], (), tmp_path / "links")
    assert provided.datasets is not None
    assert (provided.datasets / "rows" / "data" / "rows.csv").read_bytes() == b"a,b\n1,2\n"
    assert provided.reads == ()  # a data set holds the sealed labels: nothing but data.py may see it
    assert set(provided.data_reads) == {provided.datasets, *provided.dataset_paths}


def test_the_limit_of_this_machine_holds_for_what_was_pinned_on_another(hub: StandInHub, tmp_path: Path) -> None:
    hub.create("model", "ada/tiny", MODEL)
    pinned = broker(hub, tmp_path).pin(Resource(name="base", kind="model", id="ada/tiny"))
    small = broker(hub, tmp_path, most=pinned.bytes - 1)
    for stated in (pinned.bytes, 1):  # a plan may say what it likes
        with pytest.raises(ResourceError, match="is too large"):
            small.provide([pinned.model_copy(update={"bytes": stated})], (), tmp_path / "links")
    assert not [path for path in hub.asked if "/resolve/" in path]
    assert broker(hub, tmp_path, most=pinned.bytes).provide([pinned], (), tmp_path / "links").models
    assert small.provide([pinned], (), tmp_path / "links").models, "what is at hand is not downloaded"


def test_a_second_session_fetches_nothing_and_needs_no_network(hub: StandInHub, tmp_path: Path) -> None:
    hub.create("model", "ada/tiny", MODEL)
    pinned = broker(hub, tmp_path).pin(Resource(name="base", kind="model", id="ada/tiny"))
    first = broker(hub, tmp_path).provide([pinned], (), tmp_path / "one")
    asked = len(hub.asked)
    second = broker(hub, tmp_path).provide([pinned], (), tmp_path / "two")
    assert len(hub.asked) == asked
    assert first.digest == second.digest != ""


def test_what_somebody_changed_in_the_store_is_fetched_anew(hub: StandInHub, tmp_path: Path) -> None:
    hub.create("model", "ada/tiny", MODEL)
    pinned = broker(hub, tmp_path).pin(Resource(name="base", kind="model", id="ada/tiny"))
    provided = broker(hub, tmp_path).provide([pinned], (), tmp_path / "one")
    poisoned = provided.model_paths[0] / "model.safetensors"
    poisoned.chmod(0o644)
    poisoned.write_bytes(b"poison!")
    again = broker(hub, tmp_path).provide([pinned], (), tmp_path / "two")
    assert (again.model_paths[0] / "model.safetensors").read_bytes() == b"weights"
    assert again.digest == provided.digest


def test_nothing_in_the_store_can_be_written_by_accident(hub: StandInHub, tmp_path: Path) -> None:
    hub.create("model", "ada/tiny", MODEL)
    pinned = broker(hub, tmp_path).pin(Resource(name="base", kind="model", id="ada/tiny"))
    place = broker(hub, tmp_path).provide([pinned], (), tmp_path / "one").model_paths[0]
    assert {path.stat().st_mode & 0o222 for path in place.rglob("*")} == {0}
    assert digest_of(place) == place.name


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        ({"id": "ada/none"}, "There is no model ada/none"),
        ({"id": "ada/gated"}, "is gated"),
        ({"id": "ada/tiny", "revision": "gone"}, "no revision 'gone'"),
        ({"id": "ada/tiny", "files": ("*.onnx",)}, "no file that is wanted"),
        ({"id": "ada/large"}, "too large"),
    ],
)
def test_what_cannot_be_had_is_said_in_words(
    hub: StandInHub, tmp_path: Path, resource: dict[str, str], words: str
) -> None:
    hub.create("model", "ada/tiny", MODEL)
    hub.create("model", "ada/gated", MODEL, gated=True)
    hub.create("model", "ada/large", {"model.safetensors": bytes(10_001)})
    with pytest.raises(ResourceError, match=words):
        broker(hub, tmp_path).pin(Resource.model_validate({"name": "x", "kind": "model", **resource}))


def test_a_hub_that_cannot_be_reached_is_said_in_words(tmp_path: Path) -> None:
    away = Broker(Store(tmp_path), 1000, "http://127.0.0.1:9")
    with pytest.raises(ResourceError, match="cannot be fetched"):
        away.pin(Resource(name="x", kind="model", id="ada/tiny"))


def test_a_file_that_comes_shorter_than_it_was_said_to_be_is_not_kept(hub: StandInHub, tmp_path: Path) -> None:
    hub.create("model", "ada/tiny", MODEL)
    pinned = broker(hub, tmp_path).pin(Resource(name="base", kind="model", id="ada/tiny"))
    hub.lies["model.safetensors"] = b"short"
    with pytest.raises(MlInternError):
        broker(hub, tmp_path).provide([pinned], (), tmp_path / "one")
    assert list((tmp_path / "store" / "objects").iterdir()) == []


@pytest.mark.parametrize("id", ["../etc", "a/b/c", "a b", "", "a--b/c", "/abs"])
def test_what_is_no_repository_is_no_resource(id: str) -> None:
    with pytest.raises(ValueError, match="repository"):
        Resource(name="x", kind="model", id=id)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wheels"
    make_wheel(
        folder,
        "plantedsum",
        "1.2",
        {"plantedsum.py": "import plantedbase\ntotal = plantedbase.one + 1\n"},
        ("plantedbase",),
    )
    make_wheel(folder, "plantedbase", "0.3", {"plantedbase.py": "one = 1\n"})
    make_source(folder, "plantedsource", "1.0", "open('/tmp/ml-intern-planted', 'w')\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    return folder


def test_packages_come_with_what_they_need_pinned_by_hash_in_a_layer_of_their_own(wheels: Path, tmp_path: Path) -> None:
    local = Broker(Store(tmp_path / "store"), 10_000)
    pinned = local.pin_packages(("plantedsum==1.2",))
    assert [one.split(" ")[0] for one in pinned] == ["plantedbase==0.3", "plantedsum==1.2"]
    assert all("--hash=sha256:" in one for one in pinned)
    assert local.pin_packages(pinned) == pinned
    provided = local.provide([], pinned, tmp_path / "links")
    environment = {**os.environ, **provided.environment}
    ran = subprocess.run(
        [sys.executable, "-s", "-c", "import plantedsum; print(plantedsum.total)"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.stdout == "2\n"
    with pytest.raises(ModuleNotFoundError):
        __import__("plantedsum")  # not in the harness


def test_size_and_licence_of_a_wheel_are_known_before_it_is_fetched_and_the_most_is_kept_to(
    wheels: Path, tmp_path: Path
) -> None:
    size = (wheels / "plantedbase-0.3-py3-none-any.whl").stat().st_size
    (pinned,) = Broker(Store(tmp_path / "store"), size).pin_packages(("plantedbase==0.3",))
    assert pinned.endswith(f" # {size} bytes, licence not said")
    assert packages.shown(pinned) == "plantedbase==0.3, 0.0 MB, licence not said"
    smaller = Broker(Store(tmp_path / "store"), size - 1)
    with pytest.raises(ResourceError, match=r"larger than allowed: plantedbase==0\.3"):
        smaller.pin_packages(("plantedbase==0.3",))
    with pytest.raises(ResourceError, match="larger than allowed"):  # pinned where more was
        smaller.provide([], (pinned,), tmp_path / "links")
    of_before = pinned.split(" # ")[0]
    assert packages.shown(of_before) == "plantedbase==0.3"
    assert smaller.provide([], (of_before,), tmp_path / "links").lock == (of_before,)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"license_expression": "MIT"}, "MIT"),
        ({"classifier": ["License :: OSI Approved :: Apache Software License", "X :: Y"]}, "Apache Software License"),
        ({"license": "BSD\n\nCopyright \x1b[31m # ä" + "x" * 100}, ("BSD Copyright [31m # " + "x" * 100)[:60]),
        ({}, "not said"),
    ],
)
def test_a_licence_is_told_in_a_few_plain_characters(about: dict[str, object], said: str) -> None:
    download = {"url": "git+x", "archive_info": {"hashes": {"sha256": "0" * 64}}}
    locked = packages._locked({"metadata": {"name": "a", "version": "1", **about}, "download_info": download})
    assert locked == f"a==1 --hash=sha256:{'0' * 64} # size not said, licence {said}"
    assert packages.is_exact(locked) and packages.wheels((locked,)) == (locked.split(" # ")[0],)


# Does as uv does, with this Python's pip, and tells what it was asked.
UV = """#!PYTHON
import os, sys
words = sys.argv[1:]
open("TOLD", "a").write(" ".join(words) + "\\n")
if words[:2] == ["pip", "install"] and FAILS:
    open(words[words.index("--target") + 1] + "/half.py", "w").close()
    sys.exit("error: no index")
if words[:2] == ["pip", "install"]:
    skipped = {"--link-mode", "copy", "--python", sys.executable}
    words = ["install", *(word for word in words[2:] if word not in skipped)]
else:
    words = words[words.index("--python") + 2:]
os.execv(sys.executable, [sys.executable, "-I", "-m", "pip", *words])
"""


def with_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> Path:
    place, told = tmp_path / "bin" / "uv", tmp_path / "told"
    place.parent.mkdir()
    code = UV.replace("PYTHON", sys.executable).replace("TOLD", str(told)).replace("FAILS", str(fails))
    place.write_text(code)
    place.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place.parent}:{os.environ['PATH']}")
    return told


def test_uv_fetches_where_it_is_there_and_brings_pip_where_that_is_missing(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = with_uv(tmp_path, monkeypatch)
    monkeypatch.setattr(packages, "_has_pip", lambda: False)
    local = Broker(Store(tmp_path / "store"), 10_000)
    layer = local.provide([], local.pin_packages(("plantedbase==0.3",)), tmp_path / "links").layer
    assert layer is not None and (layer / "plantedbase.py").read_text() == "one = 1\n"
    asked, fetched = told.read_text().splitlines()
    assert asked.startswith(f"--quiet tool run pip --python {sys.executable} install") and "--dry-run" in asked
    assert fetched.startswith("pip install") and "--require-hashes" in fetched and "--link-mode copy" in fetched


def test_pip_fetches_what_uv_cannot_and_nothing_half_stays(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_uv(tmp_path, monkeypatch, fails=True)
    local = Broker(Store(tmp_path / "store"), 10_000)
    layer = local.provide([], local.pin_packages(("plantedbase==0.3",)), tmp_path / "links").layer
    assert layer is not None and (layer / "plantedbase.py").exists() and not (layer / "half.py").exists()


def test_without_pip_and_uv_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_has_pip", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ResourceError, match="neither pip in this environment nor uv") as refused:
        Broker(Store(tmp_path), 1000).pin_packages(("plantedbase==0.3",))
    assert "ensurepip" in refused.value.next


def test_a_layer_is_made_once(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = Broker(Store(tmp_path / "store"), 10_000)
    pinned = local.pin_packages(("plantedbase==0.3",))
    first = local.provide([], pinned, tmp_path / "one")
    monkeypatch.setattr(packages, "install", None)  # not asked again
    assert local.provide([], pinned, tmp_path / "two").layer == first.layer


def test_a_source_distribution_is_refused_and_its_setup_is_not_run(wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="cannot be had"):
        Broker(Store(tmp_path), 1000).pin_packages(("plantedsource==1.0",))
    assert not Path("/tmp/ml-intern-planted").exists()


def test_a_wheel_that_was_exchanged_after_approval_is_refused(wheels: Path, tmp_path: Path) -> None:
    local = Broker(Store(tmp_path / "store"), 10_000)
    pinned = local.pin_packages(("plantedbase==0.3",))
    make_wheel(wheels, "plantedbase", "0.3", {"plantedbase.py": "one = 'poison'\n"})
    with pytest.raises(ResourceError):
        local.provide([], pinned, tmp_path / "links")


def test_a_loose_requirement_is_refused_and_an_installed_one_needs_no_layer(tmp_path: Path) -> None:
    local = Broker(Store(tmp_path), 1000)
    for loose in ("numpy", "numpy>=1", "git+https://x/y", "--index-url=x", "./wheel.whl"):
        with pytest.raises(ResourceError, match="not exact"):
            local.pin_packages((loose,))
    import numpy

    assert local.pin_packages((f"numpy=={numpy.__version__}",)) == (f"numpy=={numpy.__version__}",)
    assert local.provide([], (f"numpy=={numpy.__version__}",), tmp_path / "links").layer is None
