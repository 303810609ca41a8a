"""Headers of a standard PAX tar, as GNU tar reads them. Pure."""

import base64
import os

from reconciler.node.snapshots import tree
from reconciler.node.snapshots.tree import Entry

_TYPEFLAG = {
    tree.FILE: b"0",
    tree.HARD: b"1",
    tree.LINK: b"2",
    tree.CHAR: b"3",
    tree.BLOCKDEV: b"4",
    tree.FOLDER: b"5",
    tree.FIFO: b"6",
}
_NO_NAMES, _NO_DEVICE, _PADDING = bytes(64), b"0000000\0" * 2, bytes(167)
_CONSTANT = sum(b"ustar\x0000") + 8 * ord(" ")
"""What every block adds to its checksum, in whose place blanks are counted."""
_MAX_OCTAL7 = 0o7777777
_MAX_OCTAL11 = 0o77777777777


def header(entry: Entry, stored: int, *, sparse: bool = False) -> bytes:
    """The tar header of an entry: PAX records for what ustar cannot say, then the ustar block."""
    name = os.fsencode(entry.path if entry.path == "." else f"./{entry.path}")
    link = os.fsencode(entry.target if entry.type != tree.HARD else f"./{entry.target}")
    seconds, nanoseconds = divmod(abs(entry.mtime_ns), 10**9)
    records = [(b"mtime", b"%b%d.%09d" % (b"-" if entry.mtime_ns < 0 else b"", seconds, nanoseconds))]
    if sparse:
        records += [
            (b"GNU.sparse.major", b"1"),
            (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.name", name),
            (b"GNU.sparse.realsize", b"%d" % entry.size),
        ]
        name = b"./GNUSparseFile.0/" + name[-80:]
    if len(name) > 100 or not name.isascii():
        records.append((b"path", name))
    if len(link) > 100 or not link.isascii():
        records.append((b"linkpath", link))
    if entry.uid > _MAX_OCTAL7:
        records.append((b"uid", b"%d" % entry.uid))
    if entry.gid > _MAX_OCTAL7:
        records.append((b"gid", b"%d" % entry.gid))
    if stored > _MAX_OCTAL11:
        records.append((b"size", b"%d" % stored))
    for key, value in entry.xattrs.items():
        records.append((b"SCHILY.xattr." + os.fsencode(key), base64.b64decode(value)))
    body = b"".join(_record(key, value) for key, value in records)
    extended = _block(b"./PaxHeaders/" + name[-80:], entry, len(body), b"x") + body + bytes(-len(body) % 512)
    return extended + _block(name, entry, stored, _TYPEFLAG[entry.type], link)


def filler(length: int) -> tuple[bytes, bytes]:
    """What every tar steps over: a comment of so many bytes in all; gives how it begins, and how it ends.

    Between the two may be anything. `length`: a multiple of 512, and at least 1,024.
    """
    body = length - 512
    entry = Entry(path="", type=tree.FILE, mode=0o600, uid=0, gid=0, mtime_ns=0)
    return _block(b"./PaxHeaders/comment", entry, body, b"g") + b"%d comment=" % body, b"\n"


def pad(length: int) -> bytes:
    """What fills a body up to whole blocks of tar."""
    return bytes(-length % 512)


def _record(key: bytes, value: bytes) -> bytes:
    bare = len(key) + len(value) + 3
    length = bare + len(str(bare))
    if len(str(length)) != len(str(bare)):
        length += 1
    return b"%d %b=%b\n" % (length, key, value)


def _block(name: bytes, entry: Entry, size: int, flag: bytes, link: bytes = b"") -> bytes:
    name, link = name[:100], link[:100]
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        entry.mode,
        entry.uid if entry.uid <= _MAX_OCTAL7 else 0,
        entry.gid if entry.gid <= _MAX_OCTAL7 else 0,
        size if size <= _MAX_OCTAL11 else 0,
        max(0, entry.mtime_ns // 10**9) & _MAX_OCTAL11,
    )
    device = b"%07o\0%07o\0" % entry.device if entry.device != (0, 0) else _NO_DEVICE
    # Of what is not zero alone: a block is mostly zeros, and there are two for each of many small files.
    total = sum(b"%b%b%b%b%b" % (name, numbers, flag, link, device)) + _CONSTANT
    return b"%b%b%06o\0 %b%bustar\00000%b%b%b" % (
        name.ljust(100, b"\0"),
        numbers,
        total,
        flag,
        link.ljust(100, b"\0"),
        _NO_NAMES,
        device,
        _PADDING,
    )
