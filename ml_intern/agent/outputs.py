"""Where outputs of one piece of work are kept: blobs of its session that its log names, so that a resume has them."""

from __future__ import annotations

from ml_intern.agent.context import Context
from ml_intern.tools.outputs import Outputs


def kept_outputs(context: Context, purpose: str) -> Outputs:
    """Those that were kept for `purpose` before, and room for more. Nothing but what was put in comes out again."""
    events = context.log.events
    known = [e.data["digest"] for e in events if e.type == "output.kept" and e.data["purpose"] == purpose]

    def tell(digest: str) -> None:
        context.emit("output.kept", purpose=purpose, digest=digest)

    return Outputs(context.log.keep, context.folder.blobs.text, tell, known)
