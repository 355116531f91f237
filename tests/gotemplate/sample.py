"""The data over which templates are executed, here and by peer/main.go, and the outcomes of both."""

import base64
import json
import subprocess
from typing import NamedTuple

from clusterdns.gotemplate import (
    Fields,
    Function,
    StringList,
    StringMap,
    TemplateError,
    TemplateFailed,
    Unsigned,
    parse,
    parse_uint,
)

FUNCTIONS = {"parseInt": parse_uint}
QUESTION = Fields({"Name": "ip-10-0-0-1.example.org.", "Qtype": Unsigned(1, 16)}, "main.question")
SAMPLE = Fields(
    {
        "Zone": "example.org.",
        "Name": "ip-10-0-0-1.example.org.",
        "Class": "IN",
        "Type": "A",
        "Remote": "192.0.2.1",
        "Match": StringList(("ip-10-0-0-1.example.org.", "10", "0", "0a")),
        "Group": StringMap({"a": "10", "b": "ff", "word": "hé<llo", "empty": ""}),
        "Question": QUESTION,
        "Var": {
            "n": 7,
            "f": 1.5,
            "s": "text",
            "t": True,
            "none": None,
            "l": [1, "b", None, 2.5],
            "empty": [],
            "m": {"k": "v", "n": None},
        },
        "Meta": Function("<{}>".format, (str,)),
    },
    "main.data",
)


class Outcome(NamedTuple):
    """The output, or the stage that failed (`parsing` or `execution`) with its error."""

    prints: str | None
    fails: str = ""
    error: str = ""


def execute(text: str) -> Outcome:
    """Parse and execute a template over the sample."""
    try:
        template = parse(text, FUNCTIONS)
    except TemplateError as error:
        return Outcome(None, "parsing", str(error))
    try:
        return Outcome(template.execute(SAMPLE))
    except TemplateFailed as error:
        return Outcome(None, "execution", str(error))


class Peer:
    """The running Go program."""

    def __init__(self, program: str) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def execute(self, text: str) -> Outcome:
        """Have Go parse and execute a template over the sample."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        raw = base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()
        self.process.stdin.write(json.dumps(raw).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if answer["fails"]:
            return Outcome(None, answer["fails"], answer["error"])
        return Outcome(base64.b64decode(answer["prints"]).decode("utf-8", "surrogateescape"))

    def close(self) -> None:
        """End the program."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()
