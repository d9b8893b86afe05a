"""Finding a text within columns, whatever its letters are, on every database.

It knows no table: whoever asks names the columns.
"""

from sqlalchemy import ColumnElement, Text, bindparam, func, or_


def contains(q: str, *columns: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether one of the columns holds the text, in capitals or not.

    The columns are in small letters, or folded by the database's own lower(): it and Python fold letters
    beyond ASCII differently, so the text is folded there too.
    """
    pattern = func.lower(bindparam(None, f"%{_literal(q)}%", type_=Text()))
    return or_(*(column.like(pattern, escape="/") for column in columns))


def _literal(q: str) -> str:
    """The text with LIKE's wildcards made plain."""
    return q.replace("/", "//").replace("%", "/%").replace("_", "/_")
