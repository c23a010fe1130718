"""What benchmark tools write, read as measured rows: their numbers, what they do not tell, and what no tool wrote."""

import json

import pytest

from cost_models.errors import ForeignFileError
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.number_texts import share_text
from dse.render.terminal.validation import validation_parts
from dse.validation.bench_results import rows_of_tool
from dse.validation.requests import prepare
from dse.validation.rows import MeasurementError, read_measurements, read_table
from dse.validation.run import run_validation
from tests.dse.validation.bench_files import AIPERF, AIPERF_15, GENAI_PERF, LLAMA, SGLANG, VLLM
from tests.dse.validation.cells import assert_cells

LIBRARY = shipped_library()
GIVEN = {"chip": "H100 SXM", "weight_bits": "16", "model": "llama3_8b"}


def read(folder, text, name="result.json", **given):
    path = folder / name
    path.write_text(text)
    form, rows = read_measurements(path, LIBRARY, given)
    assert form == "requests"
    return rows


def of_metric(rows, metric):
    return rows[rows["metric"] == metric].iloc[0]


def as_csv(records):
    names = list(records[0])
    lines = [",".join(names)] + [",".join(f'"{one[name]}"' for name in names) for one in records]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_llama_bench_in_all_its_forms(tmp_path, form):
    written = {
        "csv": as_csv(LLAMA), "json": json.dumps(LLAMA), "jsonl": "\n".join(json.dumps(one) for one in LLAMA),
    }  # fmt: skip
    rows = read(tmp_path, written[form], f"bench.{form}")
    assert rows["reason"].eq("").all()
    prompt, answer, both = (of_metric(rows, name) for name in ("ttft_ms", "tpot_ms", "request_latency_s"))
    assert (prompt["value"], prompt["input_len"], prompt["chunk_rows"]) == (pytest.approx(110.0), 512, 512)
    assert answer["value"] == pytest.approx(985.0 / 128)
    assert (answer["input_len"], answer["output_len"], answer["batch"]) == (0, 128, 1)
    assert both["value"] == pytest.approx(1.2)
    assert prompt["weight_bits"] == pytest.approx(4912898304 * 8 / 8030261312)
    assert (prompt["chip"], prompt["n_chips"], prompt["model"]) == ("rtx_3090", 1, "llama3_8b")
    assert both["parallelism"] == "layer_split2"
    assert both["n_chips"] == 2


def test_vllm_tells_no_chip_and_says_so(tmp_path):
    rows = read(tmp_path, json.dumps(VLLM))
    assert rows["reason"].eq("chip is not given").all()
    rows = read(tmp_path, json.dumps(VLLM), chip="H100 SXM", weight_bits="16")
    assert rows["reason"].eq("").all()
    step, first, rate = (of_metric(rows, name) for name in ("tpot_ms", "ttft_ms", "output_tokens_per_s"))
    assert (step["value"], step["batch"], step["input_len"], step["output_len"]) == (13.1, 4, 1024, 128)
    assert (first["value"], first["batch"]) == (105.2, 1)
    assert (rate["value"], rate["batch"]) == (241.5, 4)
    assert (rows["n_chips"] == 1).all()
    assert rows["read_as"].str.contains("no column n_chips: 1 taken").all()


def test_a_load_without_a_limit_has_the_concurrency_of_littles_law(tmp_path):
    rows = read(tmp_path, json.dumps(SGLANG), **GIVEN)
    # 2 requests a second of 3 s each.
    assert of_metric(rows, "tpot_ms")["batch"] == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"n_gpu_layers": 20}, "the host ran 12 of 32 layers"),
        ({"n_gpu_layers": -1}, ""),
        ({"n_gpu_layers": 33}, ""),
        (
            {"n_gpu_layers": 0, "gpu_info": "", "cpu_info": "Some Processor"},
            "chip 'Some Processor' is not in the library",
        ),
        ({"n_cpu_moe": 4}, "the host ran the experts of 4 layers (n_cpu_moe)"),
        ({"no_kv_offload": True}, "the host kept the KV cache (no_kv_offload)"),
        ({"n_depth": 4096}, "a prompt behind 4096 cached tokens is not predicted"),
    ],
)
def test_llama_bench_says_what_did_not_run_on_the_chip(tmp_path, changed, reason):
    rows = read(tmp_path, json.dumps([LLAMA[2] | changed]))
    assert rows["reason"].iloc[0].startswith(reason) and bool(rows["reason"].iloc[0]) == bool(reason)
    steps = read(tmp_path, json.dumps([LLAMA[1] | {"n_depth": 4096}])).iloc[0]
    assert (steps["reason"], steps["input_len"]) == ("", 4096), "steps behind a cache are those of its context"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "llama.cpp CUDA build 6000"), ({"backends": None}, "llama.cpp build 6000"),
        ({"build_number": None}, "llama.cpp CUDA"), ({"backends": None, "build_number": None}, "llama.cpp"),
    ],
)  # fmt: skip
def test_the_software_of_llama_bench_is_named_as_far_as_it_is_told(tmp_path, changed, told):
    rows = rows_of_tool(tmp_path / "bench.json", json.dumps([LLAMA[0] | changed]))
    assert rows is not None and rows["software"].tolist() == [told]


def test_a_clients_protocol_is_no_software_and_what_is_missing_is_told_at_once(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(VLLM | {"backend": "openai-chat"}))
    found = [run_validation([path], given=given) for given in ({}, GIVEN, GIVEN | {"software": "vLLM"})]
    assert "no row could be predicted" in str(validation_parts(found[0])[0])
    notes = [one.tables[0].note for one in found]
    assert notes[0] == "what a file does not tell is told beside it: --with chip=h100_sxm --with weight_bits=16"
    assert notes[1].startswith("the software of 3 rows is not told") and notes[2] == ""


def test_a_first_token_of_a_served_load_meets_the_requests_in_flight(tmp_path):
    first = of_metric(read(tmp_path, json.dumps(VLLM), **GIVEN), "ttft_ms")
    assert (first["batch"], first["concurrency"], first["reason"]) == (1, 4, "")
    # JSON of Python has Infinity: SGLang's way to say that no rate was asked for.
    for rate, limit, refused in (
        ("inf", None, True),
        (float("inf"), None, True),
        (2.0, None, False),
        ("inf", 8, False),
    ):
        record = VLLM | {"request_rate": rate, "max_concurrency": limit}
        rows = read(tmp_path, json.dumps(record), **GIVEN)
        assert of_metric(rows, "ttft_ms")["reason"].startswith("all requests are sent at once") == refused
        assert of_metric(rows, "tpot_ms")["reason"] == ""
    nobody = prepare(read(tmp_path, json.dumps(VLLM | {"max_concurrency": 0}), **GIVEN))
    assert of_metric(nobody, "ttft_ms")["reason"] == "concurrency must be above 0"


def test_aiperf_names_its_model_and_the_boards_that_it_watched(tmp_path):
    rows = read(tmp_path, json.dumps(AIPERF_15), weight_bits="16")
    assert set(rows["chip"]) == {"h100_sxm"} and set(rows["model"]) == {"llama3_8b"} and rows["reason"].eq("").all()
    assert of_metric(rows, "tpot_ms")["batch"] == 8


@pytest.mark.parametrize("record", [GENAI_PERF, AIPERF])
def test_perf_of_genai_and_ai(tmp_path, record):
    rows = read(tmp_path, json.dumps(record), chip="H100 SXM", weight_bits="16")
    step, first = of_metric(rows, "tpot_ms"), of_metric(rows, "ttft_ms")
    assert (step["value"], step["batch"], step["input_len"], step["output_len"]) == (9.5, 8, 550, 256)
    assert first["value"] == pytest.approx(61.0)
    assert step["model"] == "llama3_8b"


def test_perf_tells_times_in_four_units_and_in_milliseconds_where_it_names_none(tmp_path):
    for unit, told in (("ns", 61e6), ("us", 61e3), ("ms", 61.0), ("s", 0.061), ("", 61.0)):
        record = {**AIPERF, "time_to_first_token": {"avg": told, "unit": unit}}
        rows = read(tmp_path, json.dumps(record), chip="H100 SXM", weight_bits="16")
        assert of_metric(rows, "ttft_ms")["value"] == pytest.approx(61.0), unit


def test_a_concurrency_beyond_any_server_is_named(tmp_path):
    record = {**GENAI_PERF, "input_config": {"perf_analyzer": {"stimulus": {"concurrency": 1e300}}}}
    rows = read(tmp_path, json.dumps(record), chip="H100 SXM", weight_bits="16", model="llama3_8b")
    assert "concurrency must be at most 1e+06" in of_metric(rows, "ttft_ms")["reason"]


def test_every_tool_is_scored(tmp_path):
    files = []
    for place, record in enumerate((LLAMA, VLLM, SGLANG, GENAI_PERF)):
        files.append(tmp_path / f"{place}.json")
        files[-1].write_text(json.dumps(record))
    found = run_validation(files, given=GIVEN)
    assert sum(rows["predicted"].notna().sum() for rows in found.files.values()) == 12
    assert any(table.key == "all_rows" for table in found.tables)


@pytest.mark.parametrize("text", ["{}", "[1, 2]", '{"a": 1}', '{"completed": 3}'])
def test_what_no_tool_wrote_is_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(MeasurementError, match="llama-bench"):
        read_measurements(path, LIBRARY)


def test_broken_json_is_told_with_its_line(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"avg_ns": 1}\n{"avg_ns": 1,}\n')
    with pytest.raises(ForeignFileError, match=r"x\.json:2: is not JSON"):
        read_measurements(path, LIBRARY)


def test_no_batch_of_a_prompt_is_one_prompt_and_a_choice_of_layouts_is_made(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        "source_id,chip,n_chips,parallelism,model,weight_bits,act_bits,kv_bits,batch,input_len,output_len,metric,value\n"
        "mine,h100_sxm,8,tp8,llama3_70b,16,16,16,,1024,1,ttft_ms,60\n"
        "mine,h100_sxm,8,dp_or_tp8,llama3_8b,16,16,16,64,1024,64,tpot_ms,9\n"
        "mine,h100_sxm,8,dp_or_tp8,llama3_70b,16,16,16,64,1024,64,tpot_ms,20\n"
    )
    rows = next(iter(run_validation([path]).files.values()))
    assert float(rows["used_batch"].iloc[0]) == 1
    assert float(rows["predicted"].iloc[0]) < 100
    assert "one prompt" in rows["remark"].iloc[0]
    assert "layout read as dp8: the fewest chips that hold the weights" in rows["remark"].iloc[1]
    assert "layout read as dp4_tp2: the fewest chips that hold the weights" in rows["remark"].iloc[2]


def test_throughput_is_summed_up_by_source_and_chip(tmp_path):
    path = tmp_path / "round.csv"
    path.write_text(
        "source_id,chip,n_chips,parallelism,model,weight_bits,act_bits,kv_bits,batch,batch_mode,input_len,output_len,"
        "metric,value,grade\n"
        + "".join(
            f"r,h100_sxm,8,tp8,llama2_70b,8,8,8,{b},inflight,294,256,output_tokens_per_s,{20 * b},B\n"
            for b in (8, 16, 32, 64)
        )
        + "r,h200_sxm,8,tp8,llama2_70b,8,8,8,8,inflight,294,256,output_tokens_per_s,100,C\n"
    )
    found = run_validation([path])
    table = next(table for table in found.tables if table.key == "served_chips")
    assert table.frame["n"].to_dict() == {("r", "B", "h100_sxm"): 4, ("r", "C", "h200_sxm"): 1}
    assert share_text(table.frame["mdape"].iloc[0]) in table.note


LIBRARY, TECHNOLOGY = shipped_library(), Technology()


def tool(folder, record, **given):
    path = folder / "result.json"
    path.write_text(json.dumps(record))
    return read_table(path, given)


LATENCY = {"avg_latency": 2.5, "latencies": [2.0, 3.0]}


def test_what_a_latency_benchmark_tells_is_one_number(tmp_path):
    (row,) = tool(tmp_path, LATENCY).to_dict("records")
    assert_cells(row, {"metric": "request_latency_s", "value": "2.5", "batch_mode": "static", "software": "vllm",
                       "chip": "", "source_id": "result", "grade": "B", "input_len": ""})  # fmt: skip
    assert "n_chips" not in row and "kv_bits" not in row and "parallelism" not in row


BOARDS = "NVIDIA GeForce RTX 3090, NVIDIA GeForce RTX 3090"


@pytest.mark.parametrize(
    ("changed", "cells"),
    [
        ({}, {"n_chips": "1", "parallelism": "tp1", "gpu_layers": "99.0", "batch": "1", "batch_mode": "static"}),
        ({"gpu_info": BOARDS}, {"n_chips": "2", "parallelism": "layer_split2"}),
        ({"gpu_info": BOARDS, "split_mode": "row"}, {"n_chips": "2", "parallelism": "tp2"}),
        ({"gpu_info": BOARDS, "split_mode": "none"}, {"n_chips": "1", "parallelism": "tp1"}),
        ({"gpu_info": "", "cpu_info": "Some CPU"}, {"chip": "Some CPU", "gpu_layers": "", "n_chips": "1"}),
        ({"gpu_info": "", "cpu_info": " "}, {"chip": ""}), ({"n_gpu_layers": 0}, {"gpu_layers": "0.0"}),
        ({"n_gpu_layers": -1}, {"gpu_layers": ""}), ({"n_gpu_layers": None}, {"gpu_layers": ""}),
        ({"type_k": "q8_0"}, {"kv_bits": "8.5"}), ({"type_k": "odd"}, {}), ({"model_n_params": 0}, {"weight_bits": ""}),
        ({"model_filename": "C:\\m\\a-b.gguf"}, {"model": "a-b"}),
        ({"n_depth": 7}, {"refused": "a prompt behind 7 cached tokens is not predicted"}),
        ({"n_cpu_moe": 3}, {"refused": "the host ran the experts of 3 layers (n_cpu_moe)"}),
        ({"n_cpu_moe": 3, "gpu_info": ""}, {"refused": ""}),
        ({"no_kv_offload": "1"}, {"refused": "the host kept the KV cache (no_kv_offload)"}),
        ({"no_kv_offload": "TRUE"}, {"refused": "the host kept the KV cache (no_kv_offload)"}),
        ({"no_kv_offload": 0}, {"refused": ""}), ({"no_kv_offload": 1, "gpu_info": ""}, {"refused": ""}),
        ({"n_prompt": 0, "n_gen": 0}, {"metric": "tpot_ms", "value": ""}),
        ({"n_prompt": 0, "n_gen": 2, "avg_ns": 3e6, "n_depth": 9},
         {"metric": "tpot_ms", "value": "1.5", "input_len": "9.0", "output_len": "2.0", "refused": ""}),
        ({"n_gen": 2, "avg_ns": 3e9}, {"metric": "request_latency_s", "value": "3.0", "output_len": "2.0"}),
        ({"avg_ns": 3e6}, {"metric": "ttft_ms", "value": "3.0", "output_len": "1"}),
    ],
)  # fmt: skip
def test_what_a_test_of_llama_bench_says(tmp_path, changed, cells):
    (row,) = tool(tmp_path, [LLAMA[0] | changed]).to_dict("records")
    assert_cells(row, cells)
    assert ("kv_bits" in row) == (changed.get("type_k") != "odd")


@pytest.mark.parametrize(
    ("record", "batch", "cells"),
    [
        (VLLM, 4.0, {"input_len": "1024.0", "output_len": "128.0", "software": "vllm"}),
        # Little's law: requests a second times seconds a request, of the first token and 255 more at 11 ms.
        (SGLANG, 6.0, {"software": "sglang"}),
        ({k: v for k, v in SGLANG.items() if "e2e" not in k}, 2 * (0.080 + 0.011 * 255), {}),
        (SGLANG | {"mean_e2el_ms": 5000.0}, 10.0, {}), (SGLANG | {"request_throughput": None}, None, {}),
        ({k: v for k, v in SGLANG.items() if "e2e" not in k and "ttft" not in k}, None, {}),
        (SGLANG | {"max_concurrency": 3}, 3.0, {}), (VLLM | {"completed": 0}, 4.0, {"input_len": "", "output_len": ""}),
        (SGLANG | {"total_input_tokens": 0}, 6.0, {"input_len": "0.0"}),
        (SGLANG | {"total_output_tokens": 0, "mean_e2e_latency_ms": None}, 0.16, {"output_len": "0.0"}),
    ],
)  # fmt: skip
def test_what_a_serving_benchmark_says(tmp_path, record, batch, cells):
    step, first, rate = tool(tmp_path, record).to_dict("records")
    assert_cells(step, cells | {"batch_mode": "inflight", "metric": "tpot_ms"})
    for row in (step, rate):
        assert (float(row["batch"]) if row["batch"] else None) == (None if batch is None else pytest.approx(batch))
    assert float(first["batch"]) == 1 and first["concurrency"] == step["batch"]


def test_lines_of_json_are_records_and_a_list_is_too(tmp_path):
    path = tmp_path / "x.json"
    for text in (json.dumps(LLAMA), "\n\n".join(json.dumps(one) for one in LLAMA), json.dumps(LLAMA, indent=1)):
        path.write_text(text)
        assert len(read_table(path)) == 3
    path.write_text(json.dumps(VLLM, indent=1))
    assert len(read_table(path)) == 3, "one record, of several lines"
    path.write_text(json.dumps([VLLM, 3]))
    with pytest.raises(MeasurementError):
        read_measurements(path, LIBRARY)
