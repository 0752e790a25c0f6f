"""`ml-intern sessions upload`: a session goes to a repository of the Hugging Face Hub, secrets taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ml_intern.cli.known import redactor
from ml_intern.config import Config
from ml_intern.errors import MlInternError

if TYPE_CHECKING:
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
    from ml_intern.session.uploads import note_upload

    config = Config.from_environment()
    folder = SessionStore(config.sessions).find(session)
    if dry_run:
        _show_parcel(_packed(config, folder), folder.id)
        return
    uploader = open_uploader(config, folder, repo, public)
    note_upload(folder, uploader.repo)  # before: a crash behind the upload must not hide that it lies there
    done = uploader.upload()
    from ml_intern.ui.session import bytes_in_words

    _show_audit(done.parcel)
    if done.new:
        typer.echo(f"{done.new} files, {bytes_in_words(done.bytes)}, went to {done.repo}, commit {done.commit[:12]}.")
    else:
        typer.echo(f"{done.repo} holds all of it already.")
    typer.echo(f"Go on elsewhere with: ml-intern resume hf://datasets/{done.repo}/{folder.id}")


def open_uploader(config: Config, folder: SessionFolder, repo: str, public: bool = False, known: str = "") -> Uploader:
    """For a repository that is there afterwards; `known`: one that the session went to before, which need not be
    reached now, so that a run goes on without the network. Raises SyncError, also where it is public, unless `public`:
    a repository can become so, or have been somebody else's."""
    from ml_intern.session.sync.remote import Remote, SyncError
    from ml_intern.session.sync.upload import Uploader

    remote = Remote(config.hub_endpoint)
    if known and repo in (known, known.split("/")[-1]):
        name = known
        try:
            remote.require_private(name, public)
        except SyncError as error:
            if not error.passing:
                raise
    else:
        name = remote.full_name(repo)
        remote.make(name, public)
    return Uploader(folder, remote, name, redactor(config), config.home)


def upload_rest(config: Config, folder: SessionFolder, repo: str, synced: str, quiet: bool) -> None:
    """Of a session that ended before its last upload did; `synced`: where it went meanwhile. What keeps it from being
    uploaded is said, and changes nothing of what it came to. Raises GoneElsewhere."""
    from ml_intern.read.show import printable
    from ml_intern.session.sync.background import incomplete
    from ml_intern.session.sync.upload import GoneElsewhere
    from ml_intern.session.uploads import note_upload

    try:
        uploader = open_uploader(config, folder, repo, known=synced)
        note_upload(folder, uploader.repo)
        done = uploader.upload(release=True)
    except GoneElsewhere:
        raise
    except MlInternError as error:
        typer.echo(printable(str(incomplete(folder.id, synced or repo, error))), err=True)
        return
    if done.new and not quiet:
        typer.echo(f"{'The rest of it' if synced else 'It'} went to {done.repo}.", err=True)


def _packed(config: Config, folder: SessionFolder) -> Parcel:
    from ml_intern.session.sync.outgoing import OutgoingLog
    from ml_intern.session.sync.parcel import pack
    from ml_intern.session.sync.remembered import Search

    known = redactor(config)
    return pack(folder, folder.events(), Search(known), OutgoingLog(known, folder.blobs))


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
    for words in parcel.along:
        typer.echo(f"travels, though not finished: {words}", err=True)
    for words in parcel.left_out:
        typer.echo(f"does not travel: {words}", err=True)
    if parcel.broken:
        typer.echo(f"The copy cannot be resumed elsewhere: {parcel.broken}.", err=True)
