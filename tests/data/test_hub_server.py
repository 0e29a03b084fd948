"""A data set by its name, from a stand-in of the hub on this machine: fetched, and streamed."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

datasets = pytest.importorskip("datasets")

COMMIT = "a" * 40
SCRIPT = """
from pumice.data.open import open_data
from pumice.data.pipeline import make_loaders
from pumice.data.preprocess import Preprocess
from pumice.data.streams import open_stream
from pumice.errors import BadInput
whole = open_data("hf:acme/pets")
print(len(whole.train), len(whole.val), *whole.classes)
stream = open_stream("hf:acme/pets", epoch_images=24)
for workers in (0, 2):
    batches, _ = make_loaders(stream, Preprocess(size=(16, 16)), batch_size=6, workers=workers)
    print(sorted(label for _, labels in batches for label in labels.tolist()).count(0))
try:
    open_data("hf:acme/nothing")
except BadInput as error:
    print(error)
"""


class Hub(BaseHTTPRequestHandler):
    """The parts of the hub's interface that reading a data set needs."""

    files: ClassVar[dict[str, bytes]] = {}

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, body: bytes, code: int = 200, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if re.fullmatch(r"/api/datasets/acme/pets(/revision/\w+)?", path):
            about = {"id": "acme/pets", "sha": COMMIT, "siblings": [{"rfilename": name} for name in self.files]}
            self.answer(json.dumps(about).encode(), Content_Type="application/json")
        elif path.startswith("/api/datasets/acme/pets/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.files.items()
            ]
            self.answer(json.dumps(tree).encode(), Content_Type="application/json")
        elif (name := path.rpartition("/")[2]) in self.files and "/acme/pets/resolve/" in path:
            data = self.files[name]
            known = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X_Repo_Commit": COMMIT}
            part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if part is None:
                self.answer(data, **known)
            else:
                first, last = int(part[1]), min(int(part[2]), len(data) - 1)
                about = f"bytes {first}-{last}/{len(data)}"
                self.answer(data[first : last + 1], 206, Content_Range=about, **known)
        else:
            self.answer(b"{}", 404, X_Error_Code="EntryNotFound" if "/pets/" in path else "RepoNotFound")

    do_HEAD = do_GET


@pytest.mark.slow
def test_by_name(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    for split, count in (("train", 24), ("test", 6)):
        cells = []
        for i in range(count):
            file = io.BytesIO()
            Image.fromarray(np.full((9, 9, 3), i, np.uint8)).save(file, "PNG")
            cells.append({"bytes": file.getvalue(), "path": None})
        values = {"image": cells, "label": [i % 2 for i in range(count)]}
        path = tmp_path / f"{split}-00000.parquet"
        datasets.Dataset.from_dict(values, features=features).to_parquet(path)
        Hub.files[path.name] = path.read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        where = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "home")}
        ended = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=os.environ | where, capture_output=True, text=True, timeout=300
        )
    finally:
        server.shutdown()
        server.server_close()
    assert ended.returncode == 0, ended.stderr
    first, zero, two, missing = ended.stdout.splitlines()
    assert first == "24 6 cat dog"
    assert (zero, two) == ("12", "12")
    assert missing.startswith("there is no data set 'acme/nothing' on the hub")
