"""The sender of the outbox's mail queue: opens the letter, composes the message, hands it over."""

from service_kit.jobs.delivering import NeverWorksError, Outgoing
from service_kit.mail.address import parse_mail_address
from service_kit.mail.composing import compose
from service_kit.mail.letter import Letter
from service_kit.mail.transports import Transport, transport_of


class MailSender:
    """A `service_kit.jobs.delivering.Sender`."""

    def __init__(self, transport: Transport, sender: str) -> None:
        self._transport = transport
        self._sender = sender

    @classmethod
    def of_url(cls, url: str, sender: str) -> "MailSender":
        """Raises ValueError for a URL that `parse_mail_address` refuses."""
        return cls(transport_of(parse_mail_address(url)), sender)

    async def send(self, message: Outgoing) -> None:
        try:
            letter = Letter.of_payload(message.payload)
        except (ValueError, KeyError, TypeError):
            raise NeverWorksError("NOT_A_LETTER") from None
        made = compose(letter, sender=self._sender, message_id=message.id, created_at=message.created_at)
        await self._transport.send(made, name=message.id)
