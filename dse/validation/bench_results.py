"""What benchmark tools write, read as end-to-end rows: llama-bench, vLLM, SGLang, genai-perf and aiperf.

A tool writes what it measured and little of what ran. What a file does not tell stays empty, and is told beside it
(`dse validate --with chip=...`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from cost_models.errors import ForeignFileError
from cost_models.library.foreign import json_of

Row = dict[str, Any]

CACHE_BITS = {"f32": 32.0, "f16": 16.0, "bf16": 16.0, "q8_0": 8.5, "q5_1": 6.0, "q5_0": 5.5, "q4_1": 5.0, "q4_0": 4.5}
"""Bits of a KV element by ggml type: blocks of 32 with a scale of 16 bits, and a least value of 16 bits in types _1."""

MAX_ROWS = 20_000
"""Most rows of a file; all of ours together have 4,000."""

ASSUMED = ("n_chips", "parallelism", "kv_bits")
"""Columns whose absence has a meaning of its own."""

GRADE = "B"
"""Grade of a result whose surroundings are told beside it."""


def rows_of_tool(path: Path, text: str) -> pd.DataFrame | None:
    """Return the rows of a tool's file as text cells; None where no tool wrote it.

    Args:
        path: the file, whose name is the source.
        text: what it holds.

    Raises:
        ForeignFileError: it is broken JSON.
    """
    if not text.lstrip().startswith(("{", "[")):
        return None
    found: list[Row] = []
    for record in _records(path, text):
        reader = next((read for told, read in READERS if told <= record.keys()), None)
        if reader is None:
            return None
        found += reader(record)
    return _frame(path, found)


def rows_of_llama_table(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of what llama-bench writes as CSV."""
    return _frame(
        path, [row for record in table.to_dict("records") for row in _llama({str(k): v for k, v in record.items()})]
    )


def _frame(path: Path, rows: Iterable[Row]) -> pd.DataFrame:
    wanted = dict.fromkeys(
        ("source_id", "chip", "n_chips", "parallelism", "model", "weight_bits", "kv_bits", "batch", "batch_mode",
         "input_len", "output_len", "metric", "value", "software", "grade")
    )  # fmt: skip
    shared = {"source_id": path.stem, "grade": GRADE}
    cells = [{name: {**shared, **row}.get(name) for name in {**wanted, **row}} for row in rows]
    table = pd.DataFrame(cells, columns=list(dict.fromkeys(name for row in cells for name in row)) or list(wanted))
    text = table.map(lambda cell: "" if cell is None or cell != cell else str(cell))
    return text.drop(columns=[name for name in ASSUMED if name in text and (text[name] == "").all()])


def _records(path: Path, text: str) -> list[Row]:
    """Return the JSON objects of a file: one, a list, or one per line."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) > 1 and all(line.startswith("{") and line.rstrip().endswith("}") for _, line in lines):
        return [json_of(line, path, line=number, allow_nan=True) for number, line in lines]
    whole = json_of(text, path, allow_nan=True)
    records = whole if isinstance(whole, list) else [whole]
    if len(records) > MAX_ROWS:
        raise ForeignFileError(path, f"has {len(records):,} records, at most {MAX_ROWS:,} are read")
    return [record if isinstance(record, dict) else {} for record in records]


def _number(cell: object) -> float | None:
    try:
        return float(str(cell))
    except ValueError:
        return None


LLAMA = frozenset({"model_filename", "model_size", "model_n_params", "n_prompt", "n_gen", "avg_ns"})
"""Columns that llama-bench writes in every form and version."""

_LLAMA_SOFTWARE = (("backends", ""), ("build_number", "build "))


def _llama(record: Mapping[str, Any]) -> list[Row]:
    """Return what a test of llama-bench measured: prompts (pp), generation (tg) or both (pg)."""
    record = {name: cell for name, cell in record.items() if cell is not None}
    boards = [name.strip() for name in str(record.get("gpu_info", "")).split(",") if name.strip()]
    processor = str(record.get("cpu_info", "")).strip()
    prompt, generated, depth, spent, size, count, on_host = (
        _number(record.get(name)) or 0.0
        for name in ("n_prompt", "n_gen", "n_depth", "avg_ns", "model_size", "model_n_params", "n_cpu_moe")
    )
    layers = _number(record.get("n_gpu_layers"))
    refused = ""
    if depth and prompt:
        refused = f"a prompt behind {depth:g} cached tokens is not predicted"
    elif boards and on_host:
        refused = f"the host ran the experts of {on_host:g} layers (n_cpu_moe)"
    elif boards and str(record.get("no_kv_offload", "")).lower() in ("1", "true"):
        refused = "the host kept the KV cache (no_kv_offload)"
    chips, mode = max(len(boards), 1), str(record.get("split_mode", "layer"))
    row: Row = {
        "chip": boards[0] if boards else processor or None,
        "n_chips": chips if mode != "none" else 1,
        "parallelism": f"layer_split{chips}" if chips > 1 and mode == "layer" else f"tp{chips if mode == 'row' else 1}",
        "model": PurePosixPath(str(record.get("model_filename", "")).replace("\\", "/")).stem,
        "weight_bits": size * 8 / count if count else None,
        "kv_bits": CACHE_BITS.get(str(record.get("type_k", "f16"))),
        "batch": 1,
        "batch_mode": "static",
        "chunk_rows": _number(record.get("n_ubatch")),
        # Below 0 stands for all of them.
        "gpu_layers": layers if boards and layers is not None and layers >= 0 else None,
        "refused": refused,
        "software": " ".join(
            ("llama.cpp", *(f"{word}{record[name]}" for name, word in _LLAMA_SOFTWARE if record.get(name)))
        ),
    }
    if prompt and generated:
        return [
            {**row, "input_len": prompt, "output_len": generated, "metric": "request_latency_s", "value": spent / 1e9}
        ]
    if prompt:
        return [{**row, "input_len": prompt, "output_len": 1, "metric": "ttft_ms", "value": spent / 1e6}]
    each = spent / 1e6 / generated if generated else None
    return [{**row, "input_len": depth, "output_len": generated, "metric": "tpot_ms", "value": each}]


def _served(
    row: Row, *, concurrency: float | None, latency_s: float | None, at_once: bool, rates: Mapping[str, float | None]
) -> list[Row]:
    """Return rows of a served benchmark: tokens in flight by its concurrency, or by Little's law where it has none.

    Args:
        row: what all of them share.
        concurrency: most requests in flight, None without a limit.
        latency_s: mean time of a request.
        at_once: whether nothing but that limit spaces the requests.
        rates: "tpot_ms", "ttft_ms", "tokens_per_s" and "requests_per_s".
    """
    requests = rates.get("requests_per_s")
    queued = "all requests are sent at once, and a first token waits for most of them" if at_once else ""
    queued = queued if concurrency is None else ""
    if concurrency is None and latency_s is not None and requests is not None:
        concurrency = latency_s * requests
    row = {**row, "batch_mode": "inflight"}
    return [
        {**row, "metric": "tpot_ms", "value": rates.get("tpot_ms"), "batch": concurrency},
        {
            **row, "metric": "ttft_ms", "value": rates.get("ttft_ms"), "batch": 1, "concurrency": concurrency,
            "refused": queued,
        },
        {**row, "metric": "output_tokens_per_s", "value": rates.get("tokens_per_s"), "batch": concurrency},
    ]  # fmt: skip


SERVING = frozenset({"completed", "total_input_tokens", "total_output_tokens", "output_throughput", "mean_tpot_ms"})
"""Keys that `vllm bench serve --save-result` and SGLang's `bench_serving` both write."""


def _serving(record: Mapping[str, Any]) -> list[Row]:
    told = {name: _number(value) for name, value in record.items()}
    done = told["completed"] or float("nan")
    length, answer = (told["total_input_tokens"] or 0.0) / done, (told["total_output_tokens"] or 0.0) / done
    latency = told.get("mean_e2el_ms") or told.get("mean_e2e_latency_ms")
    first, each = told.get("mean_ttft_ms"), told.get("mean_tpot_ms")
    if latency is None and first is not None and each is not None:
        latency = first + each * max(answer - 1, 0.0)
    row: Row = {
        "model": record.get("model_id") or record.get("model"),
        "input_len": length,
        "output_len": answer,
        # "openai" is how vLLM's client speaks to any server, and its default.
        "software": None if str(record.get("backend")).startswith("openai") else record.get("backend"),
    }
    return _served(
        row,
        concurrency=told.get("max_concurrency"),
        # Infinity, which JSON has not, is read as nothing.
        at_once="request_rate" in told and told["request_rate"] in (None, math.inf),
        latency_s=None if latency is None else latency / 1e3,
        rates={
            "tpot_ms": each,
            "ttft_ms": first,
            "tokens_per_s": told["output_throughput"],
            "requests_per_s": told.get("request_throughput"),
        },
    )


PERF = frozenset({"time_to_first_token", "inter_token_latency", "output_token_throughput"})
"""Keys that genai-perf and aiperf both write."""


def _perf(record: Mapping[str, Any]) -> list[Row]:
    def mean(name: str) -> float | None:
        entry = record.get(name)
        if not isinstance(entry, dict) or (value := _number(entry.get("avg"))) is None:
            return None
        return value * {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}.get(str(entry.get("unit")), 1.0)

    asked = record.get("input_config")
    asked = asked if isinstance(asked, dict) else {}
    names = _anywhere(asked, "model_names") or _anywhere(asked, "model") or _anywhere(asked.get("models"), "name")
    boards = {str(name) for name in _all(record.get("telemetry_data"), "gpu_name")}
    row: Row = {
        "model": names[0] if isinstance(names, list) and names else names,
        # How many of the boards that were watched run the model is not told.
        "chip": boards.pop() if len(boards) == 1 else None,
        "input_len": mean("input_sequence_length"),
        "output_len": mean("output_sequence_length"),
    }
    latency = mean("request_latency")
    return _served(
        row,
        concurrency=_number(_anywhere(asked, "concurrency")),
        at_once=False,
        latency_s=None if latency is None else latency / 1e3,
        rates={
            "tpot_ms": mean("inter_token_latency"),
            "ttft_ms": mean("time_to_first_token"),
            "tokens_per_s": mean("output_token_throughput"),
            "requests_per_s": mean("request_throughput"),
        },
    )


def _all(tree: object, key: str) -> list[Any]:
    """Return the values of a key at any depth of a tree, None left out; those further up first."""
    if isinstance(tree, dict):
        own = [] if tree.get(key) is None else [tree[key]]
        return own + [value for one in tree.values() for value in _all(one, key)]
    return [value for one in tree for value in _all(one, key)] if isinstance(tree, list) else []


def _anywhere(tree: object, key: str) -> Any:
    """Return the first value of a key at any depth of a tree, None where it stands nowhere."""
    return next(iter(_all(tree, key)), None)


LATENCY = frozenset({"avg_latency", "latencies"})
"""Keys that `vllm bench latency --output-json` writes, which tells no lengths."""


def _latency(record: Mapping[str, Any]) -> list[Row]:
    return [{"batch_mode": "static", "metric": "request_latency_s", "value": record["avg_latency"], "software": "vllm"}]


READERS: tuple[tuple[frozenset[str], Callable[[Mapping[str, Any]], list[Row]]], ...] = (
    (LLAMA, _llama), (SERVING, _serving), (PERF, _perf), (LATENCY, _latency),
)  # fmt: skip
"""Keys by which a tool's records are known, and what reads them."""
