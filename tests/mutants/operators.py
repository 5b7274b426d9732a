"""Small changes to C that a test should notice."""

import re
from dataclasses import dataclass

# Comments, strings, characters, lines of the preprocessor, and assertions, which
# are no part of what the program does.
MASKED = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\''
    r"|^[ \t]*#(?:\\\n|[^\n])*|\b(?:static_)?assert\([^;]*;",
    re.DOTALL | re.MULTILINE)
# An array that is larger does the same.
SIZES = re.compile(r"^\s+(?:[a-z_]\w*[ *]+)+\w+((?:\[[^]\n]*\])+)[^(\n]*;",
                   re.MULTILINE)
BODY = re.compile(r"^\{\n.*?^\}", re.DOTALL | re.MULTILINE)

SWAPPED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
           "&&": "||", "||": "&&"}
OPERATOR = re.compile(r"(?<=[ )\w\]])\s(<=?|>=?|==|!=|&&|\|\|)\s")
CONDITION = re.compile(r"\b(?:if|while) \(")
NUMBER = re.compile(r"(?<![\w.])(\d+)(?:[UL]+)?(?![\w.])")
RETURN = re.compile(r"\breturn ([^;]+);")
OTHER = {"0": "-1", "-1": "0", "true": "false", "false": "true", "1": "0"}
START = r"(?<=[;{}:)\n])(\s+)"
CALL = re.compile(START + r"((?:\(void\))?[a-z_]\w*\([^;]*\));")
ASSIGNMENT = re.compile(
    START + r"([(*]*[a-z_][\w.()*&-]*(?:(?:->|\[[^\n;]*?\])[\w.>-]*)*"
    r" (?:[-+*/%|&^]|<<|>>)?= [^;{]*);")
STEP = re.compile(START + r"([*(]*[a-z_][\w.>()-]*(?:\+\+|--)|break|continue);")
KEYWORDS = re.compile(r"(?:\(void\))?(?:if|for|while|switch|return|sizeof|else"
                      r"|do)\b")


@dataclass(frozen=True)
class Mutation:
    kind: str
    begin: int
    end: int
    text: str  # instead of what is between begin and end

    def apply(self, source):
        return source[:self.begin] + self.text + source[self.end:]


def mask(source):
    """The source with spaces for all that is not to be changed."""
    text = MASKED.sub(lambda found: re.sub(r"[^\n]", " ", found.group()),
                      source)
    inside = bytearray(len(text))
    for body in BODY.finditer(text):
        inside[body.start():body.end()] = b"\1" * (body.end() - body.start())
    return "".join(character if inside[at] or character == "\n" else " "
                   for at, character in enumerate(text))


def closing(text, at):
    """The place of the parenthesis that closes the one at a place."""
    depth = 0
    for place in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    raise ValueError("an open parenthesis")


def conditions(text, source):
    for found in CONDITION.finditer(text):
        begin, end = found.end(), closing(text, found.end() - 1)
        yield Mutation("negate a condition", begin, end,
                       f"!({source[begin:end]})")


def operators(text):
    for found in OPERATOR.finditer(text):
        sign = found.group(1)
        kind = ("swap && and ||" if sign in ("&&", "||")
                else "swap a comparison")
        yield Mutation(kind, *found.span(1), SWAPPED[sign])


def numbers(text):
    sizes = {place for found in SIZES.finditer(text)
             for place in range(*found.span(1))}
    for found in NUMBER.finditer(text):
        if found.start() in sizes:
            continue
        yield Mutation("off by one", *found.span(1),
                       str(int(found.group(1)) + 1))


def returns(text):
    for found in RETURN.finditer(text):
        value = found.group(1).strip()
        yield Mutation("return another constant", *found.span(1),
                       OTHER.get(value, "0"))


def statements(text):
    for kind, pattern in (("remove a call", CALL),
                          ("skip an assignment", ASSIGNMENT),
                          ("drop a statement", STEP)):
        for found in pattern.finditer(text):
            whole = found.group(2).count("(") == found.group(2).count(")")
            if whole and not KEYWORDS.match(found.group(2)):
                yield Mutation(kind, *found.span(2), "")


def mutations(source):
    """All mutations of a source file, in the order of their places."""
    text = mask(source)
    found = [*conditions(text, source), *operators(text), *numbers(text),
             *returns(text), *statements(text)]
    return sorted(found, key=lambda each: (each.begin, each.kind))
