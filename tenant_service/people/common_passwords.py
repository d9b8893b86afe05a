"""Which passwords everybody guesses first: words, years and runs of keys, in whatever dress.

No list is copied: a password is common when little of it is left once the best known words, years, runs
and repetitions are taken out (data-model 2.5). It judges no length.
"""

import re
import unicodedata
from typing import Final

_LEAST_OWN: Final = 3
"""So many letters or digits must be left that are none of the above."""

_LEAST_DISTINCT: Final = 5
_RUN: Final = 4

_WORDS: Final = """
    password passwort motdepasse contrasena senha passphrase passwd secret geheim login welcome willkommen
    bienvenue admin administrator root superuser user username guest default changeme letmein opensesame
    master manager support service system server database company office business account
    private public internal
    iloveyou loveyou lovely love forever always sweetheart darling babygirl princess prince queen king angel
    monkey dragon tiger lion eagle falcon phoenix unicorn butterfly dolphin panther kitten puppy
    football baseball basketball soccer hockey cricket liverpool arsenal chelsea barcelona madrid juventus
    superman batman spiderman pokemon pikachu starwars matrix hunter ranger warrior ninja killer shadow
    sunshine rainbow flower summer winter spring autumn monday friday sunday january february march april may
    june july august september october november december
    michael jordan jessica jennifer ashley michelle daniel thomas robert charlie andrew matthew joshua anthony
    nicole amanda samantha elizabeth alexander christian
    computer internet samsung google facebook instagram whatsapp microsoft windows apple iphone android
    linkedin youtube twitter amazon netflix
    cheese chocolate cookie banana orange pepper ginger coffee pizza whiskey
    freedom jesus christ heaven blessed god money dollar success lucky diamond silver golden gold purple
    trustno mustang ferrari porsche mercedes harley corvette yamaha
    hello hallo goodbye whatever nothing something test testing tester example sample demo temp temporary
    correct horse battery staple the and this that my your our you not for very strong secure safe
    access allow please enter key keys code pass word new old one two three four five six seven eight nine ten
    london paris berlin india america canada australia germany france mumbai delhi
    krishna ganesh bharat lakshmi
""".split()  # noqa: SIM905 - a list of two hundred quoted words would be read by nobody

_LOOKS: Final = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", "$": "s", "!": "i"}
)
_ROWS: Final = (
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn",
    "1q2w3e4r5t6y7u8i9o0p",
    "qazwsxedcrfvtgb",
)
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_REPEATED: Final = re.compile(r"(.{1,6}?)\1{2,}")
_WORD: Final = re.compile("|".join(sorted((re.escape(word) for word in _WORDS), key=len, reverse=True)))
_NO_OWN: Final = re.compile(r"[\W_]+")


def is_common(password: str) -> bool:
    """Whether somebody who knows nobody here would try it early."""
    folded = unicodedata.normalize("NFKD", password).casefold()
    if len(set(folded)) < _LEAST_DISTINCT:
        return True
    # Years and runs go first: as letters, their digits would look like somebody's own.
    bare = _without_runs(_YEAR.sub(" ", _REPEATED.sub(r"\1", folded)))
    return any(_left_of(form) < _LEAST_OWN for form in (bare, bare.translate(_LOOKS)))


def _left_of(text: str) -> int:
    """How many letters and digits are its own."""
    return len(_NO_OWN.sub("", _WORD.sub(" ", text)))


def _without_runs(text: str) -> str:
    for row in _ROWS:
        for line in (row, row[::-1]):
            for start in range(len(line) - _RUN + 1):
                run = line[start : start + _RUN]
                while run in text:
                    text = _cut(text, line, start)
    return text


def _cut(text: str, line: str, start: int) -> str:
    """The text without the longest run of the line that begins there."""
    for end in range(len(line), start + _RUN - 1, -1):
        if line[start:end] in text:
            return text.replace(line[start:end], " ", 1)
    return text
