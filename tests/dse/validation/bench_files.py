"""Results as benchmark tools write them, with small numbers."""

_TEST = {
    "build_number": 6000, "gpu_info": "NVIDIA GeForce RTX 3090", "backends": "CUDA",
    "model_filename": "models/llama-3.1-8b-q4_k_m.gguf", "model_type": "llama 8B Q4_K - Medium",
    "model_size": 4912898304, "model_n_params": 8030261312, "n_ubatch": 512, "type_k": "f16", "type_v": "f16",
    "split_mode": "layer", "n_depth": 0, "n_gpu_layers": 99, "cpu_info": "AMD Ryzen 9",
}  # fmt: skip
LLAMA = [
    {**_TEST, "n_prompt": 512, "n_gen": 0, "avg_ns": 110000000},
    {**_TEST, "n_prompt": 0, "n_gen": 128, "avg_ns": 985000000},
    {
        **_TEST, "gpu_info": "NVIDIA GeForce RTX 3090, NVIDIA GeForce RTX 3090", "n_prompt": 512, "n_gen": 128,
        "avg_ns": 1200000000,
    },
]  # fmt: skip
VLLM = {
    "date": "20260101-000000", "backend": "vllm", "model_id": "meta-llama/Llama-3.1-8B-Instruct", "num_prompts": 50,
    "request_rate": "inf", "max_concurrency": 4, "duration": 26.5, "completed": 50, "total_input_tokens": 51200,
    "total_output_tokens": 6400, "request_throughput": 1.887, "output_throughput": 241.5, "mean_ttft_ms": 105.2,
    "mean_tpot_ms": 13.1, "median_tpot_ms": 13.0,
}  # fmt: skip
SGLANG = {
    "backend": "sglang", "request_rate": 2.0, "max_concurrency": None, "completed": 10, "total_input_tokens": 10240,
    "total_output_tokens": 2560, "request_throughput": 2.0, "output_throughput": 512.0, "mean_e2e_latency_ms": 3000.0,
    "mean_ttft_ms": 80.0, "mean_tpot_ms": 11.0,
}  # fmt: skip


def _mean(value, unit):
    return {"unit": unit, "avg": value, "p50": value}


_PERF = {
    "request_throughput": _mean(3.0, "requests/sec"), "time_to_first_token": _mean(61.0, "ms"),
    "inter_token_latency": _mean(9.5, "ms"), "request_latency": _mean(2500.0, "ms"),
    "output_token_throughput": _mean(700.0, "tokens/sec"), "output_sequence_length": _mean(256.0, "tokens"),
    "input_sequence_length": _mean(550.0, "tokens"),
}  # fmt: skip
GENAI_PERF = {
    **_PERF,
    "input_config": {"model": ["meta-llama/Llama-3.1-8B-Instruct"], "perf_analyzer": {"stimulus": {"concurrency": 8}}},
}
AIPERF = {
    **_PERF,
    "time_to_first_token": _mean(0.061, "s"),
    "input_config": {"endpoint": {"model_names": ["meta-llama/Llama-3.1-8B-Instruct"]}, "loadgen": {"concurrency": 8}},
}
AIPERF_15 = {
    **_PERF,
    "schema_version": "1.5",
    "input_config": {
        "models": {"items": [{"name": "meta-llama/Llama-3.1-8B-Instruct"}]},
        "phases": {"profiling": {"concurrency": 8}},
    },
    "telemetry_data": {"endpoints": {"localhost:9400": {"gpus": {
        "gpu_0": {"gpu_name": "NVIDIA H100 80GB HBM3"}, "gpu_1": {"gpu_name": "NVIDIA H100 80GB HBM3"},
    }}}},
}  # fmt: skip
