"""From a letter to the message on the wire: RFC 5322 headers, plain text, and HTML beside it.

Every header is set through `email.message`, which refuses line breaks. The message of one outbox row is
the same bytes in its headers at every attempt, so that a receiver knows the second copy.
"""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from typing import Final

from service_kit.mail.letter import Letter

_CTE: Final = "quoted-printable"
"""No line grows over the limit of the protocol, however long a link is."""


def compose(letter: Letter, *, sender: str, message_id: str, created_at: datetime) -> EmailMessage:
    """The message. `message_id` is the stable id of its outbox row."""
    message = EmailMessage(policy=SMTP)
    name, address = parseaddr(sender)
    message["From"] = Address(name, addr_spec=address)
    message["To"] = Address(addr_spec=letter.to)
    message["Subject"] = letter.subject
    message["Date"] = created_at
    message["Message-ID"] = f"<{message_id}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    message.set_content(letter.text, charset="utf-8", cte=_CTE)
    if letter.html:
        message.add_alternative(letter.html, subtype="html", charset="utf-8", cte=_CTE)
        # Ours, so that it is the same at every attempt; "=" stands in no quoted-printable text as it is.
        message.set_boundary(f"=_{message_id}")
    return message
