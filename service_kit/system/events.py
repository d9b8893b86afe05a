"""What the audit log says of an operator's hand in queues and workflows; a service's catalogue lists both."""

from typing import Final

from service_kit.audit.events import EventType, Severity, Visibility

MESSAGE_RETRIED: Final = EventType(
    name="system.message.retried",
    action="retry_message",
    severity=Severity.NOTICE,
    visibility=Visibility.GLOBAL,
    resource_type="message",
)
"""A message that was given up is tried again; the row says which and for what tenant, never what is in it."""

WORKFLOW_REQUESTED: Final = EventType(
    name="system.workflow.requested",
    action="run_workflow",
    severity=Severity.NOTICE,
    visibility=Visibility.GLOBAL,
    resource_type="workflow",
)
"""A job was asked to run before its time."""
