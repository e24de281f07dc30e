#!/usr/bin/env python3
"""Compares the table of calls with NVIDIA's own headers: names, arity, types, versions.

    flexdirect coverage --signatures | check-abi.py INCLUDE_FOLDER

Standard input has one JSON object for each call of the table: name, since, twin, twin_since and the
types of its parameters as the table writes them. The headers go through the C preprocessor, since
macros in them decide the symbols, in each of the three ways in which a program can see them: as
they are, with per-thread default streams, and with every old prototype. cudaTypedefs.h says the
versions.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

# Headers of other vendors that NVIDIA's include, as far as the declarations of calls need them.
STUBS = {
    "GL/gl.h": "typedef unsigned int GLenum, GLuint;",
    "EGL/egl.h": "typedef int EGLint; typedef void *EGLImageKHR, *EGLStreamKHR, *EGLSyncKHR;",
    "EGL/eglext.h": "",
    "vdpau/vdpau.h": "typedef unsigned int VdpDevice, VdpVideoSurface, VdpOutputSurface;"
                     " typedef int VdpStatus; typedef unsigned int VdpFuncId;"
                     " typedef VdpStatus VdpGetProcAddress(VdpDevice, VdpFuncId, void **);",
}
# Of cuda.h the table has every call; of the others only those that runtimes ask for.
HEADERS = ["cuda.h", "cudaGL.h", "cudaEGL.h", "cudaVDPAU.h", "cudaProfiler.h"]
TYPEDEFS = ["cudaTypedefs.h", "cudaGLTypedefs.h", "cudaEGLTypedefs.h", "cudaVDPAUTypedefs.h",
            "cudaProfilerTypedefs.h"]
VIEWS = [[], ["-DCUDA_API_PER_THREAD_DEFAULT_STREAM"], ["-D__CUDA_API_VERSION_INTERNAL"]]

# Exported without a prototype in the headers of the package, each for a reason.
UNDECLARED = {
    "cuGetProcAddress_v2_ptsz": "an inline function of cuda.h, exported for dlsym",
    "cuProfilerInitialize": "its header is in another package",
    "cuProfilerStart": "its header is in another package",
    "cuProfilerStop": "its header is in another package",
}

# C spellings of a number, and the table's.
NUMBERS = {
    "unsigned int": "u32", "unsigned": "u32", "cuuint32_t": "u32", "int": "i32",
    "unsigned long long": "u64", "unsigned long long int": "u64", "cuuint64_t": "u64",
    "unsigned char": "u8", "unsigned short": "u16", "size_t": "usize", "float": "f32",
    "char": "char", "c_char": "char", "void": "void", "c_void": "void", "unsigned long": "u64",
    "GLuint": "u32", "GLenum": "u32",
    "VdpDevice": "u32", "VdpVideoSurface": "u32", "VdpOutputSurface": "u32", "EGLint": "i32",
    "CUresult": "curesultcode",
}
# Foreign handles that the table writes as the pointers they are.
POINTERS = {"EGLImageKHR", "EGLStreamKHR", "EGLSyncKHR"}


def preprocess(include, header, flags, stubs):
    """Text of one header as a compiler sees it."""
    command = ["gcc", "-E", "-P", "-I", str(include), "-I", str(stubs), *flags, "-x", "c",
               str(include / header)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"check-abi: {' '.join(command)}\n{done.stderr}")
    return re.sub(r"__attribute__\s*\(\(.*?\)\)", "", done.stdout)


def c_type(text):
    """Canonical form of a C parameter: base name and one mark for each pointer, outermost last."""
    text = re.sub(r"\bstruct\b|\benum\b", "", text)
    array = "[" in text
    text = re.sub(r"\[.*?\]", "", text).strip()
    tokens = re.findall(r"\w+|\*", text)
    stars = tokens.count("*") + array
    constant = "const" in tokens
    words = [token for token in tokens if token not in ("*", "const")]
    # The last word is the parameter's name, unless it is all there is or part of a number's name.
    if len(words) > 1 and " ".join(words) not in NUMBERS:
        words.pop()
    if words[-1] in POINTERS:
        return "void", stars + 1, constant
    return base(" ".join(words)), stars, constant and stars > 0


def base(name):
    name = NUMBERS.get(name, name)
    return re.sub(r"_", "", name).lower()


def table_type(text):
    """Canonical form of a type of the table."""
    text = text.strip()
    plain = {"InStr": ("char", 1, True), "OutStr": ("char", 1, False),
             "InBytes": ("void", 1, True), "OutBytes": ("void", 1, False)}
    word = re.sub(r"\[.*\]$", "", text)
    if word in plain:
        return plain[word]
    pointer = re.match(r"(?:(?:Out|OptOut|InOut)\s*<(.*)>|\*\s*(?:mut|const)\s+(.*))$", text)
    if pointer:
        name, stars, constant = table_type(pointer[1] or pointer[2])
        return name, stars + 1, constant or text.startswith("*const") or text.startswith("* const")
    return base(text.rsplit("::", 1)[-1]), 0, False


def same(found, wanted):
    """Whether a type of the table has the ABI and the meaning of the C one."""
    if found[1:] != wanted[1:] and not (found[1] == wanted[1] > 1):
        return False
    # `CUDA_MEMCPY2D` and `CUDA_MEMCPY2D_v2` are one type in a header that has only the newest.
    newest = re.compile(r"v[2-9]$")
    return found[0] == wanted[0] or newest.sub("", found[0]) == newest.sub("", wanted[0])


def declarations(include, stubs):
    """Every symbol declared in some view, with its parameter lists; and those of cuda.h."""
    calls = {}
    pattern = re.compile(r"\bCUresult\s+(?:CUDAAPI\s+)?(cu\w+)\s*\(([^;{}]*?)\)\s*;", re.S)
    for header in HEADERS:
        if not (include / header).exists():
            print(f"check-abi: no {header}: its calls are not compared", file=sys.stderr)
            continue
        for flags in VIEWS:
            for name, parameters in pattern.findall(preprocess(include, header, flags, stubs)):
                inside = split(parameters)
                calls.setdefault(name, []).append([c_type(text) for text in inside])
        if header == "cuda.h":
            required = set(calls)
    return calls, required


def split(parameters):
    parameters = " ".join(parameters.split())
    return [] if parameters in ("", "void") else parameters.split(",")


def versions(include, stubs):
    """Versions of each family: plain name to rising versions, by kind of default stream."""
    families = {}
    # Not preprocessed: in the headers as text, one typedef has one name.
    pattern = re.compile(r"\(\s*CUDAAPI\s*\*\s*PFN_(cu\w+?)_v(\d+)(_pt[ds]s?z?)?\s*\)")
    for header in TYPEDEFS:
        if (include / header).exists():
            text = (include / header).read_text()
            for name, version, twin in pattern.findall(text):
                kind = "twin" if twin else "plain"
                families.setdefault((name, kind), set()).add(int(version))
    return {key: sorted(found) for key, found in families.items()}


def family(symbol):
    """Plain name, kind and number of variant of a symbol: cuMemcpyHtoD_v2_ptds."""
    kind = "twin" if re.search(r"_pt(ds|sz)$", symbol) else "plain"
    symbol = re.sub(r"_pt(ds|sz)$", "", symbol)
    variant = re.search(r"_v(\d+)$", symbol)
    return re.sub(r"_v\d+$", "", symbol), kind, int(variant[1]) if variant else 1


def check_versions(symbols, known, complaints):
    """The symbols of a family, sorted by variant, pair with its versions one to one."""
    families = {}
    for symbol, version in symbols.items():
        name, kind, variant = family(symbol)
        families.setdefault((name, kind), []).append((variant, symbol, version))
    for key, found in families.items():
        wanted = known.get(key)
        if wanted is None:
            continue
        found.sort()
        stated = [version for _, _, version in found]
        if len(stated) == len(wanted) and stated != wanted:
            names = ", ".join(symbol for _, symbol, _ in found)
            complaints.append(f"{names}: versions {stated}, header {wanted}")
        elif not set(stated) <= set(wanted):
            complaints.append(f"{key[0]} ({key[1]}): versions {stated}, header {wanted}")
        elif len(stated) != len(wanted):
            print(f"check-abi: {key[0]} ({key[1]}): {stated} of {wanted}", file=sys.stderr)


def read_table(lines):
    table = []
    for line in lines:
        call = json.loads(line)
        twin = call["twin"] and (call["twin"], call["twin_since"])
        table.append((call["name"], call["since"], twin, call["parameters"]))
    return table


def shown(types):
    """A parameter list for people."""
    return "(" + ", ".join(("const " if constant else "") + name + "*" * stars
                           for name, stars, constant in types) + ")"


def main():
    include = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "include")
    if not (include / "cuda.h").exists():
        print(f"check-abi: skipped: no cuda.h in {include} (Python package nvidia-cuda-runtime)")
        return
    table = read_table(sys.stdin)
    if not table:
        sys.exit("check-abi: no table on standard input")
    with tempfile.TemporaryDirectory() as scratch:
        stubs = pathlib.Path(scratch)
        for name, text in STUBS.items():
            (stubs / name).parent.mkdir(exist_ok=True)
            (stubs / name).write_text(text)
        declared, required = declarations(include, stubs)
        known = versions(include, stubs)
    complaints, symbols = [], {}
    for name, since, twin, types in table:
        symbols[name] = since
        if twin:
            symbols[twin[0]] = twin[1]
        found = [table_type(text) for text in types]
        for symbol in [name] + ([twin[0]] if twin else []):
            if symbol in UNDECLARED:
                continue
            if symbol not in declared:
                complaints.append(f"{symbol}: not in the headers")
            elif not any(len(found) == len(wanted) and all(map(same, found, wanted))
                         for wanted in declared[symbol]):
                variants = {shown(wanted) for wanted in declared[symbol]}
                complaints.append(f"{symbol}: {shown(found)}, header {' or '.join(variants)}")
    complaints += [f"{symbol}: in the headers, not in the table"
                   for symbol in sorted(required - set(symbols))]
    check_versions(symbols, known, complaints)
    for complaint in complaints:
        print(f"check-abi: {complaint}")
    print(f"check-abi: {len(symbols)} symbols of the table, {len(required)} of cuda.h, "
          f"{len(complaints)} differences")
    sys.exit(bool(complaints))


main()
