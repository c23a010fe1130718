"""The GPU benchmark on this CPU, for tests."""


def bench(folder, **fields):
    import torch

    from tools.measure_gpu.arguments import parse
    from tools.measure_gpu.session import start

    # Small products gain nothing from more threads, and lose much on a busy machine.
    torch.set_num_threads(1)
    session = start(parse(["--device", "cpu", "--tiny", "--out", str(folder), "--point-seconds", "0.001"]))
    for name, value in fields.items():
        setattr(session.bench, name, value)
    return session.bench
