"""Writes what follows from the source: a part of docs/corefile.md, and the man pages and completion scripts of share/.

`make docs` runs it; `tests/house/test_docs.py` fails where these and the source differ. In docs/corefile.md it is a
section per directive and the table of all; what stands above the mark is written by hand. The files of share/ are part
of the wheel, which cannot make them when it is built, because the commands need the libraries of the program.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from clusterdns.chain import Doc, Plugin
from clusterdns.cli import KUBECTL_PROGRAM
from clusterdns.cli.commands import COMMANDS
from clusterdns.cli.generated.completion import script
from clusterdns.cli.generated.man import page as man_page
from clusterdns.plugins.order import ORDER, REFUSED, plugin

SHARE = Path(__file__).parents[1] / "share"
PAGE = Path(__file__).parent / "corefile.md"
MARK = "<!-- from here on made by `make docs` from clusterdns/plugins -->\n"


def page(by_hand: str) -> str:
    """The whole page, given what is written by hand."""
    return by_hand + MARK + "\n" + "\n".join([*_directives(), *_all()])


def by_hand() -> str:
    """What stands above the mark now."""
    return PAGE.read_text(encoding="utf-8").partition(MARK)[0]


def _directives() -> Iterator[str]:
    yield "## Directives\n"
    yield "In the order in which they work, whatever their order in the file.\n"
    for name in ORDER:
        yield from _section(name, plugin(name).doc)


def _section(name: str, doc: Doc) -> Iterator[str]:
    yield f"### {name}\n"
    yield "```text\n" + "".join(f"{form}\n" for form in doc.usage) + "```\n"
    yield f"{doc.about}\n"
    if doc.options:
        yield "| option | without it | what |\n|---|---|---|"
        yield "".join(
            f"| `{_cell(one.usage)}` | {_cell(one.default)} | {_cell(one.meaning)} |\n" for one in doc.options
        )
    if doc.example:
        lines = doc.example.strip("\n").splitlines()
        yield "```corefile\n. {\n" + "".join(f"    {line}\n" for line in lines) + "}\n```\n"
    if doc.better:
        yield f"Better than CoreDNS: {doc.better}\n"


def _all() -> Iterator[str]:
    yield "## Every directive of CoreDNS\n"
    yield "| directive | same | better | refused |\n|---|---|---|---|"
    rows = [(name, _state(plugin(name))) for name in ORDER] + [(name, 2) for name in REFUSED] + [("import", 0)]
    yield "".join(f"| `{name}` | {' | '.join(_marks(state))} |\n" for name, state in sorted(rows))
    yield (
        "A Corefile with a refused directive does not start: the error names file, line and word. `import`\n"
        "is part of the grammar."
    )
    yield ""


def _state(one: Plugin) -> int:
    return 1 if one.doc.better else 0


def _marks(state: int) -> Iterable[str]:
    return ("x" if column == state else "" for column in range(3))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def shared_files() -> dict[str, str]:
    """The files of share/ by path: each command's man page, and a completion script per program and shell."""
    found = {"man/man1/clusterdns.1": man_page("clusterdns")}
    found |= {f"man/man1/clusterdns-{row.name}.1": man_page("clusterdns", row.name) for row in COMMANDS}
    for file, program in (("clusterdns", "clusterdns"), ("coredns", "coredns"), ("kubectl-dns", KUBECTL_PROGRAM)):
        found[f"bash-completion/completions/{file}"] = script(program, "bash")
        found[f"zsh/site-functions/_{file.replace('-', '_')}"] = script(program, "zsh")  # as its function is called
        found[f"fish/vendor_completions.d/{file}.fish"] = script(program, "fish")
    return found


def existing_files() -> dict[str, str]:
    """The files of share/ as they are."""
    paths = (path for path in SHARE.rglob("*") if path.is_file())
    return {str(path.relative_to(SHARE)): path.read_text(encoding="utf-8") for path in paths}


def write_all() -> None:
    """Write the page and the files of share/, and remove those that have no source any more."""
    PAGE.write_text(page(by_hand()), encoding="utf-8")
    for stale in existing_files().keys() - shared_files().keys():
        (SHARE / stale).unlink()
    for name, text in shared_files().items():
        (SHARE / name).parent.mkdir(parents=True, exist_ok=True)
        (SHARE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_all()
