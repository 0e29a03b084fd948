"""ONNX Runtime Web, as its makers publish it on the npm registry: one version, checked by its digest.

Nothing is downloaded unless a page is asked for; what was is kept in the user's cache.
"""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pumice.errors import BadInput
from pumice.files import cache_folder, write_bytes
from pumice.progress import track

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of the package's archive, as the registry states it (base64)."""
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
TIMEOUT_S = 300


def runtime_files(archive: Path | None = None) -> Mapping[str, bytes]:
    """The script and the WebAssembly module by name: from `archive`, the cache, or else the registry.

    Args:
        archive: the .tgz that `npm pack` fetches, for a machine without network.

    Raises:
        BadInput: they cannot be had, or are not those that Pumice knows.
    """
    kept = cache_folder() / f"{PACKAGE}-{VERSION}"
    if archive is None and all((kept / name).is_file() for name in (SCRIPT, WASM)):
        return {name: (kept / name).read_bytes() for name in (SCRIPT, WASM)}
    if archive is not None:
        return _unpacked(archive)
    with tempfile.TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        found = _unpacked(_fetched(Path(folder)))
    for name, content in found.items():
        write_bytes(kept / name, content)
    return found


def _fetched(folder: Path) -> Path:
    instead = f"or fetch it elsewhere with `npm pack {PACKAGE}@{VERSION}` and give the file as --runtime-files"
    npm = shutil.which("npm")
    if npm is None:
        raise BadInput(f"a page needs {PACKAGE} from the npm registry; install npm (apt install npm), {instead}")
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(folder)]
    try:
        for _ in track([None], f"fetching {PACKAGE} {VERSION}"):
            subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=True, cwd=folder)
    except (subprocess.SubprocessError, OSError) as error:
        raise BadInput(f"npm cannot fetch {PACKAGE} {VERSION}; see that the network is there, {instead}") from error
    return folder / f"{PACKAGE}-{VERSION}.tgz"


def _unpacked(archive: Path) -> dict[str, bytes]:
    try:
        content = archive.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {archive}: {error.strerror}") from error
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != SHA512:
        raise BadInput(f"{archive} is not {PACKAGE} {VERSION} as its makers published it; fetch it again")
    found = {}
    with tarfile.open(archive) as members:
        for name in (SCRIPT, WASM):
            # Read, not extracted: nothing that the archive says decides where a file lands.
            member = members.extractfile(f"package/dist/{name}")
            assert member is not None
            found[name] = member.read()
    return found
