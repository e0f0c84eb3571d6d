"""What an S3 server's refusal means: its error code -> our fault, in words, with a next step.

No boto3 here: the client hands over code, status and the server's date. A code that is not in the table
is judged by its status, and its own text is shown.
"""

import email.utils
import time

from segnets.errors import (
    Conflict,
    Denied,
    Misconfigured,
    NotFound,
    OutOfSpace,
    StoreError,
    Unavailable,
)

_KEYS = "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the profile)."
_RIGHTS = "Give this key the rights to get, put, delete and list there."
_BUCKET = "Create the bucket, or correct the name in the URL."
_LATER = "Check that the server runs; the same command again goes on from what was saved."

TABLE: dict[str, tuple[type[StoreError], str, str]] = {
    "NoSuchKey": (NotFound, "an object is not in the store", "List what is there."),
    "PreconditionFailed": (Conflict, "the key is taken", "Another process wrote it."),
    "NoSuchUpload": (NotFound, "the server has forgotten an upload", _LATER),
    "InvalidPart": (
        NotFound,
        "the server has lost a part of an upload, as one with a full disk does",
        "Make room on the server's disk.",
    ),
    "NoSuchBucket": (Misconfigured, "there is no such bucket", _BUCKET),
    "InvalidBucketName": (Misconfigured, "this cannot be the name of a bucket", _BUCKET),
    "PermanentRedirect": (
        Misconfigured,
        "the bucket is in another region",
        "Set AWS_DEFAULT_REGION to the bucket's region.",
    ),
    "AuthorizationHeaderMalformed": (
        Misconfigured,
        "the server wants another region",
        "Set AWS_DEFAULT_REGION to the bucket's region.",
    ),
    "UnsupportedAlgorithm": (Misconfigured, "the server wants signed requests", _KEYS),
    "NotImplemented": (
        Misconfigured,
        "the server does not know this operation",
        "Use another server, or SEGNETS_S3_CONDITIONAL=off if it fails at exclusive writes.",
    ),
    "InvalidAccessKeyId": (Denied, "the server does not know this access key id", _KEYS),
    "SignatureDoesNotMatch": (Denied, "the secret key does not fit the access key id", _KEYS),
    "AccessDenied": (Denied, "the server denies access", _RIGHTS),
    "AllAccessDisabled": (Denied, "the server denies access", _RIGHTS),
    "AccountProblem": (Denied, "the account is blocked", "Ask who runs the server."),
    "ExpiredToken": (Denied, "the session token has expired", "Log in again for a new one."),
    "ExpiredTokenException": (Denied, "the session token has expired", "Log in again."),
    "InvalidToken": (Denied, "the session token is not valid", "Log in again for a new one."),
    "TokenRefreshRequired": (Denied, "the session token has expired", "Log in again."),
    "QuotaExceeded": (OutOfSpace, "the quota of the store is used up", "Make room there."),
    "InsufficientStorage": (OutOfSpace, "the disk of the server is full", "Make room there."),
    "XMinioStorageFull": (OutOfSpace, "the disk of the server is full", "Make room there."),
    "ReadOnlyFileSystem": (OutOfSpace, "the disk of the server is read-only", "Make it writable."),
    "SlowDown": (Unavailable, "the server asks for slower requests", _LATER),
    "RequestTimeout": (Unavailable, "the server waited too long for data", _LATER),
    "InternalError": (Unavailable, "the server met an error of its own", _LATER),
    "ServiceUnavailable": (Unavailable, "the server is not available", _LATER),
    **dict.fromkeys(
        ("BadDigest", "XAmzContentSHA256Mismatch", "MalformedXML", "IncompleteBody"),
        (Unavailable, "a request was damaged on its way", _LATER),
    ),
    "OperationAborted": (Unavailable, "another request holds this key", _LATER),
    "ConditionalRequestConflict": (Unavailable, "another request holds this key", _LATER),
}
"""Error code -> (our class, what happened, what to do next)."""

_FULL = ("no space left", "disk quota exceeded", "not enough space")
_READ_ONLY = ("read-only file system",)


def explain_refusal(
    code: str, status: int, message: str, where: str, server_date: str | None
) -> StoreError:
    """Our fault for what a server answered.

    `where` names endpoint and place, `server_date` is the Date header of the answer. A full disk has no
    code of its own (rclone answers 500 with the words of its operating system), so those few words are
    looked for in the message.
    """
    said = message.lower()
    # rclone says AccessDenied to a clock that is behind, RequestTimeTooSkewed to one that is ahead
    if code == "RequestTimeTooSkewed" or "difference between the request time" in said:
        return Misconfigured(_skew(server_date), where, "Set the clock of this machine.")
    if any(words in said for words in _FULL):
        return OutOfSpace("the disk of the server is full", where, "Make room there.")
    if any(words in said for words in _READ_ONLY):
        return OutOfSpace("the disk of the server is read-only", where, "Make it writable.")
    if "http request to an https server" in said:
        return no_tls(where)
    if code in TABLE:
        kind, what, next_step = TABLE[code]
        return kind(what, where, next_step)
    detail = f"{status} {code}: {message}".strip(": ")
    return _by_status(status, detail, where)


def _by_status(status: int, detail: str, where: str) -> StoreError:
    """Our fault for a code that the table does not have."""
    if status == 429 or status >= 500:
        return Unavailable(f"the server answered {detail}", where, _LATER)
    if status == 404:
        return NotFound(f"the server has no such thing ({detail})", where, _BUCKET)
    if status == 412:
        return Conflict("the key is taken", where, "Another process wrote it.")
    if status in {401, 403}:
        return Denied(f"the server denies access ({detail})", where, f"{_KEYS} {_RIGHTS}")
    if status in {301, 307, 308}:
        return Misconfigured(
            f"the server sends us elsewhere ({detail})",
            where,
            "Set AWS_DEFAULT_REGION and AWS_ENDPOINT_URL to where the bucket is.",
        )
    return Misconfigured(f"the server refused ({detail})", where, "Check AWS_ENDPOINT_URL.")


def no_answer(why: str, where: str) -> Unavailable:
    """Nobody answered, or the line was cut."""
    return Unavailable(
        f"the store does not answer ({why})",
        where,
        "Check that the server runs and that AWS_ENDPOINT_URL names it (https for a TLS port).",
    )


def no_tls(where: str) -> Misconfigured:
    """Plain HTTP was spoken to a TLS port."""
    return Misconfigured(
        "the server speaks TLS and was asked without it", where, "Write https in AWS_ENDPOINT_URL."
    )


def bad_tls(why: str, where: str) -> Misconfigured:
    """No TLS connection: wrong authority, wrong name, or no TLS at all."""
    if "wrong version number" in why.lower() or "record layer" in why.lower():
        return Misconfigured(
            "the server speaks no TLS", where, "Write http in AWS_ENDPOINT_URL, or another port."
        )
    return Misconfigured(
        f"the server's certificate is not accepted ({why})",
        where,
        "Set AWS_CA_BUNDLE to the file of the authority that signed it.",
    )


def _skew(server_date: str | None) -> str:
    try:
        parsed = email.utils.parsedate_to_datetime(server_date or "")
    except ValueError:
        return "the clocks of this machine and of the server are too far apart"
    apart = time.time() - parsed.timestamp()
    way = "ahead of" if apart > 0 else "behind"
    return f"the clock of this machine is {abs(apart):.0f} s {way} the server's"
