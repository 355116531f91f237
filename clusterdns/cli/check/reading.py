"""From what a command is given to a parsed Corefile: a file, standard input, or the ConfigMap that kubectl prints.

`source` recognises what is neither, `configmap` has the files of a ConfigMap.
"""

import contextlib
import os
from collections.abc import Iterator

from clusterdns.cli.check import configmap, source
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.load import STDIN, Corefile, load_from_memory, parse


def named(path: str) -> str:
    """Return the name that messages have for a path: `stdin` for standard input."""
    return STDIN if path in ("-", STDIN) else path


@contextlib.contextmanager
def corefile_at(name: str, errors: ErrorList) -> Iterator[tuple[Corefile, str]]:
    """Read and parse a Corefile; mistakes in it are added to `errors`. Raises CorefileError where there is none.

    The second value is the temporary folder that stands for /etc/coredns, with the files of a ConfigMap, until the
    context ends; empty for a Corefile of its own.
    """
    found = _found(name)
    if isinstance(found, str):
        # read once, because it may be a pipe; its imports are on disk
        yield parse(found, name, os.environ, errors=errors), ""
        return
    with configmap.mounted(found, os.environ, errors) as mounted:
        yield mounted


def effective_corefile(name: str, errors: ErrorList) -> Corefile:
    """Read and parse a Corefile as `corefile_at` does, a ConfigMap's with the paths that its files have in the pod.

    Raises CorefileError.
    """
    found = _found(name)
    if isinstance(found, str):
        return parse(found, name, os.environ, errors=errors)
    return load_from_memory(found, os.environ, errors=errors)


def _found(name: str) -> str | dict[str, bytes]:
    """Read the text of a Corefile, or the files of a ConfigMap by mounted path. Raises CorefileError."""
    content = source.read_bytes(name)
    source.refuse_other_formats(content, name)
    documents = source.documents_of(content.decode("utf-8", "replace"), name)
    if documents is None:
        return content.decode("utf-8", "surrogateescape")
    files = configmap.files_of(documents, name)
    if files is None:
        raise source.not_a_corefile(documents, name)
    return files
