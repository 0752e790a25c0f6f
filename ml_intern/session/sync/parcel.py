"""A session packed for a journey: every file with its hash, secrets taken out, and in words what stays behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ml_intern.redaction import Finding, Redactor
from ml_intern.session.belongings import Source, half_made, made_files, scripts_at
from ml_intern.session.events import Event
from ml_intern.session.inbox import heard
from ml_intern.session.state import State, fold
from ml_intern.session.store import SessionFolder
from ml_intern.session.sync.manifest import Item
from ml_intern.session.sync.outgoing import OutgoingLog
from ml_intern.session.sync.remembered import Search, item_of
from ml_intern.session.sync.unfinished import Unfinished, counted, unfinished_runs
from ml_intern.session.tried import read_tried, tried

_HASHED = ("evidence.jsonl", "plan.yaml", "frozen/", "predictions/")  # what a resume checks the hash of


@dataclass(frozen=True)
class Packed:
    """A file that leaves: its name there, its content or where that stands."""

    path: str
    source: Source
    item: Item


@dataclass
class Parcel:
    """`files` by path; `found`: (file, finding) of what was taken out; `withheld`: files that stay here for a secret
    that cannot be cut out; `left_out`: in words, what does not travel, `along`: what does though it is not finished;
    `broken`: why the copy could not go on."""

    state: State
    log: OutgoingLog
    files: dict[str, Packed] = field(default_factory=dict)
    found: list[tuple[str, Finding]] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    along: list[str] = field(default_factory=list)
    broken: str = ""

    @property
    def bytes(self) -> int:
        return sum(file.item.size for file in self.files.values())


def pack(
    folder: SessionFolder, events: Sequence[Event], search: Search, log: OutgoingLog, fresh: bool = True
) -> Parcel:
    """The session as it was at the last of `events`; `search` has looked through what is as it was at the last time;
    `fresh`: with checkpoints as they are now. Raises SessionError where a part of it is missing."""
    log.advance(events)
    parcel = Parcel(fold(events), log)
    parcel.found += [(f"events.jsonl, event {seq}", finding) for seq, finding in log.findings]
    for digest, content in log.blobs.items():
        _add(parcel, f"blobs/{digest}", content, Item(sha256=digest, size=len(content)))
    for script, digest in scripts_at(events).items():
        content = log.script(digest)
        _add(parcel, f"workspace/{log.name(script)}", content, item_of(content))
    for path, source in made_files(folder, events):
        _add_clean(parcel, search, path, source)
    by_hand = tried(folder, parcel.state)
    for path, content, _ in read_tried(by_hand, folder):
        _add_clean(parcel, search, path, content)
    parcel.left_out += by_hand.left
    _add_unheard(parcel, search.redactor, folder, events)
    for one in unfinished_runs(folder, events, fresh):
        _add_unfinished(parcel, search, one)
    parcel.left_out += list(_left_out(folder, events, parcel.state))
    return parcel


def _add_unheard(parcel: Parcel, redactor: Redactor, folder: SessionFolder, events: Sequence[Event]) -> None:
    """What a person said and no model has heard. What only this machine is to follow stays here."""
    waiting = list(folder.inbox.waiting(heard(events)))
    spoken = [told for told in waiting if told.only_words]
    for told in spoken:
        words, found = redactor.text(told.words, guess=True)
        path = f"inbox/{told.id}.json"
        parcel.found += [(path, finding) for finding in found]
        content = told.model_copy(update={"words": words}).model_dump_json().encode()
        _add(parcel, path, content, item_of(content))
    if spoken:
        parcel.along.append(f"what a person said and no model has heard yet: {counted(len(spoken), 'message')}")
    if rest := len(waiting) - len(spoken):
        parcel.left_out.append(
            f"{counted(rest, 'message')} that would pause or stop the run or change its settings: say it anew there"
        )


def _add_unfinished(parcel: Parcel, search: Search, one: Unfinished) -> None:
    """All of its files, or none: a checkpoint with a piece cut out is none."""
    looked = {path: search.look(path, source) for path, source in one.files.items()}
    found = [(file.name, finding) for file in looked.values() for finding in (*file.in_name, *file.inside.found)]
    whole = all(file.inside.whole for file in looked.values())
    if found or not whole:
        parcel.found += found
        why = "holds what looks like a secret" if found else "is too large to be searched for secrets"
        parcel.left_out.append(f"run {one.run}: its checkpoint {why}; the run begins again")
        return
    for path, source in one.files.items():
        _add(parcel, path, source, looked[path].item)
    (parcel.along if one.files else parcel.left_out).append(f"run {one.run}: {one.words}")


def _add(parcel: Parcel, path: str, source: Source, item: Item) -> None:
    parcel.files[path] = Packed(path, source, item)


def _add_clean(parcel: Parcel, search: Search, path: str, source: Source) -> None:
    """The file without its secrets; or not at all."""
    looked = search.look(path, source)
    name, done = looked.name, looked.inside
    parcel.found += [(name, finding) for finding in (*looked.in_name, *done.found)]
    if not done.may_leave:
        parcel.withheld.append(name)
        if not done.whole:
            parcel.left_out.append(f"{name}: it unpacks to more than can be searched for secrets")
        why = "holds a secret that cannot be cut out" if done.whole else "is too large to be searched for secrets"
        _mark_broken(parcel, name, f"is withheld: it {why}")
        return
    if done.clean is not None:
        _mark_broken(parcel, name, "was changed: a secret was taken out of it")
    _add(parcel, name, source if done.clean is None else done.clean, looked.item)
    if looked.in_name:
        _mark_broken(parcel, name, "was renamed: its name held a secret")


def _mark_broken(parcel: Parcel, path: str, why: str) -> None:
    if path.startswith(_HASHED) and not parcel.broken:
        parcel.broken = f"{path} {why}"


def _left_out(folder: SessionFolder, events: Sequence[Event], state: State) -> Iterator[str]:
    if (folder.root / "resources").exists():
        yield "models, data sets and packages: fetched again at their revisions"
    for place in half_made(folder, events):
        yield f"the table of {place.parent.name}, which is not finished: data.py makes it again"
    if state.published:
        yield f"what was published to {state.published}"
