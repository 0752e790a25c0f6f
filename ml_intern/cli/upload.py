"""`ml-intern sessions upload`: a session goes to a repository of the Hugging Face Hub, secrets taken out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from ml_intern.config import Config

if TYPE_CHECKING:
    from ml_intern.redaction import Redactor
    from ml_intern.session.store import SessionFolder
    from ml_intern.session.sync.parcel import Parcel
    from ml_intern.session.sync.upload import Uploader


def upload(
    session: Annotated[str, typer.Argument(help="Session id, its beginning, or `last`.")] = "last",
    repo: Annotated[str, typer.Option(help="Dataset repository; default: NAME/ml-intern-sessions, private.")] = "",
    public: Annotated[bool, typer.Option("--public", help="Make the repository public, or use one that is.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be uploaded.")] = False,
) -> None:
    """Upload a session, so that another machine can go on with it: `ml-intern resume hf://datasets/NAME/REPO/ID`."""
    from ml_intern.session.store import SessionStore

    config = Config.from_environment()
    folder = SessionStore(config.sessions).find(session)
    if dry_run:
        _show_parcel(_packed(folder), folder.id)
        return
    uploader = open_uploader(config, folder, repo, public)
    done = uploader.upload()
    from ml_intern.ui.session import bytes_in_words

    _show_audit(done.parcel)
    if done.new:
        typer.echo(f"{done.new} files, {bytes_in_words(done.bytes)}, went to {done.repo}, commit {done.commit[:12]}.")
    else:
        typer.echo(f"{done.repo} holds all of it already.")
    typer.echo(f"Go on elsewhere with: ml-intern resume hf://datasets/{done.repo}/{folder.id}")


def open_uploader(config: Config, folder: SessionFolder, repo: str, public: bool = False, known: str = "") -> Uploader:
    """For a repository that is there afterwards; `known`: one that the session went to before, for which nobody is
    asked now, so that a run goes on without the network. Raises SyncError."""
    from ml_intern.session.sync.remote import Remote
    from ml_intern.session.sync.upload import Uploader

    remote = Remote(config.hub_endpoint)
    if known and repo in (known, known.split("/")[-1]):
        name = known
    else:
        name = remote.full_name(repo)
        remote.make(name, public)
    return Uploader(folder, remote, name, redactor(), config.home)


def redactor() -> Redactor:
    """Knows the secrets of this process's environment, and the token that the Hub's client would use."""
    from ml_intern.redaction import Redactor

    return Redactor.from_environment(os.environ, _saved_token())


def _saved_token() -> dict[str, str]:
    """The token of `hf auth login`, without importing the client for it."""
    from pathlib import Path

    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    path = Path(os.environ.get("HF_TOKEN_PATH") or Path(home) / "token").expanduser()
    try:
        token = path.read_text().strip()
    except OSError:
        return {}
    return {"the saved Hub token": token} if token else {}


def _packed(folder: SessionFolder) -> Parcel:
    from ml_intern.session.sync.outgoing import OutgoingLog
    from ml_intern.session.sync.parcel import pack

    known = redactor()
    return pack(folder, folder.events(), known, OutgoingLog(known, folder.blobs))


def _show_parcel(parcel: Parcel, session: str) -> None:
    from ml_intern.ui.session import bytes_in_words

    log = sum(map(len, parcel.log.lines))
    typer.echo(f"{bytes_in_words(log):>9}  {session}/log ({len(parcel.log.lines)} events)")
    for name, file in sorted(parcel.files.items()):
        typer.echo(f"{bytes_in_words(file.item.size):>9}  {session}/files/{name}")
    typer.echo(f"{bytes_in_words(log + parcel.bytes):>9}  in {len(parcel.files) + 2} files; nothing was uploaded")
    _show_audit(parcel)


def _show_audit(parcel: Parcel) -> None:
    """What was taken out and where, and what stays here."""
    for name, finding in parcel.found:
        place = f"{name}, line {finding.line}" if finding.line else name
        typer.echo(f"redacted: {finding.kind} in {place}", err=True)
    for name in parcel.withheld:
        typer.echo(f"not uploaded: {name}", err=True)
    for words in parcel.left_out:
        typer.echo(f"does not travel: {words}", err=True)
    if parcel.broken:
        typer.echo(f"The copy cannot be resumed elsewhere: {parcel.broken}.", err=True)
