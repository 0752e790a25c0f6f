"""The stand-in Hub, driven by the real client: each route and each fault, and what the client makes of it.

What the client does by itself (how often it asks again, which errors come through) is asserted here on purpose: whoever
writes uploads builds on it, and a new version of the client that differs shows here first.
"""

import gc
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    constants,
    file_download,
)
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import _detect_agent, _http

from tests.support.hub import Fault, ServedHub, User, serve_hub

ROOT = Path(__file__).parents[1]
ID = "ada/session"
NOISE = bytes(range(256)) * 4000  # a megabyte that is no text
BACKOFF = [1, 2, 4, 8, 8]  # what the client waits, where it asks again


@pytest.fixture
def hub() -> Iterator[ServedHub]:
    with serve_hub() as served:
        served.user("hf_write", "ada")
        served.user("hf_read", "ada", "read")
        served.user("hf_eve", "eve")
        yield served


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the client would have waited. Xet is off, as HF_HUB_DISABLE_XET=1 has it."""
    waited: list[float] = []
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    # Or the first request asks HF_ENDPOINT, whatever the `endpoint` of the call is.
    monkeypatch.setattr(_detect_agent, "_registry", {"standardEnvVars": [], "harnesses": {}})
    for module in (_http, file_download):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=waited.append))
    return waited


class Session:
    """A private data set with one commit, and how tests write to it."""

    def __init__(self, hub: ServedHub, cache: Path) -> None:
        self.hub, self.cache = hub, cache
        self.api = HfApi(endpoint=hub.site, token="hf_write")
        self.api.create_repo(ID, repo_type="dataset", private=True)
        self.repository = hub.repository("dataset", ID)
        self.commit(self.add("events.jsonl", b"{}\n"))
        hub.requests.clear()

    @staticmethod
    def add(name: str, data: bytes) -> CommitOperationAdd:
        return CommitOperationAdd(name, data)

    def commit(self, *operations: Any, **more: Any) -> str:
        done = self.api.create_commit(ID, operations, commit_message="Step", repo_type="dataset", **more)
        return str(done.oid)

    def download(self, name: str, **more: Any) -> bytes:
        path = self.api.hf_hub_download(ID, name, repo_type="dataset", cache_dir=self.cache, **more)
        return Path(path).read_bytes()

    def snapshot(self, **more: Any) -> Path:
        return Path(self.api.snapshot_download(ID, repo_type="dataset", cache_dir=self.cache, **more))


@pytest.fixture
def session(hub: ServedHub, tmp_path: Path) -> Session:
    return Session(hub, tmp_path / "cache")


def test_who_one_is_and_what_the_token_may_is_told(hub: ServedHub) -> None:
    api = HfApi(endpoint=hub.site)
    told = api.whoami(token="hf_read")
    assert (told["name"], told["auth"]["accessToken"]["role"]) == ("ada", "read")
    with pytest.raises(HfHubHTTPError, match="Invalid user token") as refused:
        api.whoami(token="hf_nobody")
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("kind", ["dataset", "model"])
def test_a_repository_is_created_private_once_and_deleted(hub: ServedHub, kind: str) -> None:
    api = HfApi(endpoint=hub.site, token="hf_write")
    made = api.create_repo(ID, repo_type=kind, private=True)
    assert (made.repo_id, made.repo_type) == (ID, kind)
    info = api.repo_info(ID, repo_type=kind)
    assert info.private is True
    assert info.sha == hub.repository(kind, ID).head
    assert api.list_repo_files(ID, repo_type=kind) == [".gitattributes"]
    with pytest.raises(HfHubHTTPError, match="already created") as taken:
        api.create_repo(ID, repo_type=kind, private=True)
    assert taken.value.response.status_code == 409
    assert api.create_repo(ID, repo_type=kind, exist_ok=True).repo_id == ID
    assert hub.repositories() == [(kind, ID)]
    api.delete_repo(ID, repo_type=kind)
    with pytest.raises(RepositoryNotFoundError):
        api.repo_info(ID, repo_type=kind)
    api.delete_repo(ID, repo_type=kind, missing_ok=True)


def test_what_a_token_may_not_is_refused_as_the_hub_refuses_it(session: Session) -> None:
    for unseeing in ("hf_eve", False):
        with pytest.raises(RepositoryNotFoundError):
            session.api.dataset_info(ID, token=unseeing)
        with pytest.raises(RepositoryNotFoundError):
            session.download("events.jsonl", token=unseeing)
    for writing, status in (("hf_read", 403), ("hf_nobody", 401)):
        with pytest.raises(HfHubHTTPError) as refused:
            session.commit(session.add("a.txt", b"a"), token=writing)
        assert refused.value.response.status_code == status
    for name, token, status in (("ada/new", "hf_read", 403), ("ada/new", "hf_eve", 403), ("ada/new", False, 401)):
        with pytest.raises(HfHubHTTPError) as refused:
            session.api.create_repo(name, token=token)
        assert refused.value.response.status_code == status
    assert session.api.dataset_info(ID, token="hf_read").private is True


def test_who_may_see_a_repository_can_change_by_the_client_and_from_the_side(session: Session) -> None:
    session.api.update_repo_settings(ID, repo_type="dataset", private=False)
    assert session.api.dataset_info(ID, token=False).private is False
    session.repository.show(private=True)
    assert session.api.dataset_info(ID).private is True
    session.api.auth_check(ID, repo_type="dataset")
    with pytest.raises(RepositoryNotFoundError):
        session.api.auth_check(ID, repo_type="dataset", token="hf_eve")


def test_an_organisation_is_written_to_by_its_members(hub: ServedHub) -> None:
    hub.user("hf_member", "bob", organisations=("lab",))
    HfApi(endpoint=hub.site, token="hf_member").create_repo("lab/model", private=True)
    assert hub.repositories() == [("model", "lab/model")]


def test_small_text_goes_in_the_commit_and_binary_or_large_or_named_files_go_to_lfs(session: Session) -> None:
    session.hub.most_regular = 1000
    session.commit(
        session.add("small.txt", "ä".encode() * 400),  # a sample may end within a character
        session.add("large.txt", b"x" * 1001),
        session.add("binary", b"\x00\xff"),
        session.add("deep/named.safetensors", b"text"),
    )
    entries = session.api.get_paths_info(ID, list(session.repository.files()), repo_type="dataset")
    assert {file.path for file in entries if isinstance(file, RepoFile) and file.lfs} == {
        "large.txt",
        "binary",
        "deep/named.safetensors",
    }
    assert session.hub.count("PUT /lfs/") == 3
    assert session.hub.received("PUT /lfs/") == 1001 + 2 + 4


def test_content_goes_up_once_and_what_is_the_same_makes_no_commit(session: Session) -> None:
    first = session.commit(session.add("a.bin", NOISE), session.add("a.txt", b"a"))
    assert session.hub.received("PUT /lfs/") == len(NOISE)
    assert session.commit(session.add("a.bin", NOISE), session.add("a.txt", b"a")) == first
    second = session.commit(session.add("b.bin", NOISE))
    assert session.hub.received("PUT /lfs/") == len(NOISE)
    assert (session.hub.count("/commit/"), session.repository.head) == (2, second)
    assert session.repository.files()["b.bin"] == NOISE


def test_an_object_that_never_came_is_noticed_before_the_commit(session: Session) -> None:
    session.hub.faults.refuse("PUT /lfs/", 200)  # says so, and stores nothing
    with pytest.raises(RuntimeError):
        session.commit(session.add("a.bin", NOISE))
    assert (session.hub.count("/verify"), session.hub.count("/commit/")) == (1, 0)


def test_files_and_folders_are_deleted_and_copied(session: Session) -> None:
    session.commit(*(session.add(name, name.encode()) for name in ("d/one.txt", "d/e/two.txt", "three.bin", "four.md")))
    session.commit(
        CommitOperationDelete("d/"),
        CommitOperationDelete("events.jsonl"),
        CommitOperationCopy("three.bin", "copied.bin"),
        CommitOperationCopy("four.md", "copied.md"),
    )
    files = session.repository.files()
    assert set(files) == {".gitattributes", "three.bin", "four.md", "copied.bin", "copied.md"}
    assert (files["copied.bin"], files["copied.md"]) == (b"three.bin", b"four.md")
    with pytest.raises(RemoteEntryNotFoundError, match="doesn't exist"):
        session.commit(CommitOperationDelete("nothing.txt"))


def test_a_folder_and_a_file_are_uploaded_without_what_is_ignored(session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "run").mkdir(parents=True)
    for name in ("a.txt", "run/weights.bin", "run/noise.log"):
        (folder / name).write_bytes(name.encode())
    (folder / ".gitignore").write_text("# those\n*.log\n")
    session.api.upload_folder(repo_id=ID, folder_path=folder, path_in_repo="kept", repo_type="dataset")
    session.api.upload_file(
        repo_id=ID, path_or_fileobj=folder / "a.txt", path_in_repo="b.txt", repo_type="dataset", revision="main"
    )
    files = session.repository.files()
    assert {"kept/a.txt", "kept/run/weights.bin", "kept/.gitignore", "b.txt"} <= set(files)
    assert session.hub.count("/commit/") == 2  # with Xet on, a folder may become several
    # A .gitignore counts only where it lies at the top of the commit.
    session.commit(session.add(".gitignore", b"*.log\n"), session.add("new.log", b"1"), session.add("new.txt", b"1"))
    assert {"new.txt", "new.log"} & set(session.repository.files()) == {"new.txt"}


def test_metadata_of_a_card_is_validated(session: Session) -> None:
    session.commit(session.add("README.md", b"---\nlicense: mit\n---\n# Card\n"))
    with pytest.raises(ValueError, match="Invalid metadata"):
        session.commit(session.add("README.md", b"---\nlicense: [\n---\n# Card\n"))


def test_trees_and_histories_come_in_pages_and_folders(session: Session) -> None:
    session.hub.page = 2
    for number in range(3):
        session.commit(session.add(f"runs/{number}/metrics.json", b"{}"), session.add("last", str(number).encode()))
    top = [entry.path for entry in session.api.list_repo_tree(ID, repo_type="dataset")]
    assert top == [".gitattributes", "events.jsonl", "last", "runs"]
    inside = [entry.path for entry in session.api.list_repo_tree(ID, "runs/1", recursive=True, repo_type="dataset")]
    assert inside == ["runs/1/metrics.json"]
    with pytest.raises(RemoteEntryNotFoundError):
        list(session.api.list_repo_tree(ID, "nowhere", repo_type="dataset"))
    history = session.api.list_repo_commits(ID, repo_type="dataset")
    assert [commit.title for commit in history] == ["Step"] * 4 + ["initial commit"]
    assert (history[0].commit_id, history[0].authors) == (session.repository.head, ["ada"])
    detailed = session.api.dataset_info(ID, files_metadata=True).siblings or []
    assert {file.rfilename: file.size for file in detailed}["events.jsonl"] == 3


def test_files_are_downloaded_at_a_commit_although_the_branch_went_on(session: Session) -> None:
    old = session.commit(session.add("w.bin", NOISE), session.add("sub/n.txt", b"old"))
    session.commit(session.add("w.bin", b"\0new"), session.add("sub/n.txt", b"new"))
    assert session.download("w.bin", revision=old) == NOISE
    assert session.download("sub/n.txt") == b"new"
    asked = len(session.hub.requests)
    assert session.download("w.bin", revision=old) == NOISE
    assert len(session.hub.requests) == asked  # a commit does not change
    folder = session.snapshot(revision=old)
    assert (folder / "sub" / "n.txt").read_bytes() == b"old"
    with pytest.raises(RevisionNotFoundError):
        session.snapshot(revision="gone")
    with pytest.raises(RemoteEntryNotFoundError):
        session.download("gone.txt")


def test_a_commit_on_a_parent_that_is_not_the_newest_is_refused_at_once(session: Session, waits: list[float]) -> None:
    before = session.repository.head
    aside = session.repository.commit_aside({"theirs.txt": b"1"})
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as conflict:
        session.commit(session.add("mine.txt", b"2"), parent_commit=before)
    assert (conflict.value.response.status_code, waits) == (412, [])
    session.commit(session.add("mine.txt", b"2"), parent_commit=aside)
    assert {"theirs.txt", "mine.txt"} <= set(session.repository.files())
    # What brings nothing new is never sent, so its parent is never compared.
    assert session.commit(session.add("mine.txt", b"2"), parent_commit=before) == session.repository.head


def test_somebody_else_commits_between_the_look_and_the_commit(session: Session) -> None:
    def theirs() -> str:
        return session.repository.commit_aside({"theirs.txt": b"1"}, deleted=["events.jsonl"])

    raced = session.hub.faults.before("/commit/", theirs)
    with pytest.raises(HfHubHTTPError) as conflict:
        session.commit(session.add("mine.txt", b"2"), parent_commit=session.repository.head)
    assert (conflict.value.response.status_code, raced.struck) == (412, 1)
    assert set(session.repository.files()) == {".gitattributes", "theirs.txt"}


def test_a_conflict_can_be_ordered_once(session: Session) -> None:
    fault = session.hub.faults.conflict()
    with pytest.raises(HfHubHTTPError, match="412"):
        session.commit(session.add("a.txt", b"1"))
    session.commit(session.add("a.txt", b"1"))
    assert (fault.struck, session.hub.count("/commit/")) == (1, 2)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_client_asks_again_for_uploads_and_never_for_commits(
    session: Session, waits: list[float], status: int
) -> None:
    after = 7 if status == 429 else None
    for route in ("/preupload/", "/objects/batch", "PUT /lfs/", "/objects/verify"):
        session.hub.faults.refuse(route, status, times=2, retry_after=after)
    fault = session.hub.faults.refuse("/commit/", status, retry_after=after)
    with pytest.raises(HfHubHTTPError) as refused:
        session.commit(session.add("a.bin", NOISE))
    assert (refused.value.response.status_code, fault.struck) == (status, 1)
    assert waits == [8, 8] * 4 if after else [1, 2] * 4
    assert session.hub.received("PUT /lfs/") == 3 * len(NOISE)


def test_the_client_gives_up_an_upload_after_six_times_and_wraps_the_error(
    session: Session, waits: list[float]
) -> None:
    fault = session.hub.faults.refuse("PUT /lfs/", 503, times=99)
    with pytest.raises(RuntimeError, match=r"a\.bin") as failed:
        session.commit(session.add("a.bin", NOISE))
    assert isinstance(failed.value.__cause__, HfHubHTTPError)
    assert (fault.struck, waits, session.hub.count("/commit/")) == (6, BACKOFF, 0)


def test_the_client_asks_once_where_it_only_reads_or_creates(session: Session, waits: list[float]) -> None:
    for route in ("repos/create", "/whoami", "/datasets/", "/validate-yaml"):
        session.hub.faults.refuse(route, 503, times=99)
    for call in (
        lambda: session.api.create_repo("ada/new", exist_ok=True),
        lambda: session.api.whoami(),
        lambda: session.api.dataset_info(ID),
        lambda: session.api.get_paths_info(ID, ["a"], repo_type="dataset"),
        lambda: session.api.list_repo_files(ID, repo_type="dataset"),
        lambda: session.commit(session.add("README.md", b"# x")),
    ):
        session.hub.requests.clear()
        with pytest.raises(HfHubHTTPError, match="503"):
            call()
        assert (len(session.hub.requests), waits) == (1, [])


def test_an_error_page_instead_of_json_is_another_error_where_metadata_is_validated(session: Session) -> None:
    session.hub.faults.refuse("/validate-yaml", 503, body=b"<html>")
    with pytest.raises(ValueError, match="Expecting value"):
        session.commit(session.add("README.md", b"# x"))


def test_an_upload_that_is_cut_is_sent_again_from_its_start(session: Session, waits: list[float]) -> None:
    fault = session.hub.faults.cut_upload("PUT /lfs/", after=len(NOISE) // 2)
    session.commit(session.add("a.bin", NOISE))
    cut, whole = session.hub.matching("PUT /lfs/")
    assert len(NOISE) // 2 <= cut.received < len(NOISE)
    assert (whole.received, fault.struck, waits) == (len(NOISE), 1, [1])
    session.hub.faults.cut_upload("PUT /lfs/", after=10, times=99)
    with pytest.raises(RuntimeError) as failed:
        session.commit(session.add("b.bin", NOISE[1:]))
    assert isinstance(failed.value.__cause__, httpx.TransportError)


@pytest.mark.parametrize("size", [100, 4_000_000])
def test_a_commit_that_is_cut_is_not_made_and_not_sent_again(session: Session, waits: list[float], size: int) -> None:
    before = session.repository.head
    session.hub.faults.cut_upload("/commit/", after=50)
    with pytest.raises(httpx.TransportError) as cut:
        session.commit(session.add("a.txt", b"x" * size))
    assert not isinstance(cut.value, (OSError, HfHubHTTPError))
    assert (session.repository.head, waits, session.hub.count("/commit/")) == (before, [], 1)


def test_a_commit_whose_answer_is_lost_is_made_and_seen_when_sent_again(session: Session) -> None:
    session.hub.faults.lose_answer("/commit/")
    with pytest.raises(httpx.RemoteProtocolError):
        session.commit(session.add("a.txt", b"once"))
    made = session.repository.head
    assert session.repository.files()["a.txt"] == b"once"
    assert session.commit(session.add("a.txt", b"once")) == made
    assert session.hub.count("/commit/") == 1


def test_a_download_that_is_cut_goes_on_after_its_last_whole_piece(
    session: Session, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert constants.DOWNLOAD_CHUNK_SIZE == 10 * 1024**2  # so anything smaller starts anew
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)
    session.commit(session.add("w.bin", NOISE))
    session.hub.faults.cut_download("GET /datasets/", after=300_000)
    assert session.download("w.bin") == NOISE
    assert [one.status for one in session.hub.matching("GET /datasets/")] == [200, 206]
    sent = sum(one.sent for one in session.hub.matching("GET /datasets/"))
    assert (sent, waits) == (len(NOISE), [1])


def test_a_download_that_is_reset_or_cut_always_leaves_no_file(session: Session, waits: list[float]) -> None:
    session.commit(session.add("w.bin", NOISE))
    session.hub.faults.cut_download("GET /datasets/", after=3000, reset=True)
    with pytest.raises(httpx.ReadError):
        session.download("w.bin")
    assert waits == []
    session.hub.faults.cut_download("GET /datasets/", times=99)
    with pytest.raises(httpx.RemoteProtocolError):
        session.download("w.bin")
    assert waits == [1] * 5
    assert not [path for path in session.cache.rglob("*") if path.is_file() and "blobs" in path.parts]


def test_a_file_without_metadata_or_a_snapshot_without_commit_looks_like_a_missing_local_file(
    session: Session, waits: list[float]
) -> None:
    head = session.hub.faults.refuse("HEAD /", 503, times=99)
    with pytest.raises(LocalEntryNotFoundError):
        session.download("events.jsonl")
    assert (head.struck, waits) == (7, BACKOFF)
    info = session.hub.faults.refuse("/revision/", 503, times=99)
    with pytest.raises(LocalEntryNotFoundError):
        session.snapshot()
    assert info.struck == 1


def test_a_slow_answer_passes_unless_the_caller_set_a_limit(session: Session) -> None:
    session.hub.faults.delay("GET /api/datasets/", 0.4, times=2)
    with pytest.raises(httpx.ReadTimeout):
        session.api.dataset_info(ID, timeout=0.1)
    assert session.api.dataset_info(ID).private is True


def test_what_comes_damaged_but_as_long_as_it_should_be_is_not_noticed_by_the_client(session: Session) -> None:
    session.commit(session.add("w.bin", NOISE))
    session.hub.lies["w.bin"] = NOISE[::-1]
    assert session.download("w.bin") == NOISE[::-1]
    session.hub.lies["events.jsonl"] = b"{}"
    with pytest.raises(OSError, match="Consistency"):
        session.hub.faults.before("GET /datasets/", lambda: session.hub.lies.update({"events.jsonl": b"{"}))
        session.download("events.jsonl")


def test_a_client_that_goes_away_in_the_middle_of_a_commit_has_made_none(session: Session) -> None:
    before = session.repository.head
    lines = (
        b'{"key": "header", "value": {"summary": "half"}}\n{"key": "deletedFile", "value": {"path": "events.jsonl"}}\n'
    )
    address = urlsplit(session.hub.site)
    with socket.create_connection((str(address.hostname), address.port)) as client:
        client.sendall(
            f"POST /api/datasets/{ID}/commit/main HTTP/1.1\r\nAuthorization: Bearer hf_write\r\n"
            f"Content-Length: {len(lines) + 10}\r\n\r\n".encode()
        )
        client.sendall(lines)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
    assert session.repository.head == before


def test_a_hub_that_dies_during_an_upload_keeps_what_was_whole(session: Session) -> None:
    session.hub.faults.order(Fault("PUT /lfs/", skip=1, cut_upload=1000, before=session.hub.stop))
    with pytest.raises(RuntimeError):
        session.commit(session.add("a.bin", NOISE), session.add("b.bin", NOISE[1:]), num_threads=1)
    session.hub.start()
    session.hub.requests.clear()
    session.commit(session.add("a.bin", NOISE), session.add("b.bin", NOISE[1:]))
    assert session.hub.count("PUT /lfs/") == 1
    assert session.repository.files()["b.bin"] == NOISE[1:]


def test_commits_that_come_together_are_all_kept(session: Session) -> None:
    def commit(number: int) -> str:
        return session.commit(session.add(f"{number}.txt", str(number).encode()))

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(commit, range(12)))
    assert len(set(made)) == 12
    assert len(session.repository.files()) == 12 + 2


def test_rights_that_are_withdrawn_and_faults_that_come_later_are_ordered(session: Session) -> None:
    fault = session.hub.faults.forbid("/commit/", skip=1)
    session.commit(session.add("a.txt", b"1"))
    with pytest.raises(HfHubHTTPError, match="required permissions"):
        session.commit(session.add("a.txt", b"2"))
    session.commit(session.add("a.txt", b"3"))
    assert fault.struck == 1
    session.hub.faults.refuse("/commit/", 503, times=99)
    session.hub.faults.clear()
    session.commit(session.add("a.txt", b"4"))


def test_a_hub_that_is_gone_refuses_connections_until_it_is_back_with_all_it_had(
    session: Session, waits: list[float]
) -> None:
    session.hub.stop()
    with pytest.raises(httpx.ConnectError):
        session.commit(session.add("a.txt", b"1"))
    assert waits == BACKOFF
    with pytest.raises(httpx.ConnectError):
        session.api.dataset_info(ID)
    with pytest.raises(LocalEntryNotFoundError):
        session.download("events.jsonl")
    session.hub.start()
    session.commit(session.add("a.txt", b"1"))
    assert session.download("events.jsonl") == b"{}\n"


def test_a_repository_can_be_read_when_its_hub_has_ended() -> None:
    with serve_hub() as hub:
        repository = hub.create("model", "ada/tiny", {"a.txt": b"1"})
    del hub
    gc.collect()
    assert repository.files() == {"a.txt": b"1"}
    folder = repository.folder
    del repository
    gc.collect()
    assert not folder.exists()


def test_a_server_in_another_place_sees_what_was_written_to_the_folder(tmp_path: Path) -> None:
    users = {"hf_write": User("ada")}
    with serve_hub(tmp_path / "kept", users) as first, serve_hub(tmp_path / "kept", users) as second:
        written = Session(first, tmp_path / "cache")
        api = HfApi(endpoint=second.site, token="hf_write")
        assert api.dataset_info(ID).sha == written.repository.head
        api.upload_file(path_or_fileobj=NOISE, path_in_repo="w.bin", repo_id=ID, repo_type="dataset")
        assert written.download("w.bin") == NOISE
    with serve_hub(tmp_path / "kept") as later:
        assert later.repository("dataset", ID).files()["w.bin"] == NOISE


IN_A_PROCESS = """
import huggingface_hub as hub
from pathlib import Path
assert hub.whoami()["name"] == "ada"
hub.create_repo("ada/work", repo_type="dataset", private=True)
folder = Path("folder")
(folder / "sub").mkdir(parents=True)
(folder / "sub" / "w.bin").write_bytes(bytes(100_000))
(folder / "log.jsonl").write_text("{}")
done = hub.upload_folder(repo_id="ada/work", folder_path=folder, repo_type="dataset")
assert Path(hub.hf_hub_download("ada/work", "sub/w.bin", repo_type="dataset")).stat().st_size == 100_000
there = Path(hub.snapshot_download("ada/work", repo_type="dataset", revision=done.oid))
assert (there / "log.jsonl").read_text() == "{}"
assert hub.HfFileSystem().ls("datasets/ada/work", detail=False) == [
    "datasets/ada/work/" + name for name in (".gitattributes", "log.jsonl", "sub")
]
print(done.oid)
"""


def test_a_process_needs_only_its_environment_to_use_the_stand_in(hub: ServedHub, tmp_path: Path) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment |= {"HF_ENDPOINT": hub.site, "HF_TOKEN": "hf_write", "HF_HOME": str(tmp_path / "home")}
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == hub.repository("dataset", "ada/work").head
    without = [request.line for request in hub.requests if not request.token]
    assert {line.split("/")[1] for line in without if "agent-harnesses" not in line} == {"lfs"}  # signed addresses
