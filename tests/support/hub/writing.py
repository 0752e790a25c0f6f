"""Routes that change something: repositories, LFS objects and commits."""

import base64
import hashlib
import json
from fnmatch import fnmatch
from typing import Any

import yaml

from tests.support.hub.hub import StandInHub, User
from tests.support.hub.reading import commit_at
from tests.support.hub.repository import ATTRIBUTES, File, Missing, Moved, Repository, goes_to_lfs
from tests.support.hub.wire import Refused, Request, Response, as_json


def create(hub: StandInHub, request: Request) -> Response:
    kind, id = _named(hub, request)
    user = hub.writer(request, id)
    url = f"{hub.site}/{_prefix(kind)}{id}"
    private = request.json.get("visibility") == "private" or bool(request.json.get("private"))
    try:
        repository = hub.begin(kind, id, private)
    except FileExistsError:
        return as_json({"error": f"You already created this {kind} repo: {id}", "url": url}, 409)
    repository.commit({".gitattributes": ATTRIBUTES}, "initial commit", user.name)
    return as_json({"url": url, "name": id, "id": id, "private": private})


def delete(hub: StandInHub, request: Request) -> Response:
    repository, _ = hub.writable(request, *_named(hub, request))
    hub.remove(repository)
    return as_json({})


def settings(hub: StandInHub, request: Request, repository: Repository) -> Response:
    if "visibility" in request.json or "private" in request.json:
        repository.show(private=request.json.get("visibility") == "private" or bool(request.json.get("private")))
    return as_json({"private": repository.about["private"]})


def _named(hub: StandInHub, request: Request) -> tuple[str, str]:
    """Kind and id; without an organisation it is the user's own."""
    user = hub.who(request)
    if user is None:
        raise Refused(401, "Invalid username or password.")
    asked = request.json
    return asked.get("type") or "model", f"{asked.get('organization') or user.name}/{asked['name']}"


def _prefix(kind: str) -> str:
    return "" if kind == "model" else f"{kind}s/"


def validate_yaml(hub: StandInHub, request: Request) -> Response:
    content = str(request.json["content"])
    try:
        yaml.safe_load(content.split("---\n")[1] if content.startswith("---\n") else "")
    except yaml.YAMLError as error:
        return as_json({"errors": [{"message": str(error)}], "warnings": []}, 400)
    return as_json({"errors": [], "warnings": []})


def preupload(hub: StandInHub, request: Request, repository: Repository, revision: str) -> Response:
    """Which way each file goes, and the id of what is there under its path."""
    held = commit_at(repository, revision).files
    attributes = _text(repository, held.get(".gitattributes"))
    ignored = request.json.get("gitIgnore") or _text(repository, held.get(".gitignore"))
    answers = []
    for asked in request.json["files"]:
        path, sample = asked["path"], base64.b64decode(asked["sample"])
        mode = "lfs" if goes_to_lfs(path, asked["size"], sample, attributes, hub.most_regular) else "regular"
        there = {"oid": held[path].sha256 if held[path].lfs else held[path].oid} if path in held else {}
        answers.append({"path": path, "uploadMode": mode, "shouldIgnore": _is_ignored(path, ignored), **there})
    return as_json({"files": answers})


def _text(repository: Repository, file: File | None) -> str:
    return repository.content(file).decode() if file else ""


def _is_ignored(path: str, ignored: str) -> bool:
    patterns = [line.strip().rstrip("/") for line in ignored.splitlines() if line.strip() and line[0] not in "#!"]
    return any(fnmatch(part, pattern) for pattern in patterns for part in (path, *path.split("/")))


def batch(hub: StandInHub, request: Request, repository: Repository) -> Response:
    """No action for what is already stored."""
    about = repository.about
    objects = []
    for asked in request.json["objects"]:
        oid, size = asked["oid"], asked["size"]
        try:
            repository.linked(oid)
            objects.append({"oid": oid, "size": size})
        except Missing:
            place = f"{hub.site}/lfs/{about['kind']}s/{about['id']}/{oid}"
            upload = {"href": f"{place}?size={size}&signature={_signature(about['id'], oid)}"}
            verify = {"href": f"{hub.site}/{_prefix(about['kind'])}{about['id']}.git/info/lfs/objects/verify"}
            objects.append({"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}})
    return as_json({"transfer": "basic", "objects": objects})


def _signature(id: str, oid: str) -> str:
    """The client sends no token with a PUT: the address is the permission."""
    return hashlib.sha256(f"stand-in {id} {oid}".encode()).hexdigest()


def put_object(hub: StandInHub, request: Request, kind: str, id: str, oid: str) -> Response:
    if request.query.get("signature") != [_signature(id, oid)]:
        raise Refused(403, "The signature does not match")
    if hashlib.sha256(request.body).hexdigest() != oid:
        raise Refused(400, "The content is not what was announced")
    hub.repository(kind, id).put(request.body, lfs=True)
    return Response(200)


def verify(hub: StandInHub, request: Request, repository: Repository) -> Response:
    try:
        size = repository.linked(request.json["oid"]).size
    except Missing:
        raise Refused(404, "The object was not uploaded") from None
    if size != request.json["size"]:
        raise Refused(400, "The object has another size")
    return as_json({"success": True})


def commit(hub: StandInHub, request: Request, repository: Repository, user: User, revision: str) -> Response:
    if revision not in repository.branches:
        raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    header, *operations = _lines(request.body)

    def change(held: dict[str, File]) -> dict[str, File]:
        for key, value in operations:
            held = _applied(repository, held, key, value)
        return held

    told = {"title": header[1]["summary"], "message": header[1].get("description", ""), "author": user.name}
    try:
        id = repository.record(change, **told, branch=revision, parent=header[1].get("parentCommit"))
    except Moved:
        raise Refused(412, "A commit has happened since. Please refresh and try again.") from None
    url = f"{hub.site}/{_prefix(repository.about['kind'])}{repository.about['id']}/commit/{id}"
    return as_json({"success": True, "commitOid": id, "commitUrl": url, "hookOutput": ""})


def _lines(body: bytes) -> list[tuple[str, dict[str, Any]]]:
    try:
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        found = [(str(line["key"]), dict(line["value"])) for line in lines]
    except (ValueError, KeyError, TypeError):
        raise Refused(400, "The commit is no ndjson of keys and values") from None
    if not found or found[0][0] != "header":
        raise Refused(400, "The commit has no header")
    return found


def _applied(repository: Repository, held: dict[str, File], key: str, value: dict[str, Any]) -> dict[str, File]:
    path = value["path"]
    if key == "file":
        return held | {path: repository.put(base64.b64decode(value["content"]))}
    if key == "lfsFile":
        return held | {path: _linked(repository, path, value["oid"])}
    start = f"{path.rstrip('/')}/"
    gone = {name for name in held if name == path or (key == "deletedFolder" and name.startswith(start))}
    if key not in ("deletedFile", "deletedFolder"):
        raise Refused(400, f"Unknown operation {key}")
    if not gone:
        raise Refused(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
    return {name: file for name, file in held.items() if name not in gone}


def _linked(repository: Repository, path: str, oid: str) -> File:
    try:
        return repository.linked(oid)
    except Missing:
        raise Refused(400, f"LFS pointer {path} points to an object that was not uploaded") from None
