"""Object storage through boto3: the only file that imports it."""

import boto3  # noqa: F401
