"""Routes that change nothing: who one is, what there is, and the content of files."""

import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.hub.hub import StandInHub
from tests.support.hub.repository import Commit, File, Repository, pointer
from tests.support.hub.wire import Refused, Request, Response, as_json


def whoami(hub: StandInHub, request: Request) -> Response:
    user = hub.who(request)
    if user is None:
        raise Refused(401, "Invalid username or password.")
    access = {"type": "access_token", "accessToken": {"displayName": "a token", "role": user.rights}}
    organisations = [{"type": "org", "name": name} for name in user.organisations]
    told = {"type": "user", "id": user.name, "name": user.name, "fullname": user.name, "isPro": False}
    return as_json({**told, "orgs": organisations, "auth": access})


def commit_at(repository: Repository, revision: str) -> Commit:
    id = repository.branches.get(revision, revision)  # first, for a commit may come before the next line
    commits = repository.commits
    found = [commit for name, commit in commits.items() if name == id or (len(id) >= 7 and name.startswith(id))]
    if len(found) != 1:
        raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return found[0]


def info(hub: StandInHub, request: Request, repository: Repository, revision: str) -> Response:
    about, commit = repository.about, commit_at(repository, revision)
    dated = {"lastModified": commit.date, "createdAt": next(iter(repository.commits.values())).date}
    told = {"id": about["id"], "author": about["id"].split("/")[0], "sha": commit.id, "private": about["private"]}
    told |= {"gated": about["gated"], "disabled": False, "downloads": 0, "likes": 0, "tags": [], **dated}
    told["siblings"] = [
        {"rfilename": name, **(_details(file) if request.asks_for("blobs") else {})}
        for name, file in commit.files.items()
    ]
    return as_json(told | ({"cardData": {"license": about["licence"]}} if about["licence"] else {}))


def _details(file: File) -> dict[str, Any]:
    lfs = {"sha256": file.sha256, "size": file.size, "pointerSize": len(pointer(file.sha256, file.size))}
    return {"size": file.size, "blobId": file.oid, **({"lfs": lfs} if file.lfs else {})}


def tree(hub: StandInHub, request: Request, repository: Repository, revision: str, folder: str) -> Response:
    files = commit_at(repository, revision).files
    start = f"{folder}/" if folder else ""
    inside = {path: entry for path, entry in _entries(files).items() if path.startswith(start)}
    if folder and not inside:
        raise Refused(404, f"{folder} does not exist on {revision!r}", "EntryNotFound")
    if not request.asks_for("recursive"):
        inside = {path: entry for path, entry in inside.items() if "/" not in path.removeprefix(start)}
    return _paged(hub, request, list(inside.values()))


def paths_info(hub: StandInHub, request: Request, repository: Repository, revision: str) -> Response:
    entries = _entries(commit_at(repository, revision).files)
    asked = (path.strip("/") for path in request.form.get("paths", []))
    return as_json([entries[path] for path in asked if path in entries])


def _entries(files: dict[str, File]) -> dict[str, dict[str, Any]]:
    """By path: the files and the folders that they are in."""
    folders = {parent for name in files for parent in _parents(name)}
    entries = {path: _folder_entry(path, files) for path in folders}
    return dict(sorted((entries | {name: _entry(name, file) for name, file in files.items()}).items()))


def _parents(name: str) -> Iterable[str]:
    parts = name.split("/")[:-1]
    return ("/".join(parts[: count + 1]) for count in range(len(parts)))


def _folder_entry(path: str, files: dict[str, File]) -> dict[str, Any]:
    inside = " ".join(f"{name}:{file.oid}" for name, file in files.items() if name.startswith(f"{path}/"))
    return {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(inside.encode()).hexdigest()}


def _entry(name: str, file: File) -> dict[str, Any]:
    lfs = {"oid": file.sha256, "size": file.size, "pointerSize": len(pointer(file.sha256, file.size))}
    entry = {"type": "file", "path": name, "size": file.size, "oid": file.oid}
    return entry | ({"lfs": lfs} if file.lfs else {})


def history(hub: StandInHub, request: Request, repository: Repository, revision: str) -> Response:
    commits, told = repository.commits, []
    commit: Commit | None = commit_at(repository, revision)
    while commit is not None:
        named = {"id": commit.id, "title": commit.title, "message": commit.message, "date": commit.date}
        told.append({**named, "authors": [{"user": commit.author}]})
        commit = commits[commit.parent] if commit.parent else None
    return _paged(hub, request, told)


def _paged(hub: StandInHub, request: Request, entries: list[Any]) -> Response:
    start = int(request.query.get("cursor", ["0"])[0])
    end = start + hub.page
    query = urlencode({**request.query, "cursor": [str(end)]}, doseq=True)
    following = f'<{hub.site}{urlsplit(request.target).path}?{query}>; rel="next"'
    return as_json(entries[start:end], headers={"Link": following} if end < len(entries) else {})


def resolve(hub: StandInHub, request: Request, repository: Repository, revision: str, name: str) -> Response:
    commit = commit_at(repository, revision)
    file = commit.files.get(name)
    if file is None:
        raise Refused(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit.id})
    headers = {"X-Repo-Commit": commit.id, "ETag": f'"{file.oid}"', "Accept-Ranges": "bytes"}
    if file.lfs:
        headers |= {"X-Linked-ETag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
    return _ranged(request, headers, hub.lies.get(name, repository.content(file)))


def _ranged(request: Request, headers: dict[str, str], data: bytes) -> Response:
    first, _, last = request.headers.get("Range", "").removeprefix("bytes=").partition("-")
    if not first:
        return Response(200, headers, data)
    start, end = int(first), min(int(last or len(data) - 1), len(data) - 1)
    if start >= len(data):
        return Response(416, {**headers, "Content-Range": f"bytes */{len(data)}"})
    return Response(206, {**headers, "Content-Range": f"bytes {start}-{end}/{len(data)}"}, data[start : end + 1])
