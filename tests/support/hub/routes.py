"""Which function answers which path."""

from tests.support.hub import reading, writing
from tests.support.hub.hub import StandInHub
from tests.support.hub.wire import Refused, Request, Response, as_json

_AFTER_ID = ("revision", "tree", "paths-info", "commits", "preupload", "commit", "settings", "auth-check")


def answer(hub: StandInHub, request: Request) -> Response:
    try:
        return _answer(hub, request)
    except Refused as refused:
        return refused.response


def _answer(hub: StandInHub, request: Request) -> Response:
    match request.method, request.parts:
        case "GET", ["api", "whoami-v2"]:
            return reading.whoami(hub, request)
        case "GET", ["api", "agent-harnesses"]:  # which environments the client names in its User-Agent
            return as_json({"standardEnvVars": [], "harnesses": {}})
        case "POST", ["api", "repos", "create"]:
            return writing.create(hub, request)
        case "DELETE", ["api", "repos", "delete"]:
            return writing.delete(hub, request)
        case "POST", ["api", "validate-yaml"]:
            return writing.validate_yaml(hub, request)
        case _, ["api", ("models" | "datasets") as kinds, *rest]:
            return _api(hub, request, kinds.removesuffix("s"), rest)
        case "PUT", ["lfs", kinds, *id, oid]:
            return writing.put_object(hub, request, kinds.removesuffix("s"), "/".join(id), oid)
        case "POST", [*place, "info", "lfs", "objects", step]:
            return _lfs(hub, request, place, step)
        case (("GET" | "HEAD"), [*path]) if "resolve" in path[1:-2]:
            return _resolve(hub, request, path)
    raise Refused(404, f"The stand-in has no {request.method} {request.target}")


def _resolve(hub: StandInHub, request: Request, path: list[str]) -> Response:
    cut = path.index("resolve", 1)
    repository = hub.readable(request, *_kind_and_id(path[:cut]))
    return reading.resolve(hub, request, repository, path[cut + 1], "/".join(path[cut + 2 :]))


def _kind_and_id(place: list[str]) -> tuple[str, str]:
    return ("dataset", "/".join(place[1:])) if place[0] == "datasets" else ("model", "/".join(place))


def _api(hub: StandInHub, request: Request, kind: str, rest: list[str]) -> Response:
    cut = next((place for place, part in enumerate(rest) if part in _AFTER_ID and place), len(rest))
    id, what = "/".join(rest[:cut]), rest[cut:] or ["revision", "main"]
    match request.method, what:
        case "GET", ["revision", revision]:
            return reading.info(hub, request, hub.readable(request, kind, id), revision)
        case "GET", ["tree", revision, *folder]:
            return reading.tree(hub, request, hub.readable(request, kind, id), revision, "/".join(folder))
        case "POST", ["paths-info", revision]:
            return reading.paths_info(hub, request, hub.readable(request, kind, id), revision)
        case "GET", ["commits", revision]:
            return reading.history(hub, request, hub.readable(request, kind, id), revision)
        case "GET", ["auth-check", *write]:
            (hub.writable if write else hub.readable)(request, kind, id)
            return as_json({})
        case "PUT", ["settings"]:
            return writing.settings(hub, request, hub.writable(request, kind, id)[0])
        case "POST", ["preupload", revision]:
            return writing.preupload(hub, request, hub.writable(request, kind, id)[0], revision)
        case "POST", ["commit", revision]:
            return writing.commit(hub, request, *hub.writable(request, kind, id), revision)
    raise Refused(404, f"The stand-in has no {request.method} {request.target}")


def _lfs(hub: StandInHub, request: Request, place: list[str], step: str) -> Response:
    kind, id = _kind_and_id([*place[:-1], place[-1].removesuffix(".git")])
    repository, _ = hub.writable(request, kind, id)
    return writing.batch(hub, request, repository) if step == "batch" else writing.verify(hub, request, repository)
