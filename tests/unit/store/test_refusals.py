import email.utils
import inspect
import time

import botocore.exceptions
import pytest

from segnets.errors import Conflict, Denied, Misconfigured, NotFound, OutOfSpace, Unavailable
from segnets.store.refusals import TABLE, bad_tls, explain_refusal
from segnets.store.s3 import explain


def refuse(code="", status=400, message="", date=None):
    return explain_refusal(code, status, message, "bucket b at http://s", date)


@pytest.mark.parametrize("code", sorted(TABLE))
def test_every_code_of_the_table_is_a_sentence_with_a_next_step(code):
    fault = refuse(code)
    assert type(fault) is TABLE[code][0]
    assert str(fault).endswith(".")
    assert "bucket b at http://s" in str(fault)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (404, NotFound),
        (412, Conflict),
        (401, Denied),
        (403, Denied),
        (301, Misconfigured),
        (400, Misconfigured),
    ],
)
def test_an_unknown_code_is_judged_by_its_status_and_shown(status, kind):
    fault = refuse("NeverHeardOf", status, "its own words")
    assert type(fault) is kind
    assert kind is Conflict or "NeverHeardOf: its own words" in str(fault)


def test_a_skewed_clock_is_told_with_its_offset_and_direction():
    date = email.utils.formatdate(time.time() + 1200, usegmt=True)
    fault = refuse("RequestTimeTooSkewed", 403, "", date)
    assert type(fault) is Misconfigured
    assert "s behind the server's" in str(fault)
    assert 1190 <= int(str(fault).split("machine is ")[1].split(" ")[0]) <= 1210
    assert "too far apart" in str(refuse("RequestTimeTooSkewed", 403, "", None))


def test_a_full_disk_behind_a_500_is_no_reason_to_wait():
    fault = refuse("InternalError", 500, "write /data/x: no space left on device")
    assert type(fault) is OutOfSpace


def test_plain_http_to_a_tls_port_says_what_to_write():
    fault = refuse("400", 400, "Client sent an HTTP request to an HTTPS server.")
    assert "Write https in AWS_ENDPOINT_URL" in str(fault)
    assert "Write http in AWS_ENDPOINT_URL" in str(bad_tls("[SSL] wrong version number", "there"))
    assert "AWS_CA_BUNDLE" in str(bad_tls("self-signed certificate", "there"))


def every_client_error():
    for name, kind in inspect.getmembers(botocore.exceptions, inspect.isclass):
        if (
            issubclass(kind, Exception)
            and not issubclass(kind, Warning)
            and kind.__module__ == "botocore.exceptions"
        ):
            yield pytest.param(kind, id=name)


@pytest.mark.parametrize("kind", list(every_client_error()))
def test_nothing_that_boto3_raises_reaches_a_user_as_a_traceback(kind):
    error = kind.__new__(kind)
    Exception.__init__(error, "boto3's words")
    error.kwargs = {}
    if issubclass(kind, botocore.exceptions.ClientError):
        error.response = {"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": 500}}
    fault = explain(error, "bucket b")
    assert fault.exit_code == 4
    assert "bucket b" in str(fault)


def test_an_error_without_an_answer_is_explained_too():
    error = botocore.exceptions.HTTPClientError(error=OSError("cut"))
    assert type(explain(error, "b")) is Unavailable
    error = botocore.exceptions.ClientError.__new__(botocore.exceptions.ClientError)
    error.response = None
    assert type(explain(error, "b")) is Misconfigured


def test_a_bug_of_ours_keeps_its_traceback():
    with pytest.raises(KeyError):
        explain(KeyError("x"), "b")
