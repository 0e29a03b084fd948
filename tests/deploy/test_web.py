"""The page in a browser gives what the session in Python gives."""

import base64
import io
import json
import shutil
import subprocess
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pumice.data.image import read_image
from pumice.data.preprocess import Preprocess
from pumice.deploy.export import export
from pumice.deploy.probes import natural_images
from pumice.deploy.session import open_session
from pumice.deploy.web import export_web, runtime
from pumice.errors import BadInput
from pumice.models.manifest import Manifest, ModelConfig
from tests.deploy.conftest import CLASSES, SIZE, manifest, small_net

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "caltech40"
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
needs_browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")

SCRIPT = """
(async () => {
  let said;
  try {
    await pumice.ready();
    const found = [];
    for (const [kind, text] of TEST_IMAGES) {
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const file = new File([bytes], "picture", { type: kind });
      found.push(await pumice.classify(file));
      await show(file);
    }
    const cards = [...document.querySelectorAll("article")].reverse();
    const shown = cards.map((box) => box.querySelector("li b").textContent);
    said = { found, shown, latency: document.getElementById("latency").textContent };
  } catch (error) {
    said = { error: `${error.stack}` };
  }
  await fetch(`http://127.0.0.1:${TEST_PORT}/done`, { method: "POST", mode: "no-cors", body: JSON.stringify(said) });
})();
"""


@pytest.fixture(scope="session")
def parts():
    """ONNX Runtime Web, from the cache or the registry."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    try:
        return runtime.runtime_files()
    except BadInput as error:
        pytest.skip(str(error))


class Handler(SimpleHTTPRequestHandler):
    def do_POST(self):
        self.server.said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.done.set()

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    def log_message(self, *args):
        pass


@contextmanager
def serving(folder: Path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    server.done, server.said, server.asked = threading.Event(), None, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def encoded(image: Image.Image, kind: str, **options: object) -> tuple[str, bytes]:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return f"image/{kind.lower()}", stream.getvalue()


def in_browser(
    page: Path, files: list[tuple[str, bytes]], scratch: Path, *, from_disk: bool, wait: float = 120
) -> dict:
    """What the page's own code says of image files, (MIME type, bytes) each."""
    copy = scratch / f"page-{from_disk}"
    shutil.copytree(page, copy)
    with serving(copy) as server:
        port = server.server_port
        text = (copy / "index.html").read_text()
        # The test's own script tells its result to the test; nothing else may be reached from the page.
        allowed = text.replace("default-src 'none';", f"default-src 'none'; connect-src http://127.0.0.1:{port};")
        assert allowed != text
        (copy / "test.html").write_text(allowed.replace("</body>", '<script src="test.js"></script></body>'))
        images = json.dumps([(kind, base64.b64encode(content).decode()) for kind, content in files])
        (copy / "test.js").write_text(f"const TEST_PORT = {port};\nconst TEST_IMAGES = {images};\n{SCRIPT}")
        address = (copy / "test.html").as_uri() if from_disk else f"http://127.0.0.1:{port}/test.html"
        profile = f"--user-data-dir={scratch / f'profile-{from_disk}'}"
        browser = subprocess.Popen(
            ["chromium", *FLAGS, profile, "--remote-debugging-port=0", address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert server.done.wait(180), "the page did not answer"
        finally:
            browser.terminate()
            browser.wait(20)
        if not from_disk:
            own = {"test.html", "test.js", "ort.js", "wasm.js", "model.js", "classify.js", "page.js"}
            assert {path.strip("/") for path in server.asked} - {"favicon.ico"} == own
    assert "error" not in server.said, server.said["error"]
    return server.said


def compared(said: dict, images: list[Image.Image], source: object, tolerance: float) -> None:
    with open_session(source, runtime="onnxruntime") as session:
        want = session.run(np.stack([session.manifest.preprocess(image) for image in images]))
        names = session.manifest.classes
    got = np.array([one["logits"] for one in said["found"]], np.float32)
    spread = np.abs(want - want.mean(0)).max()
    assert spread > 0.1 * np.abs(want).max()  # a network that ignored its input would pass anything
    assert np.abs(got - want).max() <= tolerance * spread
    top = [names[i] for i in want.argmax(1)]
    assert [one["ranked"][0][0] for one in said["found"]] == top == said["shown"]
    for one, row in zip(said["found"], want, strict=True):
        powers = np.exp(row - row.max())
        assert one["ranked"][0][1] == pytest.approx((powers / powers.sum()).max(), abs=tolerance)
        assert one["ms"] > 0
    assert said["latency"].endswith(" ms")


@needs_browser
def test_lossless_pictures_give_the_same_numbers(parts, tmp_path: Path):
    """Opened from the disk, as by a double click."""
    page = export_web(small_net(), tmp_path / "page", manifest=manifest())
    assert set(page.checked) == {"onnxruntime", "openvino"}
    images = [*natural_images(3, 61, 97), *natural_images(2, 300, 211, seed=2), *natural_images(1, 40, 48)]
    said = in_browser(page.path, [encoded(image, "PNG") for image in images], tmp_path, from_disk=True)
    compared(said, images, export(small_net(), tmp_path / "net.onnx", manifest=manifest()), 1e-5)


@needs_browser
def test_other_preprocessing_turned_and_transparent_pictures(parts, tmp_path: Path):
    """From a server, which sees what the page asks for."""
    other = Preprocess(
        size=SIZE[1:], crop_pct=1.0, interpolation="bilinear", mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), channels="BGR"
    )
    said_of = Manifest(ModelConfig("small", num_classes=5), other, CLASSES)
    page = export_web(small_net(), tmp_path / "page", manifest=said_of)
    plain = natural_images(2, 90, 71, seed=5)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    files = [encoded(plain[0], "PNG", exif=exif)]
    clear = plain[1].copy()
    clear.putalpha(Image.new("L", clear.size, 0))
    files.append(encoded(clear, "PNG"))
    images = [read_image(io.BytesIO(content)) for _, content in files]
    assert images[0].size == (90, 71)
    assert images[1].getpixel((3, 3)) == (255, 255, 255)
    said = in_browser(page.path, files, tmp_path, from_disk=False)
    compared(said, images, export(small_net(), tmp_path / "net.onnx", manifest=said_of), 1e-5)


@needs_browser
@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="the real images are not here")
def test_fifty_real_images(parts, tmp_path: Path):
    from pumice.models.create import create_model

    files = real_images(tmp_path, 50)
    torch.manual_seed(0)
    net = create_model("efficientnet_lite0", pretrained=True)
    page = export_web(net, tmp_path / "page")
    said = in_browser(page.path, [("image/jpeg", file.read_bytes()) for file in files], tmp_path, from_disk=True)
    images = [read_image(file) for file in files]
    with open_session(export(net, tmp_path / "net.onnx")) as session:
        want = session.run(np.stack([session.manifest.preprocess(image) for image in images]))
    got = np.array([one["logits"] for one in said["found"]], np.float32)
    spread = np.abs(want - want.mean(0)).max()
    print(f"largest difference {np.abs(got - want).max() / spread:.1e} of the spread")
    assert (got.argmax(1) == want.argmax(1)).all()
    # Both decode JPEG by the same library, where Chromium and Pillow are built with equal ones.
    assert np.abs(got - want).max() <= 1e-3 * spread


def real_images(scratch: Path, count: int) -> list[Path]:
    import sys

    subprocess.run([sys.executable, REAL.parent / "unpack.py", "caltech40", scratch / "data"], check=True)
    files = sorted((scratch / "data").rglob("val/*/*.jpg"))
    return [files[i] for i in np.linspace(0, len(files) - 1, count).round().astype(int)]


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match=r"holds other things \(notes.txt\)"):
        export_web(small_net(), tmp_path, manifest=manifest())
    with pytest.raises(BadInput, match="does not say how images are fed"):
        export_web(small_net(), tmp_path / "page", input_size=SIZE)
    file = export(small_net(), tmp_path / "net.xml", manifest=manifest())
    with pytest.raises(BadInput, match=r"a page runs \.onnx files, not net\.xml"):
        export_web(file.path, tmp_path / "page")
    (tmp_path / "fake.tgz").write_bytes(b"something else")
    with pytest.raises(BadInput, match=r"is not onnxruntime-web .* as its makers published it"):
        runtime.runtime_files(tmp_path / "fake.tgz")
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(BadInput, match=r"install npm .*, or fetch it elsewhere with `npm pack"):
        export_web(small_net(), tmp_path / "page", manifest=manifest())
    assert not (tmp_path / "page").exists()
