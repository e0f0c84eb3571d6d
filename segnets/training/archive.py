"""What a file must look like before torch.load is let near it.

`weights_only=True` runs no code, but it unpacks deflated records (400 MB of zeros are 400 KB in a zip)
and calls `bytearray(3_000_000_000)` for whoever asks. So: records stored as they are, no more of them
than there are bytes, and a pickle that names nothing but what a state is made of.
"""

import io
import pickletools
import re
import zipfile

from segnets.training.state import unusable

_MADE_OF = re.compile(
    r"torch\._utils _rebuild_tensor_v2|collections OrderedDict|torch [A-Za-z0-9]+Storage"
)
_REFUSED = frozenset(
    {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD", "EXT1", "EXT2", "EXT4"}
)
"""Other ways than GLOBAL and REDUCE to name and call something; torch.save writes none of them here."""


def check_archive(data: bytes, where: str, also: re.Pattern[str] | None = None) -> None:
    """Corrupt unless `data` is a zip of plain records whose pickle holds tensors and plain values.

    `also` are names that are allowed besides, whose objects may be built from a state.
    """
    refused = _REFUSED if also is None else _REFUSED - {"BUILD"}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            records = archive.infolist()
            if any(one.compress_type != zipfile.ZIP_STORED for one in records):
                raise unusable("a record of it is compressed", where)
            if sum(one.file_size for one in records) > len(data):
                raise unusable("its records claim more bytes than it has", where)
            names = [one.filename for one in records if one.filename.endswith("/data.pkl")]
            if len(names) != 1 or len({one.filename for one in records}) < len(records):
                raise unusable("it is no archive of torch", where)
            for operation, argument, _ in pickletools.genops(archive.read(names[0])):
                if operation.name in refused:
                    raise unusable(f"it asks for an object ({operation.name})", where)
                if operation.name != "GLOBAL" or _MADE_OF.fullmatch(str(argument)):
                    continue
                if also is None or not also.fullmatch(str(argument)):
                    raise unusable(f"it asks for {str(argument)[:80]!r}", where)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError) as error:
        raise unusable(f"it is no whole archive ({type(error).__name__})", where) from None
