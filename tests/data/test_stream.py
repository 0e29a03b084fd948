"""Streams over http from this machine to itself: every image once, and after a stop the very same batches."""

import io
import json
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pumice.data import web
from pumice.data.augment import Augment
from pumice.data.images import Splits
from pumice.data.pipeline import Changed, make_loaders
from pumice.data.preprocess import Preprocess
from pumice.data.stream import ImageStream
from pumice.data.stream_loader import StreamLoader
from pumice.data.streams import open_stream
from pumice.errors import BadInput

SMALL = Preprocess(size=(8, 8), crop_pct=1.0)
STRONG = Augment(auto_augment="rand-m9-mstd0.5-inc1", re_prob=0.5)
Batch = tuple[Tensor, Tensor]


def picture(index: int) -> bytes:
    """One colour, which says which image it is, if it is not augmented."""
    file = io.BytesIO()
    Image.new("RGB", (9, 8), (index, 255 - index, index // 2)).save(file, "PNG")
    return file.getvalue()


def write_shard(path: Path, indices: range, *, broken: tuple[int, ...] = ()) -> None:
    with tarfile.open(path, "w") as tar:
        for i in indices:
            for suffix, data in (("png", picture(i)), ("cls", str(i % 4).encode())):
                data = data[:45] if i in broken and suffix == "png" else data
                info = tarfile.TarInfo(f"{i:04d}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of 30, 20, 30 and 20 images, and 12 to validate by; class names."""
    here = tmp_path_factory.mktemp("shards")
    for shard, (first, last) in enumerate(((0, 30), (30, 50), (50, 80), (80, 100))):
        write_shard(here / f"train-{shard:02d}.tar", range(first, last))
    write_shard(here / "val-00.tar", range(200, 212))
    (here / "classes.txt").write_text("ant\nbee\ncat\ndog\n")
    return here


class Server:
    """A server of a folder, what it was asked for, and how often it breaks off."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.break_after: dict[str, int] = {}
        server = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args, directory=str(folder))

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                server.asked.append(self.path)
                limit = server.break_after.pop(self.path, None)
                if limit is None:
                    super().do_GET()
                    return
                data = (folder / self.path[1:]).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[:limit])

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(web, "WAIT_S", 0.01)
    server = Server(folder)
    yield server
    server.http.shutdown()
    server.http.server_close()


def stream(server: Server, **options: Any) -> Splits:
    return open_stream(f"wds:{server.url}/train-{{00..03}}.tar", **{"epoch_images": 100, "buffer": 16, **options})


def loader(splits: Splits, workers: int = 0, augment: Any = "none", batch_size: int = 8, **more: Any) -> StreamLoader:
    assert splits.stream is not None
    return StreamLoader(splits.stream, Changed(SMALL, augment), batch_size, 5, workers, **more)


def shown(batches: list[Batch]) -> list[int]:
    """Which images they are, by their red."""
    red = torch.cat([images for images, _ in batches])[:, 0, 4, 4]
    return (red * SMALL.std[0] + SMALL.mean[0]).mul(255).round().int().tolist()


def same(a: list[Batch], b: list[Batch]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)
    )


def test_opening(server: Server):
    splits = stream(server)
    assert splits.classes == ("ant", "bee", "cat", "dog")
    assert (splits.train_images, len(splits.train), len(splits.val)) == (100, 0, 12)
    assert splits.val.labels == tuple(i % 4 for i in range(200, 212))
    assert splits.val.image(3).getpixel((0, 0)) == (203, 52, 101)
    assert not any("train" in path for path in server.asked)  # told all, it reads no shard before training
    assert len(stream(server, val_images=5).val) == 5


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(server: Server):
    batches = loader(stream(server), batch_size=10)
    assert len(batches) == 10
    epochs = []
    for epoch in (0, 1):
        batches.set_epoch(epoch)
        got = list(batches)
        order = shown(got)
        assert sorted(order) == list(range(100))
        assert torch.cat([labels for _, labels in got]).tolist() == [i % 4 for i in order]
        epochs.append(order)
    assert epochs[0] != epochs[1]
    # A shuffled order is as far from the shards' own as one of 16 in a buffer of 100 can be: neighbours are rare.
    assert sum(b == a + 1 for a, b in zip(epochs[0], epochs[0][1:], strict=False)) < 20


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_state_goes_on_with_the_same_order_and_pixels(server: Server, workers: int, epoch: int, tmp_path: Path):
    splits = stream(server)
    whole = loader(splits, workers, STRONG)
    whole.start_at(epoch, 0)
    expected = list(whole)
    assert len(expected) == 12
    stopped = loader(splits, workers, STRONG)
    stopped.start_at(epoch, 0)
    ahead = iter(stopped)
    assert same(list(islice(ahead, 6)), expected[:6])  # six were asked for, five were trained on
    torch.save(stopped.saved(epoch, 5), tmp_path / "state.pt")
    assert stopped.saved(epoch, 1) is None  # too long ago
    ahead.close()  # type: ignore[attr-defined]
    resumed = loader(splits, workers, STRONG)
    resumed.load(torch.load(tmp_path / "state.pt", weights_only=True))
    resumed.start_at(epoch, 5)
    server.asked.clear()
    assert same(list(resumed), expected[5:])
    saved_reads = len(server.asked)
    # The next epoch is that of a loader that was never stopped, too.
    whole.set_epoch(epoch + 1)
    resumed.set_epoch(epoch + 1)
    assert same(list(islice(whole, 2)), list(islice(resumed, 2)))
    # Without a state the same batches are found by reading from the epoch's beginning.
    sought = loader(splits, workers, STRONG)
    sought.start_at(epoch, 5)
    server.asked.clear()
    assert same(list(sought), expected[5:])
    assert saved_reads <= len(server.asked) + 2 * max(1, workers)


def test_a_state_reads_only_the_shards_that_it_needs(server: Server):
    splits = stream(server, buffer=2)
    stopped = loader(splits)
    rest = list(islice(stopped, 11))[10:]
    resumed = loader(splits)
    resumed.load(stopped.saved(0, 10))
    resumed.start_at(0, 10)
    server.asked.clear()
    assert same(list(islice(resumed, 1)), rest)
    assert len(set(server.asked)) == 1


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world", [1, 2, 3])  # with three processes of two workers there are fewer shards than readers
def test_readers_share_the_shards(server: Server, workers: int, world: int):
    splits = stream(server)
    parts = [loader(splits, workers, rank=rank, world=world, batch_size=5) for rank in range(world)]
    seen = Counter(i for part in parts for i in shown(list(part)))
    assert len(seen) >= 75
    assert sum(seen.values()) == sum(5 * len(part) for part in parts) == 100 // (5 * world) * 5 * world
    if world * max(1, workers) == 1:
        assert set(seen.values()) == {1}
    again = loader(splits, workers, rank=world - 1, world=world, batch_size=5)
    again.start_at(0, 3)
    assert same(list(again), list(parts[-1])[3:])


def test_the_first_pass_counts_and_says_so(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    for name in ("train-00.tar", "train-01.tar", "val-00.tar"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    splits = open_stream(f"wds:{tmp_path}/train-{{00..01}}.tar")
    assert (splits.classes, splits.train_images) == (("0", "1", "2", "3"), 50)
    assert "first pass over 2 shards" in capfd.readouterr().err
    (tmp_path / "classes.txt").write_text("a\nb\nc\nd")
    info = {"splits": {"train": {"filenames": ["train-00.tar", "train-01.tar"], "shard_lengths": [30, 20]}}}
    (tmp_path / "_info.json").write_text(json.dumps(info))
    splits = open_stream(f"wds:{tmp_path}/train-{{00..01}}.tar")
    assert (splits.classes, splits.train_images) == (("a", "b", "c", "d"), 50)
    assert not capfd.readouterr().err


def test_a_broken_connection_is_mended(server: Server):
    expected = shown(list(loader(stream(server))))
    server.break_after = {"/train-02.tar": 4 * 1024, "/train-00.tar": 700, "/train-01.tar": 20_480}
    assert shown(list(loader(stream(server)))) == expected
    assert not server.break_after


def test_damaged_images_are_left_out(tmp_path: Path):
    write_shard(tmp_path / "train-0.tar", range(20), broken=(3, 7))
    write_shard(tmp_path / "val-0.tar", range(5), broken=(2,))
    splits = open_stream(f"wds:{tmp_path}/train-0.tar", epoch_images=36, buffer=4)
    assert [s.path for s in splits.skipped] == ["val-0.tar/0002.png"]
    order = shown(list(loader(splits, batch_size=6)))
    assert sorted(order) == sorted([i for i in range(20) if i not in (3, 7)] * 2)
    sought = loader(splits, batch_size=6)
    sought.start_at(0, 4)
    assert shown(list(sought)) == order[24:]
    with pytest.raises(BadInput, match=r"0002.png"):
        open_stream(f"wds:{tmp_path}/train-0.tar", epoch_images=36, strict=True)
    write_shard(tmp_path / "train-1.tar", range(5), broken=(0, 1, 2, 3, 4))
    with pytest.raises(BadInput, match="no images that can be read"):
        list(loader(open_stream(f"wds:{tmp_path}/train-1.tar", val=f"wds:{tmp_path}/val-0.tar", epoch_images=4)))


def test_refusals(server: Server, folder: Path):
    def refused(words: str, source: str = f"wds:{server.url}/train-{{00..03}}.tar", **options: Any) -> None:
        with pytest.raises(BadInput, match=words) as caught:
            open_stream(source, **options)
        assert "\n" not in str(caught.value)

    refused("no validation shards lie beside", f"wds:{server.url}/val-00.tar")
    refused(r"val-77.tar cannot be read: File not found", val=f"wds:{server.url}/val-77.tar", epoch_images=9)
    refused("cannot be streamed", str(folder))
    refused("cannot be streamed", "digits")
    server.http.shutdown()
    server.http.server_close()
    refused("train-00.tar cannot be reached; check its address")
    refused("cannot be read: ", val=f"wds:{server.url}/val-00.tar", epoch_images=9)
    splits = Splits("x", stream_of_nothing(), stream_of_nothing(), (), ImageStream(("a", "b"), 3, ()))
    with pytest.raises(BadInput, match="cannot be balanced"):
        make_loaders(splits, SMALL, batch_size=2, balanced=True)


def stream_of_nothing() -> Any:
    from pumice.data.images import ImageSet

    return ImageSet(("a", "b"), (), (), ())


def test_streamed_tables(tmp_path: Path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c", "d"])})
    for split, shard, indices in (("train", 0, range(30)), ("train", 1, range(30, 64)), ("test", 0, range(200, 210))):
        cells = [{"bytes": picture(i), "path": None} for i in indices]
        values = {"image": cells, "label": [i % 4 for i in indices]}
        datasets.Dataset.from_dict(values, features=features).to_parquet(tmp_path / f"{split}-{shard}.parquet")
    splits = open_stream(f"hf:{tmp_path}", epoch_images=64, buffer=10)
    assert (splits.classes, splits.train_images, len(splits.val)) == (("a", "b", "c", "d"), 64, 10)
    for workers in (0, 2):
        expected = list(loader(splits, workers, STRONG))
        assert len(expected) == 8
        stopped = loader(splits, workers, STRONG)
        list(islice(stopped, 3))
        resumed = loader(splits, workers, STRONG)
        resumed.load(stopped.saved(0, 3))
        resumed.start_at(0, 3)
        assert same(list(resumed), expected[3:])
    order = shown(list(loader(splits)))
    assert sorted(order) == list(range(64))
    assert np.abs(np.diff(order)).mean() > 2
    with pytest.raises(BadInput, match="no split 'vall'"):
        open_stream(f"hf:{tmp_path}", val="vall")


def test_changes_depend_on_the_epoch_and_not_on_the_workers(tmp_path: Path):
    write_shard(tmp_path / "train-0.tar", range(40, 44))
    write_shard(tmp_path / "val-0.tar", range(4))
    splits = open_stream(f"wds:{tmp_path}/train-0.tar", epoch_images=4)

    def images(workers: int, epoch: int) -> list[Tensor]:
        batches = loader(splits, workers, STRONG, batch_size=2)
        batches.start_at(epoch, 0)
        pairs = [(int(label), image) for got, labels in batches for image, label in zip(got, labels, strict=True)]
        return [image for _, image in sorted(pairs, key=lambda pair: pair[0])]

    first = images(0, 0)
    assert all(torch.equal(a, b) for a, b in zip(first, images(2, 0), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, images(0, 1), strict=True))
