"""A dataset repository of the Hugging Face Hub that holds uploaded sessions, through the Hub's own client.

A commit is whole or not at all, and is made on the state that was read, or refused: that is what a lease stands on.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from ml_intern.errors import SessionError
from ml_intern.session.belongings import Source
from ml_intern.session.sync.at_once import at_once
from ml_intern.session.sync.manifest import Manifest

DEFAULT_NAME = "ml-intern-sessions"
HALF = ".came"  # beneath where files come to: those that are not whole yet
_MANIFEST = "session.json"
_SMALL = 10_000_000  # bytes of a file that is fetched in one request
_AT_ONCE = 4
_TRIES = 4  # of a file whose connection breaks
_SILENCE = 60.0  # seconds
_PATIENCE = 20.0  # seconds of silence after which the Hub counts as out of reach: the client itself waits for ever


class Conflict(Exception):
    """Somebody else has committed since the state that this commit was made for."""


class SyncError(SessionError):
    """The Hub could not be reached, or refused. `passing`: the same may work a little later."""

    passing = True


class Remote:
    """`token`: None takes the one that the Hub's client finds (HF_TOKEN, or `hf auth login`)."""

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        from huggingface_hub import HfApi
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()  # it would draw over the live view
        self._api = HfApi(endpoint=endpoint, token=token, library_name="ml-intern")

    def full_name(self, repo: str) -> str:
        """`NAME/REPO`; without a name, the token's owner's. Raises SyncError."""
        if "/" in repo:
            return repo
        try:
            return f"{self._api.whoami()['name']}/{repo or DEFAULT_NAME}"
        except Exception as error:  # the client lets errors of its HTTP library through, which differs by version
            _fail("It is not known who you are on the Hub.", error, "Set HF_TOKEN to a token that may write.")

    def make(self, repo: str, public: bool) -> None:
        """The repository, where it is not there yet: private, unless `public`. One that is there and public is refused
        unless `public`. Raises SyncError."""
        try:
            info = self._info(repo)
            if info is None:
                self._api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
                return
        except Exception as error:
            _fail(f"The repository {repo} cannot be made.", error)
        _refuse_public(repo, info, public)

    def require_private(self, repo: str, public: bool = False) -> None:
        """Raises SyncError where it is there and public, unless `public`, and where that cannot be seen."""
        try:
            info = self._info(repo)
        except Exception as error:
            _fail(f"The repository {repo} cannot be read.", error)
        if info is not None:
            _refuse_public(repo, info, public)

    def head(self, repo: str) -> str:
        """The commit that main is at. Raises SyncError."""
        try:
            info = self._info(repo)
        except Exception as error:
            _fail(f"The repository {repo} cannot be read.", error)
        if info is None:
            error_ = SyncError(f"There is no dataset repository {repo}, or the token may not read it.")
            error_.passing = False
            raise error_
        return str(info.sha)

    def manifest(self, repo: str, session: str, revision: str) -> Manifest | None:
        """None where the session was never uploaded. Raises SyncError; SessionError where it is not one of this
        session, or names what does not belong to it."""
        from huggingface_hub.errors import RemoteEntryNotFoundError

        with tempfile.TemporaryDirectory() as folder:
            try:
                path = self._api.hf_hub_download(
                    repo, f"{session}/{_MANIFEST}", repo_type="dataset", revision=revision, local_dir=folder
                )
            except RemoteEntryNotFoundError:
                return None
            except Exception as error:
                _fail(f"The repository {repo} cannot be read.", error)
            try:
                found = Manifest.model_validate_json(Path(path).read_bytes())
            except ValidationError as error:
                raise SessionError(f"{repo}/{session}/{_MANIFEST} cannot be used.", str(error)[:500]) from None
            if found.session != session:
                raise SessionError(f"{repo}/{session}/{_MANIFEST} is that of another session, {found.session}.")
            return found

    def sessions(self, repo: str) -> list[str]:
        """Ids of the sessions in it. Raises SyncError."""
        try:
            names = self._api.list_repo_files(repo, repo_type="dataset")
        except Exception as error:
            _fail(f"The repository {repo} cannot be read.", error)
        return sorted({name.split("/")[0] for name in names if name.endswith(f"/{_MANIFEST}") and name.count("/") == 1})

    def fetch(self, repo: str, session: str, revision: str, files: Mapping[str, int], into: Path) -> None:
        """Files of a session: name beneath it to size in bytes, 0 where that is not known. One that stands in `into`
        has come whole, also where another could not be fetched. Raises SyncError."""
        small = [name for name, size in files.items() if size <= _SMALL]
        at_once(_AT_ONCE, lambda name: self._fetch_small(repo, session, revision, name, into), small)
        for name in files.keys() - {*small}:
            try:  # the client's own way asks twice for each, and goes on in the middle of a file
                got = self._api.hf_hub_download(
                    repo, f"{session}/{name}", repo_type="dataset", revision=revision, local_dir=into / HALF
                )
            except Exception as error:
                _fail(f"{name} of session {session} cannot be fetched.", error)
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            Path(got).replace(target)
        shutil.rmtree(into / HALF, ignore_errors=True)

    def _fetch_small(self, repo: str, session: str, revision: str, name: str, into: Path) -> None:
        target, half = into / name, into / HALF / hashlib.sha256(name.encode()).hexdigest()
        for place in (target, half):
            place.parent.mkdir(parents=True, exist_ok=True)
        for left in reversed(range(_TRIES)):
            try:
                self._get(repo, f"{session}/{name}", revision, half)
                break
            except Exception as error:
                if _status(error) or not left:  # an answer of the Hub's was waited for long enough already
                    _fail(f"{name} of session {session} cannot be fetched.", error)
                time.sleep(1)
        half.replace(target)

    def _get(self, repo: str, path: str, revision: str, into: Path) -> None:
        from huggingface_hub import hf_hub_url, utils

        client: Any = utils  # whose public names its types do not export
        url = hf_hub_url(repo, path, repo_type="dataset", revision=revision, endpoint=self._api.endpoint)
        headers = client.build_hf_headers(token=self._api.token, library_name="ml-intern")
        asked = {"headers": headers, "timeout": _SILENCE, "retry_on_exceptions": ()}
        with client.http_stream_backoff("GET", url, **asked) as response:
            client.hf_raise_for_status(response)
            with into.open("wb") as file:
                for chunk in response.iter_bytes():
                    file.write(chunk)

    def commit(
        self,
        repo: str,
        parent: str,
        session: str,
        manifest: Manifest,
        files: Mapping[str, Source],
        gone: Iterable[str],
        card: str,
    ) -> str:
        """One commit on `parent` with a session's new and removed files, and its manifest. Returns its id. Raises
        Conflict, SyncError."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        contents: dict[str, Source] = {f"{session}/{name}": source for name, source in files.items()}
        contents[f"{session}/{_MANIFEST}"] = manifest.model_dump_json(indent=1).encode()
        if card:
            contents["README.md"] = card.encode()
        try:
            operations: list[Any] = [
                CommitOperationAdd(path_in_repo=path, path_or_fileobj=source) for path, source in contents.items()
            ]
            operations += [CommitOperationDelete(path_in_repo=f"{session}/{name}") for name in gone]
            made = self._api.create_commit(
                repo,
                operations,
                commit_message=f"{session}: event {manifest.events - 1}, {manifest.status}",
                repo_type="dataset",
                parent_commit=parent,
            )
        except Exception as error:
            if _status(error) in (409, 412):
                raise Conflict from None
            _fail(f"The session could not be uploaded to {repo}.", error)
        return str(made.oid)

    def has_card(self, repo: str, revision: str) -> bool:
        try:
            return self._api.file_exists(repo, "README.md", repo_type="dataset", revision=revision)
        except Exception as error:
            _fail(f"The repository {repo} cannot be read.", error)

    def _info(self, repo: str) -> Any:
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            return self._api.dataset_info(repo, revision="main", timeout=_PATIENCE)
        except RepositoryNotFoundError:
            return None


def _refuse_public(repo: str, info: Any, public: bool) -> None:
    if info.private or public:
        return
    error = SyncError(
        f"The repository {repo} is public.",
        "everybody could read the session",
        "Give another; or `sessions upload --public`, `resume --no-sync`.",
    )
    error.passing = False
    raise error


def _status(error: BaseException) -> int:
    """The HTTP status behind an error, however it is wrapped; 0 where there is none."""
    for one in (error, error.__cause__, error.__context__):
        status = getattr(getattr(one, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
    return 0


def _fail(what: str, error: BaseException, next: str = "") -> NoReturn:
    """Raises SyncError; errors that will not pass by themselves say what to do."""
    status = _status(error)
    why = " ".join(str(error.__cause__ or error).split())[:400] or type(error).__name__
    made = SyncError(what, why, next or _NEXT.get(status, "Check the network, and try again."))
    made.passing = status not in _NEXT
    raise made from None


_NEXT = {
    401: "Set HF_TOKEN to a valid token, or run `hf auth login`.",
    403: "The token may not write there: use one with write access, or another --repo.",
    404: "The repository is not there, or the token may not see it.",
}
