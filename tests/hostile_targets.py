"""Every reader of files from outside, with whole files to damage."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dse.packing import packed
from tests import sweeps
from tests.dse.validation.bench_files import AIPERF, GENAI_PERF, LLAMA, SGLANG, VLLM
from tests.hostile import Target, as_json, as_yaml

ROOT = Path(__file__).parents[1]
MODEL_FILES = ROOT / "tests" / "cost_models" / "library" / "model_files"
GGUF_FILES = ROOT / "tests" / "dse" / "sweep" / "gguf_files"

ENTRIES = (
    ("chips", "h100_sxm"), ("memory", "lpddr5x"), ("memory_grades", "lpddr5x_9600"), ("nodes", "tsmc_5"),
    ("models", "llama3_8b"), ("weight_formats", "int4_g128"), ("stacks", "ideal"), ("tco", "pue"),
    ("shared_causes", None), ("mac_formats", None),
)  # fmt: skip
"""Entries of the library, by section, that a user gives anew."""


def _entries() -> bytes:
    """Return entries of the library as a user's own file."""
    from cost_models.library import shipped_library
    from cost_models.library.files import Sections

    data = Sections.read(shipped_library().directory / "data").data
    chosen = {}
    for section, key in ENTRIES:
        key = key or next(iter(data[section]))
        chosen[section] = {key: data[section][key]}
    chosen["chips"]["mine"] = {**chosen["chips"]["h100_sxm"], "name": "Mine"}
    return yaml.dump(chosen, sort_keys=False, width=120).encode()


ROWS = """\
source_id,chip,n_chips,parallelism,model,weight_bits,act_bits,kv_bits,batch,input_len,output_len,metric,value
mine,h100_sxm,8,tp8,llama3_70b,16,16,16,1,1024,1,ttft_ms,60
mine,h100_sxm,8,dp_or_tp8,llama3_8b,16,16,16,64,1024,64,tpot_ms,9
mine,h100_sxm,8,dp_or_tp8,llama3_70b,16,16,16,64,1024,64,tpot_ms,20
"""


ONLY_WITH_LIMITS = ("max_batch", "tokens_per_s_at_max_batch", "chips_for_load")
"""Metrics that have no value where a workload sets no limits."""


def _library(file: Path) -> None:
    from dse.sweep.library_additions import library_with

    check_designs({}, file.parent, library_with([file.parent]))


def check_designs(changes: Mapping[str, Any], folder: Path | None = None, library: object = None) -> None:
    """Evaluate some designs, of which none may be beyond what physics allows."""
    from dse.evaluator import Evaluator
    from dse.space import Space
    from dse.sweep import load_spec, parse_spec

    data = sweeps.tiny(**changes)
    if folder is None:
        spec = parse_spec(data)
    else:
        sweep = folder.parent / f"{folder.name}.sweep"
        sweep.write_bytes(as_yaml(data))
        spec = load_spec(sweep, library=[folder])
        sweep.unlink()
    space = Space(spec)
    found = Evaluator(spec).evaluate(space.grid(0, min(space.grid_size, 64)))
    for name, values in found.metrics.items():
        if name.rpartition(".")[2] in ONLY_WITH_LIMITS:
            continue
        if not np.isfinite(values[found.feasible]).all() or (values[found.feasible] < 0).any():
            least, most = np.min(values[found.feasible]), np.max(values[found.feasible])
            assert name.endswith(("headroom", "margin")), f"{name} from {least} to {most}"


def _sweep(file: Path) -> None:
    from dse.evaluator import Evaluator
    from dse.space import Space
    from dse.sweep import load_spec

    spec = load_spec(file)
    Evaluator(spec).evaluate(Space(spec).decode(np.random.default_rng(0).random((8, len(Space(spec).dimensions)))))


def _model(file: Path) -> None:
    from dse.evaluator import Evaluator
    from dse.space import Space
    from dse.sweep import load_spec

    data = sweeps.tiny()
    data["workloads"]["chat"]["model"] = str(file)
    sweep = file.parent.parent / "model.sweep"
    sweep.write_bytes(as_yaml(data))
    try:
        spec = load_spec(sweep)
    finally:
        sweep.unlink()
    found = Evaluator(spec).evaluate(Space(spec).grid(0, 32))
    for name, values in found.metrics.items():
        assert name.rpartition(".")[2] in ONLY_WITH_LIMITS or np.isfinite(values[found.feasible]).all(), name


def _claims(file: Path) -> None:
    from dse.analysis.audit.reader import load_claims

    load_claims(file)


def _measurements(file: Path) -> None:
    from dse.validation.run import run_validation

    run_validation([file], given={"chip": "h100_sxm", "weight_bits": "16"} if file.suffix == ".json" else {})


def _tensor(file: Path) -> None:
    from dse.weight_codes.codecs import compress_matrix
    from dse.weight_codes.pruning import check_matrix
    from dse.weight_codes.tensors import read_tensor

    tensor = read_tensor(file)
    if tensor.size < 5000:
        try:
            check_matrix(tensor)
            compress_matrix(tensor, formats=["bitmap"], sparsity=0.5)
        except ValueError as error:
            from cost_models.errors import CompressionError
            from dse.errors import TensorError

            if not isinstance(error, CompressionError):
                raise
            raise TensorError(f"{file}: {error}") from None


def _answers(file: Path) -> None:
    from dse.user_model.cache import AnswerCache

    AnswerCache().keep_in(file)


def _record(file: Path) -> None:
    from dse.search.journal import read_record

    read_record(file)


def _npy(*shape: int, dtype: str = "<f4", order: str = "C") -> bytes:
    content = io.BytesIO()
    np.save(content, np.asarray(np.random.default_rng(0).normal(size=shape) * 10, dtype, order=order))  # type: ignore[call-overload]
    return content.getvalue()


def safetensors(header: object, size: int) -> bytes:
    """Return a .safetensors file of a header and so many bytes."""
    head = header if isinstance(header, bytes) else as_json(header)
    return struct.pack("<Q", len(head)) + head + np.random.default_rng(0).normal(size=size // 4).astype("<f4").tobytes()


def _parse_safetensors(content: bytes) -> Any:
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


TENSORS = {"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [16, 32], "data_offsets": [0, 2048]}}


def targets() -> dict[str, Target]:
    """Return the readers by what they read."""
    configs = [file.read_bytes() for file in sorted(MODEL_FILES.glob("*/config.json")) if b"{" in file.read_bytes()[:3]]
    ggufs = [file.read_bytes() for file in sorted(GGUF_FILES.glob("*.gguf"))]
    shipped = ROOT / "cost_models" / "library"
    tables = [file.read_bytes().splitlines(keepends=True) for file in sorted((shipped / "measurements").glob("*.csv"))]
    shares = [b"".join(lines[:8]) for lines in tables if len(lines) > 8]
    tools = [as_json(one) for one in (LLAMA, VLLM, SGLANG, GENAI_PERF, AIPERF)]
    claims = (shipped / "claims.yaml").read_bytes()
    sweep = as_yaml(sweeps.tiny())
    state = {"a": [1, "x", None], "n": np.arange(4.0), "spec": {"seed": 1}}
    answers = "\n".join(json.dumps([f"k{n}", {"a": n / 7}, ""]) for n in range(5)).encode()

    def parse_yaml(content: bytes) -> Any:
        return yaml.safe_load(content)

    return {
        "sweep": Target("sweep.yaml", [sweep], _sweep, parse_yaml, as_yaml),
        "library": Target("lib/mine.yaml", [_entries()], _library, parse_yaml, as_yaml),
        "claims": Target("claims.yaml", [claims], _claims, parse_yaml, as_yaml),
        "config": Target("model/config.json", configs, _model, json.loads, as_json),
        "gguf": Target("model/some.gguf", ggufs, _model),
        "npy": Target("t.npy", [_npy(16, 32), _npy(8, 8, dtype="<f8", order="F"), _npy(5, 9, dtype="i1")], _tensor),
        "safetensors": Target(
            "t.safetensors", [safetensors(TENSORS, 2048)], _tensor, _parse_safetensors, lambda t: safetensors(t, 2048)
        ),
        "csv": Target("rows.csv", [ROWS.encode(), *shares], _measurements),
        "tool": Target("result.json", tools, _measurements, json.loads, as_json),
        "answers": Target("answers.jsonl", [answers], _answers),
        "record": Target("start", [packed(state)], _record),
    }
