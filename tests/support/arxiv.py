"""A stand-in for arXiv on loopback: metadata, e-prints and PDFs, with faults on demand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import parse_qs, urlsplit

from tests.support.http import on_loopback

ENTRY = """<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>{site}/abs/{id}v{version}</id><title>{title}</title>
<summary>A summary.</summary><author><name>Ada Author</name></author></entry></feed>"""
EMPTY = '<feed xmlns="http://www.w3.org/2005/Atom"></feed>'


@dataclass
class StandInArxiv:
    """`sources` and `pdfs` by id without version; `versions` has the newest where it is not 1.
    `faults` are answered first: (status, headers), one a request."""

    sources: dict[str, bytes] = field(default_factory=dict)
    pdfs: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    faults: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    site: str = ""

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        if self.faults:
            status, headers = self.faults.pop(0)
            return status, headers, b"try later"
        parts = urlsplit(path)
        if parts.path == "/api/query":
            paper = parse_qs(parts.query)["id_list"][0].split("v")[0]
            known = paper in self.sources or paper in self.pdfs
            version = self.versions.get(paper, 1)
            text = ENTRY.format(site=self.site, id=paper, version=version, title=f"Paper {paper}")
            return 200, {}, (text if known else EMPTY).encode()
        kind, paper = parts.path.removeprefix("/").split("/", 1)
        held = {"e-print": self.sources, "pdf": self.pdfs}.get(kind, {})
        data = held.get(paper.split("v")[0])
        return (404, {}, b"") if data is None else (200, {}, data)

    @property
    def environment(self) -> dict[str, str]:
        """What makes ml-intern ask this server, without waiting between requests."""
        return {
            "ML_INTERN_ARXIV_API": f"{self.site}/api/query",
            "ML_INTERN_ARXIV_SITE": self.site,
            "ML_INTERN_ARXIV_INTERVAL": "0.01",
        }


@contextmanager
def serve_arxiv() -> Iterator[StandInArxiv]:
    arxiv = StandInArxiv()

    def answer(path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        arxiv.agents.add(headers.get("User-Agent", ""))
        return arxiv.answer(path)

    with on_loopback(answer) as arxiv.site:
        yield arxiv
