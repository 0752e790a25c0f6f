"""A PDF made by hand: lines of Helvetica and thin rules, where a test wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Page:
    """One page of 612 by 792 points; x and y in points from the lower left corner."""

    drawing: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, size: float = 10) -> Page:
        escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        self.drawing.append(f"BT /F1 {size} Tf 1 0 0 1 {x} {y} Tm ({escaped}) Tj ET")
        return self

    def sideways(self, x: float, y: float, text: str, size: float = 10) -> Page:
        self.drawing.append(f"BT /F1 {size} Tf 0 1 -1 0 {x} {y} Tm ({text}) Tj ET")
        return self

    def rule(self, x0: float, x1: float, y: float) -> Page:
        self.drawing.append(f"{x0} {y} {x1 - x0} 0.6 re f")
        return self

    def grid(self, xs: Sequence[float], y: float, rows: Sequence[Sequence[str]], leading: float = 12) -> Page:
        """Rows of cells from `y` down, the left ends at `xs`."""
        for number, row in enumerate(rows):
            for x, cell in zip(xs, row, strict=True):
                if cell:
                    self.text(x, y - number * leading, cell)
        return self

    def ruled(self, xs: Sequence[float], right: float, y: float, rows: Sequence[Sequence[str]]) -> Page:
        """Such rows with a rule above, under the first and under the last."""
        self.grid(xs, y, rows)
        for height in (y + 11, y - 4, y - 4 - 12 * (len(rows) - 1)):
            self.rule(xs[0], right, height)
        return self

    def prose(self, x: float, y: float, lines: int, text: str = "Some words of running text that fill a line") -> Page:
        for number in range(lines):
            self.text(x, y - 12 * number, text)
        return self


def make_pdf(pages: Sequence[Page], trailer: str = "") -> bytes:
    """The bytes of a PDF of these pages; `trailer` is put into its trailer dictionary."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        stream = "\n".join(page.drawing).encode("cp1252")
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            + f"/Contents {5 + 2 * number} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n" % len(stream) + stream + b"\nendstream")
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)


def encrypted_pdf(pages: Sequence[Page]) -> bytes:
    """A PDF that asks for a password that nobody knows: its check values are arbitrary."""
    key = "11" * 32
    return make_pdf(
        pages, f"/Encrypt << /Filter /Standard /V 1 /R 2 /O <{key}> /U <{key}> /P -4 >> /ID [<{key}> <{key}>]"
    )
