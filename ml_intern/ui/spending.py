"""What of a budget is used, in words for a person. What nobody knows is said to be unknown, never zero."""

from __future__ import annotations

from ml_intern.session.state import State


def spending(state: State, seconds: float) -> str:
    """Model calls, money with what is held, wall clock; each with its limit where it has one."""
    settings = state.settings
    parts = [f"model calls {state.iterations}{_of(settings.get('max_iterations'), '/{:d}')}"]
    if state.cost_usd or state.cost_unknown or state.held + state.held_open or settings.get("budget_usd") is not None:
        parts.append(f"{money(state)}{_of(settings.get('budget_usd'), ' of ${:.2f}')}")
    parts.append(f"{seconds:.0f} s{_of(settings.get('time_limit'), ' of {:.0f} s')}")
    return "   ".join(parts)


def money(state: State) -> str:
    """Dollars spent; held is what calls without an end may cost yet."""
    known = f"${state.cost_usd:.4f}"
    if state.cost_unknown:
        known = f"cost unknown, {known} of it known" if state.cost_usd else "cost unknown"
    held = (state.held + state.held_open) / 1e6
    return f"{known} + ${held:.4f} held" if held else known


def _of(limit: float | None, shape: str) -> str:
    return "" if limit is None else shape.format(limit)
