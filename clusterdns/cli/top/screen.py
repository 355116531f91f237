"""The frame around a view: the server, the names of the views, notes, keys, and which part of the view is seen."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from clusterdns.cli.top.cells import BAD, DOUBTFUL, FAINT, GOOD, HEADING, ViewSpace
from clusterdns.cli.top.document import TopPicture
from clusterdns.cli.top.views import VIEWS, has_blocks

KEYS = ("q quit", "tab next view", "p pause", "? help", "1-6 view", "arrows scroll")
HELP = (
    ("q, Ctrl-C", "quit"), ("tab, right", "next view"), ("left", "previous view"), ("1 to 6", "a view"),
    ("up, down", "scroll a line"), ("PgUp, PgDn", "scroll a screen"), ("Home, End", "to the first or last line"),
    ("p", "pause, and go on"), ("Ctrl-L", "draw again"), ("?", "this help, and back"),
)  # fmt: skip
MAX_NOTE_LINES = 4
MIN_FRAMED_HEIGHT = 6  # lines; on less there is the view alone

Line = list[Segment]


@dataclass
class TopScreen:
    """What the user has chosen to see, and the picture that is shown."""

    server: str
    picture: TopPicture
    note: str = ""
    view: int = 0
    offset: int = 0
    is_paused: bool = False
    shows_help: bool = False
    _last_offset: int = field(default=0, init=False)  # that shows the end of the view
    _body_height: int = field(default=1, init=False)

    def press(self, key: str) -> bool:
        """Do what a key stands for; returns whether the user quits."""
        if key in ("q", "Q", "quit"):
            return True
        if key.isdigit() and 1 <= int(key) <= len(VIEWS):
            self._choose(int(key) - 1)
        elif key in ("tab", "right", "left", "back tab"):
            self._choose((self.view + (1 if key in ("tab", "right") else -1)) % len(VIEWS))
        elif key in ("p", "P"):
            self.is_paused = not self.is_paused
        elif key in ("?", "h"):
            self.shows_help, self.offset = not self.shows_help, 0
        else:
            self._scroll(key)
        return False

    def _choose(self, view: int) -> None:
        self.view, self.offset, self.shows_help = view, 0, False

    def _scroll(self, key: str) -> None:
        page = max(1, self._body_height - 1)
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -page, "page down": page}
        ends = {"home": 0, "end": self._last_offset}
        wanted = ends.get(key, min(self.offset, self._last_offset) + steps.get(key, 0))
        self.offset = min(max(wanted, 0), self._last_offset)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the screen, a line of segments for each of the terminal's lines."""
        width, height = options.max_width, options.height or console.height
        space = ViewSpace(width, has_blocks(console.encoding))
        is_framed = height >= MIN_FRAMED_HEIGHT
        head = _lines(console, options, self._head(width)) if is_framed else []
        note = _lines(console, options, [Text(self.note, BAD, overflow="fold")])[:MAX_NOTE_LINES] if self.note else []
        body = _lines(console, options, _help() if self.shows_help else VIEWS[self.view].draw(self.picture, space))
        self._body_height = max(1, height - len(head) - len(note) - is_framed)
        self._last_offset = max(0, len(body) - self._body_height)
        self.offset = min(self.offset, self._last_offset)
        shown = body[self.offset : self.offset + self._body_height]
        filler: list[Line] = [[]] * (self._body_height - len(shown))
        foot = _lines(console, options, [self._foot(width, len(body))]) if is_framed else []
        for line in [*head, *shown, *filler, *note, *foot][:height]:
            yield from line
            yield Segment.line()

    def _head(self, width: int) -> Iterator[Text]:
        state = self.picture.state
        title = Text(f"clusterdns {self.picture.version} ", HEADING, no_wrap=True, overflow="ellipsis")
        title.append(state, GOOD if state == "current" else BAD).append(f"  {self.server}", FAINT)
        clock = self.picture.at[11:19]
        yield title.append(f"  {clock}", FAINT)
        names = [f"{number} {view.name}" for number, view in enumerate(VIEWS, 1)]
        if sum(len(name) + 2 for name in names) <= width:
            yield Text("  ").join(
                Text(name, "reverse" if number == self.view else "") for number, name in enumerate(names)
            )
        else:
            yield Text(f"{names[self.view]} (of {len(VIEWS)})", "reverse", no_wrap=True, overflow="ellipsis")

    def _foot(self, width: int, line_count: int) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        if self.is_paused:
            text.append("PAUSED ", DOUBTFUL)
        if self._last_offset:
            last = min(line_count, self.offset + self._body_height)
            text.append(f"{self.offset + 1}-{last} of {line_count} ", DOUBTFUL)
        for key in KEYS:
            if text.cell_len + len(key) + 2 <= width:
                text.append(f" {key} ", FAINT)
        return text


def _help() -> Iterator[Text]:
    for key, meaning in HELP:
        yield Text(f"{key:<12}", HEADING).append(meaning, "not bold")


def _lines(console: Console, options: ConsoleOptions, parts: Iterable[RenderableType]) -> list[Line]:
    """Draw parts below each other, as lines that may be more than the screen has."""
    return console.render_lines(Group(*parts), options.update(height=None), pad=False)
