"""JSON log lines, with everything that looks like a credential taken out before it is written."""

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TextIO

import structlog

Logger = structlog.stdlib.BoundLogger

_SECRET_NAMES: Final = re.compile(
    r"token(?!_id)|cookie|secret|password|authorization|assertion", re.IGNORECASE
)
_SECRET_TEXT: Final = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # a compact JWS
    r"|(?:enr_|axs_|cfast_)[\w-]{8,}"  # tokens of ours; a service token's secret (access-facts 1.7)
    r"|inv_\w{26}_\w{26}"  # the link of an invitation
    r"|(?i:(?<=cookie: )|(?<=authorization: ))[^\r\n\\'\"]+"  # header lines that a library quotes
    r"|(?<=://)[^\s/@:]{0,256}:[^\s/@]{1,256}(?=@)"  # the user and password of a URL; bounded, so linear
)


class _StaticFields:
    """The step that adds to each line what is the same in all lines of this process."""

    def __init__(self, fields: Mapping[str, str | int]) -> None:
        self.fields = MappingProxyType(dict(fields))

    def __call__(self, _logger: object, _name: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
        return {**self.fields, **event}


def configure_logging(
    service: str,
    *,
    stream: TextIO | None = None,
    level: int = logging.INFO,
    fields: Mapping[str, str | int] = MappingProxyType({}),
) -> None:
    """Set up the process's log once, in `main`: one JSON object a line, on standard error.

    `fields` stand in every line, as the number of a worker does.
    """
    static = _StaticFields({"service": service, **fields})
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            static,
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # A line and its end in one write: workers and children share the stream.
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=True,
    )
    _route_library_logs(stream or sys.stderr, static.fields)


def raw_logger() -> structlog.WriteLogger:
    """Where lines go that are rendered already."""
    logger: structlog.WriteLogger = structlog.get_config()["logger_factory"]()
    return logger


# The same few routes and operators, for ever; bounded for those who make names up.
@lru_cache(maxsize=4096)
def quoted(text: str) -> str:
    """The text as a JSON string, without what looks like a credential."""
    return json.dumps(_SECRET_TEXT.sub("***", text))


def static_fields() -> Mapping[str, str | int]:
    """What each line of this process begins with; for a writer that renders its lines itself.

    Empty before `configure_logging`.
    """
    for step in structlog.get_config()["processors"]:
        if isinstance(step, _StaticFields):
            return step.fields
    return MappingProxyType({})


def redact(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what is named or shaped like a credential with `***`."""
    for key, value in event.items():
        event[key] = "***" if _SECRET_NAMES.search(key) else _redacted(value)
    return event


def _redacted(value: Any) -> Any:
    match value:
        case str():
            return _SECRET_TEXT.sub("***", value)
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {_redacted(name): item for name, item in redact(None, "", _named(value)).items()}
        case (str() | bytes() as name, _) if _SECRET_NAMES.search(str(name)):
            return [_redacted(name), "***"]  # one of a list of headers
        case list() | tuple() | set() | frozenset():
            return [_redacted(item) for item in value]
        case _:
            return _SECRET_TEXT.sub("***", repr(value))  # as the renderer would write it


def _named(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): item for name, item in value.items()}


def get_logger(name: str) -> Logger:
    """A logger that names its module."""
    logger: Logger = structlog.get_logger(logger_name=name)
    return logger


class _RedactingFormatter(logging.Formatter):
    """Libraries log too, and aiohttp's parser quotes the offending bytes: redact those as well."""

    def __init__(self, fields: Mapping[str, str | int]) -> None:
        super().__init__()
        self._render = structlog.processors.JSONRenderer()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        if record.name == "aiohttp.server" and record.exc_info and record.exc_info[0]:
            # Its messages and traces quote the bytes that it could not read: any secret may be in them.
            text = f"{record.msg.partition('%')[0].strip()}: {record.exc_info[0].__name__}"
        else:
            text = super().format(record)
        event = {**self._fields, "logger": record.name, "level": record.levelname.lower()}
        return str(self._render(None, "", {**event, "event": _SECRET_TEXT.sub("***", text)}))


def _route_library_logs(stream: TextIO, fields: Mapping[str, str | int]) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_RedactingFormatter(fields))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").disabled = True
