"""Models and data sets of the Hugging Face Hub, through its own client. Only the harness runs this."""

from __future__ import annotations

import fnmatch
import shutil
from pathlib import Path
from typing import Any

from ml_intern.run.resources.resource import Resource, ResourceError

# Where there are safetensors, the same weights in other forms are not needed, and some of those can hold code.
_OTHER_WEIGHTS = (
    "*.bin",
    "*.h5",
    "*.msgpack",
    "*.ot",
    "*.onnx*",
    "*.tflite",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.pkl",
    "*.gguf",
)
_NEVER = (".gitattributes", ".cache/*")


def pin(resource: Resource, most_bytes: int, endpoint: str | None = None) -> Resource:
    """The resource at its exact commit, with size and licence. Raises ResourceError."""
    info = _info(resource, endpoint)
    files = _wanted(resource, info)
    if not files:
        raise ResourceError(f"{resource.kind} {resource.id} has no file that is wanted.", f"patterns: {resource.files}")
    size = sum(files.values())
    _require_small(resource, size, len(files), most_bytes)
    return resource.model_copy(update={"revision": str(info.sha), "bytes": size, "licence": _licence(info)})


def download(resource: Resource, folder: Path, most_bytes: int, endpoint: str | None = None) -> None:
    """The files of a pinned resource into `folder`, and nothing else. Raises ResourceError, also where they are larger
    than this machine allows: the plan may have been pinned on another."""
    files = _wanted(resource, _info(resource, endpoint))
    _require_small(resource, sum(files.values()), len(files), most_bytes)
    if sum(files.values()) != resource.bytes:
        raise ResourceError(
            f"{resource.kind} {resource.id} is not what was approved.",
            f"{sum(files.values())} bytes at {resource.revision[:12]}, the plan says {resource.bytes}",
        )
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(
            resource.id,
            repo_type=resource.kind,
            revision=resource.revision,
            local_dir=folder,
            allow_patterns=[_literally(name) for name in files],
            endpoint=endpoint,
        )
    except Exception as error:  # the client lets errors of its HTTP library through, which differs by version
        raise _not_fetched(resource, error) from None
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    if missing := [name for name, size in files.items() if not _is_there(folder / name, size)]:
        raise ResourceError(f"{resource.kind} {resource.id} came incomplete.", f"missing: {', '.join(missing[:5])}")


def _require_small(resource: Resource, size: int, files: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise ResourceError(
            f"{resource.kind} {resource.id} is too large.",
            f"{size / 1e9:.1f} GB in {files} files; {most_bytes / 1e9:.1f} GB are allowed",
            "Name the files that are needed under `files`, or raise ML_INTERN_MAX_DOWNLOAD_GB.",
        )


def _info(resource: Resource, endpoint: str | None) -> Any:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    revision = resource.revision or None
    try:
        return HfApi(endpoint=endpoint).repo_info(
            resource.id, repo_type=resource.kind, revision=revision, files_metadata=True
        )
    except GatedRepoError:
        accept = f"Accept its conditions on its page, and set HF_TOKEN to a token that may read it ({resource.id})."
        raise ResourceError(f"{resource.kind} {resource.id} is gated.", next=accept) from None
    except RepositoryNotFoundError:
        private = "If it is private, set HF_TOKEN to a token that may read it."
        raise ResourceError(f"There is no {resource.kind} {resource.id} on the Hub.", next=private) from None
    except RevisionNotFoundError:
        raise ResourceError(f"{resource.kind} {resource.id} has no revision {resource.revision!r}.") from None
    except Exception as error:  # the client lets errors of its HTTP library through, which differs by version
        raise _not_fetched(resource, error) from None


def _wanted(resource: Resource, info: Any) -> dict[str, int]:
    """Name to size of the files that are fetched."""
    names = {file.rfilename: int(file.size or 0) for file in info.siblings or ()}
    names = {name: size for name, size in names.items() if _is_inside(name) and not _matches(name, _NEVER)}
    if resource.files:
        return {name: size for name, size in names.items() if _matches(name, resource.files)}
    if resource.kind == "model" and any(name.endswith(".safetensors") for name in names):
        return {name: size for name, size in names.items() if not _matches(name, _OTHER_WEIGHTS)}
    return names


def _licence(info: Any) -> str:
    card = info.card_data
    stated = (card.get("license") if card is not None else None) or ""
    return ", ".join(map(str, stated)) if isinstance(stated, list) else str(stated)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _literally(name: str) -> str:
    """A pattern that is this name and no other."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def _is_inside(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size == size


def _not_fetched(resource: Resource, error: Exception) -> ResourceError:
    why = " ".join(str(error).split())[:500]
    return ResourceError(f"{resource.kind} {resource.id} cannot be fetched.", why, "Check the network, and try again.")
