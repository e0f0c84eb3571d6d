"""Bytes by key, safely: sealed logs, bags and blobs in a folder or in object storage."""
