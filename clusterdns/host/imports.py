"""Imports while queries are answered: of libraries that a start does not need before its first answer.

The import of a large library takes a tenth of a second. In a thread it delays an answer by no more than the
interpreter's switch interval.
"""

import asyncio
import importlib
import threading

from clusterdns.host.authorities import deferred_authorities
from clusterdns.host.collector import collector_paused

_imported: set[str] = set()
_importing = threading.Lock()  # an import changes settings of the process meanwhile


async def import_in_thread(module: str) -> None:
    """Import a module, and what it imports, unless that was done here before."""
    if module not in _imported:
        await asyncio.to_thread(_import, module)


def _import(module: str) -> None:
    with _importing, collector_paused(), deferred_authorities():
        importlib.import_module(module)
    _imported.add(module)
