"""OpenAI's client as litellm uses it, but for one thing that it does with every message of every request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ml_intern.llm.providers import Access

_CERTIFICATES = ("SSL_VERIFY", "SSL_CERTIFICATE", "SSL_SECURITY_LEVEL", "SSL_ECDH_CURVE")


def openai_client(reach: Access, environment: Mapping[str, str] = os.environ) -> Any:
    """A client to be given to litellm, or None where litellm should make its own: without a key (it has the words for
    that), and where certificates are a matter of litellm's own variables.

    The client walks along the types of all messages and tools to see what is spelled otherwise on the wire. Nothing in
    them is, and the walk grows with the conversation: a third of a call at a hundred messages. So they go round it, in
    `extra_body`, whose entries stand in the body as they are.
    """
    key = reach.key or environment.get("OPENAI_API_KEY", "")
    if not key or any(environment.get(name) for name in _CERTIFICATES):
        return None
    import openai

    base = reach.base_url or environment.get("OPENAI_BASE_URL") or environment.get("OPENAI_API_BASE")
    client = openai.OpenAI(
        api_key=key,
        base_url=base or None,
        organization=environment.get("OPENAI_ORGANIZATION") or None,
        max_retries=0,
    )
    walk = client.chat.completions.create

    def create(*, messages: object, **given: Any) -> Any:
        body: dict[str, object] = {"messages": messages} | (given.pop("extra_body", None) or {})
        if given.get("tools"):
            body["tools"] = given.pop("tools")
        return walk(messages=[], extra_body=body, **given)

    setattr(client.chat.completions, "create", create)  # noqa: B010 -- mypy forbids it as an assignment
    return client
