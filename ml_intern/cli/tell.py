"""`ml-intern tell`: says something to a run from another terminal, or changes how it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml_intern.config import Config
from ml_intern.errors import InputError, MlInternError

if TYPE_CHECKING:
    from ml_intern.session.inbox import Told
    from ml_intern.session.store import SessionFolder, SessionStore


def tell(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[SESSION] [WORDS]", help="Session id or its beginning; then words.")
    ] = None,
    pause: Annotated[bool, typer.Option("--pause", help="Wait before the next model call.")] = False,
    go_on: Annotated[bool, typer.Option("--go-on", help="End a pause.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the run as Ctrl-C does; it can be resumed.")] = False,
    budget_usd: Annotated[float | None, typer.Option(min=0.0, help="Dollars at most, those spent included.")] = None,
    max_iterations: Annotated[int | None, typer.Option(min=1, help="Model calls at most, those made included.")] = None,
    time_limit: Annotated[float | None, typer.Option(min=1.0, help="Seconds at most, those used included.")] = None,
    model: Annotated[str, typer.Option(help="Another model from the next call on.")] = "",
) -> None:
    """Tell a run something: words reach the model before its next turn, options change the run. SESSION may be left out
    before words or an option: then it is the session that runs, else the latest."""
    from ml_intern.cli.common import open_model
    from ml_intern.cli.known import redactor
    from ml_intern.session.inbox import Told
    from ml_intern.session.log import is_held
    from ml_intern.session.store import SessionStore

    given: dict[str, Any] = {"budget_usd": budget_usd, "max_iterations": max_iterations}
    given |= {"time_limit": time_limit, "model": model or None}
    settings = {name: value for name, value in given.items() if value is not None}
    if model:
        try:
            open_model(model)
        except MlInternError as error:  # the run's own environment may have what is missing here
            typer.echo(
                f"From here it cannot be opened: {error.what} The run tries, and notes it if it fails.", err=True
            )
    messages = _messages([("pause", pause), ("go-on", go_on), ("stop", stop)], settings)
    session, words = _understood(arguments or [], bool(messages))
    config = Config.from_environment()
    folder = _found(SessionStore(config.sessions), session)
    running = is_held(folder.log)
    if not running and (state := folder.state()).status == "finished":
        raise InputError(
            f"Session {folder.id} is finished: {state.published}", next="`ml-intern fork` goes on from it."
        )
    if not running and (pause or stop or go_on):
        raise InputError(f"Nobody runs session {folder.id}.", next=f"Go on with: ml-intern resume {folder.id}")
    if words:
        messages.append(Told(words=redactor(config).text(words)[0]))
    for message in messages:
        folder.inbox.put(message)
    if running:
        typer.echo(f"Told session {folder.id}; it is heard before the next model call.")
    else:
        typer.echo(f"Nobody runs session {folder.id}. Kept; it is heard at the next: ml-intern resume {folder.id}")


def _messages(commands: list[tuple[str, bool]], settings: dict[str, Any]) -> list[Told]:
    from ml_intern.session.inbox import Told

    found = [name for name, wanted in commands if wanted]
    if len(found) > 1:
        raise InputError(f"--{found[0]} and --{found[1]} do not go together.")
    messages = [Told(settings=settings)] if settings else []
    return messages + [Told.model_validate({"command": name}) for name in found]


def _understood(arguments: list[str], options: bool) -> tuple[str, str]:
    """(session or empty, words or empty): a lone argument is a session beside options, else words."""
    match arguments:
        case [] if options:
            return "", ""
        case [session] if options:
            return session, ""
        case [words] if words.strip():
            return "", words
        case [session, words] if words.strip():
            return session, words
    raise InputError("Nothing is said.", next='ml-intern tell [SESSION] "words", or an option such as --pause.')


def _found(store: SessionStore, session: str) -> SessionFolder:
    from ml_intern.session.log import is_held

    if session:
        return store.find(session)
    running = [folder for folder in store.all() if is_held(folder.log)]
    if len(running) > 1:
        names = ", ".join(folder.id for folder in running)
        raise InputError("Several sessions run.", names, 'Name one: ml-intern tell SESSION "words"')
    return running[0] if running else store.find("last")
