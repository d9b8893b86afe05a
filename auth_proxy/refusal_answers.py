"""What a client is told of a refusal, and the answers that several reasons share.

They are shared on purpose: a forger learns nothing from which of the reasons it was.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is told, and what a person can do about it.

    `plain` answers are bare text, as the seed documents give them byte for byte.
    """

    status: int
    code: str
    error: str
    why: str
    fix: str
    plain: bool = False
    retry_after: int | None = None


def bad_shape(why: str) -> Answer:
    return Answer(
        400,
        "BAD_REQUEST_SHAPE",
        "Bad request",
        why,
        "Send the request in its plain, unambiguous form.",
    )


def too_slow(why: str) -> Answer:
    fix = "Send the request again over a connection that holds."
    return Answer(408, "REQUEST_TIMEOUT", "Request timed out", why, fix)


def bad_token(why: str, fix: str = "Sign out of Access, sign in again and repeat the request.") -> Answer:
    return Answer(403, "INVALID_ACCESS_TOKEN", "Invalid Access token", why, fix)


def not_a_person(why: str, fix: str) -> Answer:
    return Answer(403, "IDENTITY_TOKEN_REQUIRED", "Identity token required", why, fix)


def spoofed(why: str) -> Answer:
    return Answer(
        403,
        "SPOOFED_IDENTITY_HEADER",
        "Spoofed identity header",
        why,
        "Remove the header: identity comes from the Access token alone.",
    )


def not_enrolled(why: str) -> Answer:
    fix = "Ask a super_admin for an enrollment token and enter it at /enrollment."
    return Answer(403, "ENROLLMENT_REQUIRED", "Not authorized", why, fix)


def no_such_method(why: str, fix: str) -> Answer:
    return Answer(405, "METHOD_NOT_ALLOWED", "Method not allowed", why, fix)
