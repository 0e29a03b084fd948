"""Instructions and cache misses of one pass of a network's native code, layer by layer, by valgrind's callgrind.

Hardware counters are not to be had in most virtual machines; callgrind runs the code on a processor of its own making,
with the first two caches of this one but none of its prefetching.  It knows no AVX-512, so on x86 the code is compiled
for AVX2.  One pass goes before the one that counts, so that the caches hold what they would in a series.
"""

import math
import platform
import re
import shutil
import subprocess
from pathlib import Path

from native_files import SIZE
from rewrites import settled

from pumice.cost.machine import cache_levels
from pumice.deploy.network import folded
from pumice.errors import BadInput
from pumice.native.build import FLAGS, compiler
from pumice.native.emit.source import source as compiled
from pumice.native.passes import optimise
from pumice.native.read import read

HEAD = "#include <math.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n"
MAIN = """
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline)) void counted(const float *w, const float *x, float *y, float *arena, float *scratch) {
    run_all(w, x, y, arena, scratch);
    __asm__ volatile("" ::: "memory");
}
static float *block(size_t numbers) { return aligned_alloc(64, (numbers * 4 + 127) / 64 * 64); }
int main(int argc, char **argv) {
    if (argc != 6) return 2;
    size_t sizes[5];
    for (int k = 1; k < 5; k++) sizes[k] = strtoul(argv[k + 1], 0, 10);
    FILE *file = fopen(argv[1], "rb");
    fseek(file, 0, SEEK_END);
    const size_t bytes = (size_t)ftell(file);
    rewind(file);
    float *w = block(bytes / 4), *x = block(sizes[1]), *y = block(sizes[2]), *a = block(sizes[3]), *s = block(sizes[4]);
    if (fread(w, 1, bytes, file) != bytes) return 1;
    for (size_t i = 0; i < sizes[1]; i++) x[i] = (float)(i * 2654435761u % 1000u) / 500.0f - 1.0f;
    run_all(w, x, y, a, s);
    counted(w, x, y, a, s);
    return 0;
}
"""
EVENTS = ("Ir", "Dr", "Dw", "D1mr", "D1mw", "DLmr", "DLmw")
WORDS = "instructions | reads | writes | L1 read misses | L1 write misses | L2 read misses | L2 write misses"
COUNT = r"([\d,]+|\.)(?: +\( *[\d.]+%\)|(?= )|$)"
MOST = 25


def counters(name: str, folder: Path) -> str:
    """Markdown: the whole pass, and the layers with the most instructions.

    Raises:
        BadInput: there is no valgrind, or it fails.
    """
    if not shutil.which("valgrind"):
        raise BadInput("no valgrind; install it (Debian: `apt install valgrind`)")
    place = folder / name / "counters"
    place.mkdir(parents=True, exist_ok=True)
    program = optimise(read(folded(settled(name), SIZE), SIZE, name=name))
    made = compiled(program)
    weights = place / "model.bin"
    weights.write_bytes(made.weights)
    source, binary, out = (place / f"counted{suffix}" for suffix in (".c", "", ".callgrind"))
    # An operation stays a function, so that it can be counted alone.
    text = made.text.replace("static void op_", "static __attribute__((noinline)) void op_")
    source.write_text(HEAD + text + MAIN)
    flags = ("-g", *_instructions())
    _ran([*compiler(), *FLAGS, *flags, str(source), "-o", str(binary), "-lm"])
    numbers = (math.prod(SIZE), program.outputs.size, made.arena, made.scratch)
    tool = [
        "valgrind",
        "--tool=callgrind",
        "--cache-sim=yes",
        "--toggle-collect=counted",
        *_caches(),
        f"--callgrind-out-file={out}",
    ]
    _ran([*tool, str(binary), str(weights), *map(str, numbers)])
    shown = _ran(["callgrind_annotate", "--inclusive=yes", "--threshold=100", f"--show={','.join(EVENTS)}", str(out)])
    caches = [line for line in shown.splitlines() if re.match(r"(D1|LL) cache:", line)]
    return "\n".join([*_rows(name, shown, made.text), "", *caches])


def _rows(name: str, shown: str, text: str) -> list[str]:
    """Of the annotated counts, the operations'."""
    paths = dict(re.findall(r"static void (op_\d+)\(const Run \*r\) \{\s*/\* (.*?) \*/", text))
    found: dict[str, list[int]] = {}
    for line in shown.splitlines():
        function = re.search(r"^(.*[).]) +\S*:(counted|op_\d+)(?:\.\S+)? \[", line)
        if function:
            counts = [int(one.replace(",", "")) if one != "." else 0 for one in re.findall(COUNT, function[1])]
            assert len(counts) == len(EVENTS), line
            found.setdefault(function[2], counts)
    if "counted" not in found:
        raise BadInput("callgrind_annotate says nothing of the pass; its format is another one")
    rows = [f"| {name} | {WORDS} |", "| --- |" + " --: |" * len(EVENTS)]
    ordered = sorted(found, key=lambda one: -found[one][0])
    rows += [
        f"| {paths.get(one, 'the whole pass')} ({one}) | " + " | ".join(f"{count:,}" for count in found[one]) + " |"
        for one in ordered[: MOST + 1]
    ]
    return rows


def _instructions() -> tuple[str, ...]:
    return ("-mavx2", "-mfma") if platform.machine() in ("x86_64", "AMD64") else ("-march=native",)


def _caches() -> list[str]:
    """Its last level as large as our second, since it has two; 8-way, in lines of 64 bytes."""
    size = cache_levels().get("L2")
    return [f"--LL={2 ** round(math.log2(size))},8,64"] if size else []


def _ran(command: list[str]) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if ran.returncode:
        said = [line for line in ran.stderr.splitlines() if line.strip()] or ["it stopped"]
        raise BadInput(f"{command[0]} failed: {said[-1].strip()[:200]}")
    return ran.stdout + ran.stderr
