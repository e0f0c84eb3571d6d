import subprocess
import sys
from pathlib import Path

import pytest

from segnets.errors import ConfigError, DatasetError, Misconfigured
from segnets.store.open import open_sink, open_source, open_store, resolve_url
from segnets.store.preflight import probe


def test_the_flag_wins_over_the_environment_and_that_over_the_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEGNETS_STORE", raising=False)
    assert resolve_url(None) == str(tmp_path / "store")
    monkeypatch.setenv("SEGNETS_STORE", "other")
    assert resolve_url(None) == str(tmp_path / "other")
    assert resolve_url("~/mine") == str(Path.home() / "mine")
    assert resolve_url("s3://bucket/prefix/") == "s3://bucket/prefix"


def test_an_unknown_scheme_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"this kind of place is not known: gs://b"):
        open_store("gs://b", write=True)
    with pytest.raises(ConfigError, match="the URL names no bucket"):
        open_store("s3://", write=True)
    assert not list(tmp_path.iterdir())


def test_a_writer_makes_the_folder_and_leaves_nothing_else(tmp_path):
    store = open_store(str(tmp_path / "a" / "b"), write=True)
    assert store.conditional
    assert store.list("") == []


def test_a_reader_never_writes_not_even_the_folder(tmp_path):
    store = open_store(str(tmp_path / "nothing"), write=False)
    assert store.list("") == []
    assert not list(tmp_path.iterdir())


def test_a_store_that_gives_back_other_bytes_is_not_trusted(tmp_path, monkeypatch):
    store = open_store(str(tmp_path), write=True)
    monkeypatch.setattr(store, "get", lambda _: b"other")
    with pytest.raises(Misconfigured, match="gives back other bytes"):
        probe(store)
    assert store.list("") == []


def test_a_source_that_is_not_there_is_a_fault_of_the_data(tmp_path):
    with pytest.raises(DatasetError, match="there is no such folder"):
        open_source(str(tmp_path / "nosuch"))


def test_what_goes_into_a_sink_comes_out_of_a_source(tmp_path):
    sink = open_sink(str(tmp_path / "masks"))
    assert sink.get("color/val/A_color.png") is None
    sink.put("color/val/A_color.png", b"1")
    sink.put("color/val/A_color.png", b"2")
    assert sink.get("color/val/A_color.png") == b"2"
    source = open_source(str(tmp_path / "masks"))
    assert [listed.key for listed in source.list()] == ["color/val/A_color.png"]
    assert source.get("color/val/A_color.png") == b"2"
    assert source.local_path("color/val/A_color.png").read_bytes() == b"2"
    assert source.local_path("nosuch") is None


def test_a_folder_store_needs_neither_boto3_nor_torch(tmp_path):
    modules = ["open", "log", "bag", "views", "tables", "gc", "verify", "beat", "preflight"]
    code = "; ".join(f"import segnets.store.{module}" for module in modules)
    code += f"; segnets.store.open.open_store({str(tmp_path)!r}, write=True)"
    code += "; import sys; print({'boto3', 'botocore', 'torch', 'pyarrow'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip()) == (0, "set()"), run.stderr
