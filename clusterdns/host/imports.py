"""Imports while queries are answered: of libraries that a start does not need before its first answer.

The import of a large library takes a tenth of a second. In a thread it delays an answer by no more than the
interpreter's switch interval.
"""

import asyncio
import importlib
import threading
from types import ModuleType

from clusterdns.host.authorities import deferred_authorities
from clusterdns.host.collector import collector_paused

importing = threading.Lock()  # held by an import in a thread, which changes settings of the process meanwhile
_imported: dict[str, ModuleType] = {}


async def import_in_thread(module: str) -> ModuleType:
    """Import a module, and what it imports, unless that was done here before; returns it."""
    found = _imported.get(module)
    return found if found is not None else await asyncio.to_thread(_import, module)


def _import(module: str) -> ModuleType:
    with importing, collector_paused(), deferred_authorities():
        found = _imported[module] = importlib.import_module(module)
    return found
