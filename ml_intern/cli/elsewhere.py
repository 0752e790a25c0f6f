"""Whether a session has gone on on another machine: its repositories are asked before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ml_intern.cli.known import redactor
from ml_intern.cli.upload import open_uploader
from ml_intern.config import Config

if TYPE_CHECKING:
    from ml_intern.session.state import State
    from ml_intern.session.store import SessionFolder
    from ml_intern.session.sync.upload import Uploader


def require_ours(config: Config, folder: SessionFolder, state: State, repo: str, quiet: bool) -> Uploader | None:
    """`repo`: where the session is to be uploaded beside its work, empty where it is not; the uploader to there. Raises
    GoneElsewhere, with the log as it was; a Hub that cannot be asked is said, and does not matter."""
    from ml_intern.session.sync.remote import Remote
    from ml_intern.session.sync.upload import GoneElsewhere, Uploader
    from ml_intern.session.uploads import repositories

    known = repositories(folder, state)
    same = next((one for one in known if repo in (one, one.split("/")[-1])), "")
    uploader = open_uploader(config, folder, repo, known=same) if repo else None
    asked = [uploader] if uploader else []
    if others := [one for one in known if uploader is None or one != uploader.repo]:
        remote, secrets = Remote(config.hub_endpoint), redactor(config)
        asked += [Uploader(folder, remote, one, secrets, config.home) for one in others]
    for one in asked:
        try:
            problem = one.require_ours()
        except GoneElsewhere as error:
            here = f"To go on here all the same, apart from it: ml-intern resume {folder.id} --no-sync"
            raise GoneElsewhere(error.what, error.why, f"{error.next} {here}") from None
        if problem and not quiet:
            _tell_unasked(folder.id, one.repo, problem)
    return uploader


def _tell_unasked(session: str, repo: str, why: str) -> None:
    from ml_intern.read.show import printable

    typer.echo(f"{repo} could not be asked whether session {session} has gone on elsewhere; it goes on here.", err=True)
    typer.echo(f"Why: {printable(why)}", err=True)
