"""Whose code an unexpected error comes from: a plugin's, or frx's own."""

from __future__ import annotations

import os
import traceback

from frx.registry import DEBUG_VARIABLE, components


def culprit(error: BaseException) -> str | None:
    """A sentence about the plugin of another package in whose code `error` arose, if in one.

    With FRX_PLUGIN_DEBUG=1 the traceback is printed, too: in a loading process nobody else can.
    """
    others = {c.module.partition(".")[0]: c for c in components() if not c.is_ours}
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", ""))
        if (owner := others.get(module.partition(".")[0])) is None:
            continue
        if os.environ.get(DEBUG_VARIABLE):
            traceback.print_exception(error)
        named = next((c for c in components() if c.module == module and not c.is_ours), None)
        what = f"the {named.kind} {named.name!r}" if named else f"the module {module}"
        reason = str(error).strip().partition("\n")[0] or "no message"
        return (
            f"{what} of the package {owner.package} {owner.version} failed: "
            f"{type(error).__name__}: {reason} ({module}, line {line}; "
            f"{DEBUG_VARIABLE}=1 shows the traceback)"
        )
    return None
