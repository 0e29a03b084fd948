"""The papers' tables again, published beside measured on this machine.

    .venv/bin/python benchmarks/papers.py [TABLE ...] [--runtime onnxruntime,openvino] [--out runs/papers]
        [--page papers.html] [--time 1.5s] [--threads 1] [--device cuda] [--show]

Tables: shufflenetv2_table8, shufflenetv2_appendix1a, mobilenetv3_float, mobilenetv3_int8, mobilenetv3_hswish, micronet;
all by default, each in under 8 minutes on two cores.  p50: median of one image with its 95 % interval.  images/s,
batches/s: by the mean of 100 runs, as the papers report, batches of the size of the paper's GPU column.  What is in
`--out` already is not measured again; `--show` measures nothing.
"""

import argparse
from pathlib import Path

from paper_agreement import Found, agreements
from paper_runs import RUNS, Record, Settings, estimate_s, measure, missing, read, wrong
from paper_tables import TABLES, Table, chosen

from pumice.cli import show
from pumice.cost.budget import parse_time
from pumice.deploy.session import require
from pumice.errors import BadInput
from pumice.report.units import seconds


def print_table(table: Table, records: list[Record], settings: Settings) -> None:
    """Published beside measured, and how the two agree in rank."""
    found = of_settings(table, records, settings)
    runtimes = [r for r in settings.of(table) if any(record["runtime"] == r for record in found.values())]
    batched = any(row.gpu_batch > 1 for row in table.rows)
    columns = ["net", *(f">{head}" for head in table.columns.values()), ">our MAdds"]
    for runtime in runtimes:
        columns += [f">{runtime} p50 ms", ">95 % interval", ">images/s", *([">batches/s"] if batched else [])]
    lines = []
    for row in table.rows:
        measured = [found.get((row.net, runtime)) for runtime in runtimes]
        madds = next((f"{r['madds'] / 1e6:.1f} M" for r in measured if r), "-")
        line = [row.net, *(row.printed[key] or "-" for key in table.columns), madds]
        for record in measured:
            line += cells(record, batched)
        lines.append(line)
    print(f"\n{table.title}\n  printed: {table.source} ({table.measured_on})")
    show.table(columns, lines)
    print("\n".join(f"  {line}" for line in remarks(table, found)))


def of_settings(table: Table, records: list[Record], settings: Settings) -> Found:
    """(net, runtime) -> its record under these settings."""
    wanted = (settings.precision(table), settings.device, settings.threads)
    return {(r["net"], r["runtime"]): r for r in records if (r["precision"], r["device"], r["threads"]) == wanted}


def cells(record: Record | None, batched: bool) -> list[str]:
    """p50, interval, images/s and batches/s; a star where fewer than 100 runs made the mean."""
    if record is None:
        return ["-"] * (3 + batched)
    if wrong(record):
        return ["wrong answer", *["-"] * (2 + batched)]
    low, high = record["figure_ci"]
    few = ["*" if record[key] < RUNS else "" for key in ("runs", "batch_runs")]
    busy = " busy" if record["busy"] else ""
    line = [f"{record['figure_ms']:.2f}{busy}", f"{low:.2f} to {high:.2f}", f"{record['images_per_s']:.1f}{few[0]}"]
    return [*line, f"{record['batches_per_s']:.2f}{few[1]}"] if batched else line


def remarks(table: Table, found: Found) -> list[str]:
    """What the reader must know of the figures above."""
    head = table.columns[table.speed]
    lines = [
        f"{a.runtime}: rank correlation (Spearman) of our p50 with the paper's {head} {a.paper:.3f}, "
        f"with multiply-adds {a.madds:.3f}, {a.nets} nets"
        for a in agreements(table, found)
    ]
    shown = list(found.values())
    if any(r["busy"] for r in shown):
        lines.append("busy: the machine did other work, so the lower tenth of CPU time stands in place of the p50")
    if any(min(r["runs"], r["batch_runs"]) < RUNS for r in shown):
        lines.append(f"* mean of fewer than {RUNS} runs, for time")
    if any(row.model in ("xception_like", "densenet_like") for row in table.rows):
        lines.append("Xception-like and DenseNet-like are reconstructions with solved widths: no table was published.")
    if shown:
        r = shown[0]
        batches = {r["gpu_batch"] for r in shown}
        sizes = f"; batches of {', '.join(map(str, sorted(batches)))}" if batches != {1} else ""
        lines.append(f"{r['threads']} thread(s), {r['precision']}, {r['device']}{sizes}; {r['machine']}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--runtime", default="", help="with commas; the table's own by default")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--time", default="1.5s", help="of the median of one net in one runtime, at most")
    parser.add_argument("--out", type=Path, default=Path("runs/papers"))
    parser.add_argument("--page", type=Path)
    parser.add_argument("--rows", type=int, help="only the first so many rows that can run, to try it")
    parser.add_argument("--show", action="store_true", help="print what was measured before")
    args = parser.parse_args()
    try:
        tables = chosen(args.tables)
        runtimes = tuple(require(name) for name in args.runtime.split(",") if name)
        limit = parse_time(args.time, "--time")
    except BadInput as error:
        parser.error(str(error))
    settings = Settings(args.out, runtimes, args.device, args.threads, limit, args.rows)
    if not args.show:
        plan = {t.name: estimate_s(t, missing(t, read(t, args.out), settings), settings) for t in tables}
        each = ", ".join(f"{name} {seconds(s)}" for name, s in plan.items())
        print(f"about {seconds(sum(plan.values()))}: {each}", flush=True)
    measured = {}
    for table in tables:
        measured[table.name] = read(table, args.out) if args.show else measure(table, settings)
        print_table(table, measured[table.name], settings)
    if args.page:
        from paper_page import write_page

        write_page([(t, of_settings(t, measured[t.name], settings)) for t in tables], args.page)
        print(f"\n{args.page}")


if __name__ == "__main__":
    main()
