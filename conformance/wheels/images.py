# Counts the device images inside a library: `images.py libtorch_cuda.so`.
#
# One line a kind, architecture and compression. softgpu executes PTX; what has none cannot run on
# it. Layout of containers and entries: the fat binaries that nvcc writes.

import collections
import mmap
import struct
import sys

KINDS = {1: "PTX", 2: "cubin", 8: "LTO-IR"}
MAGIC = struct.pack("<I", 0xBA55ED50)


def entries(data):
    """(kind, architecture, compression) of every entry of every container."""
    at = data.find(MAGIC)
    while at >= 0:
        version, header, size = struct.unpack_from("<HHQ", data, at + 4)
        end = at + header + size
        if version == 1 and header == 16 and end <= len(data):
            entry = at + header
            while entry + 64 <= end:
                kind, _, header, length = struct.unpack_from("<HHIQ", data, entry)
                if header < 64:
                    break
                architecture, = struct.unpack_from("<I", data, entry + 28)
                flags, = struct.unpack_from("<Q", data, entry + 40)
                packing = "zstd" if flags & 0x8000 else "LZ4" if flags & 0x2000 else "raw"
                yield KINDS.get(kind, str(kind)), architecture, packing
                entry += header + length
        at = data.find(MAGIC, at + 16)


for path in sys.argv[1:]:
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        for (kind, architecture, packing), count in sorted(
            collections.Counter(entries(data)).items()
        ):
            print(f"{path}: {count} {kind} for {architecture}, {packing}")
