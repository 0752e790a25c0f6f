"""The session as one JSON document: facts, state, every event as it stands in the log, and outputs kept beside it."""

from __future__ import annotations

from collections.abc import Iterator

from ml_intern.session.export.messages import messages
from ml_intern.session.export.session import Session, facts
from ml_intern.session.export.texts import compact


def document(session: Session) -> Iterator[str]:
    """In parts, an event a line. Numbers that are not finite are null."""
    about = {"id": session.id, "name": session.name, "status": session.shown_status}
    about |= facts(session, messages(session.events)).as_dict()
    yield f'{{"format":"ml-intern session","version":1,"session":{compact(about)},\n'
    yield f'"state":{compact(session.state.model_dump())},\n"events":['
    for place, event in enumerate(session.events):
        yield (",\n" if place else "\n") + compact(event.model_dump(mode="python"))
    yield f'\n],\n"outputs":{compact(dict(session.outputs))}}}\n'
