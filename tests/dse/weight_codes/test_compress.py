"""``dse compress``: tensors from files, sizes against closed forms, and what is refused."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dse.errors import TensorError
from dse.weight_codes import tensors
from dse.weight_codes.tensors import DTYPES, read_tensor


def safetensors(path, tensors):
    """Write the format by its definition."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, tensor) in tensors.items():
        octets = tensor.tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(octets)],
        }
        data += octets
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.fixture
def matrix():
    return np.random.default_rng(0).standard_normal((32, 256)).astype(np.float32)


def test_a_tensor_of_several_is_found_by_name(tmp_path, matrix):
    half = (matrix.view(np.uint32) >> 16).astype(np.uint16)
    file = safetensors(tmp_path / "a.safetensors", {"one": ("F32", matrix), "two": ("BF16", half)})
    assert np.array_equal(read_tensor(file, "one"), matrix)
    assert read_tensor(file, "two") == pytest.approx(matrix, rel=2**-7)
    with pytest.raises(TensorError, match=r"holds 2 tensors.*one, two"):
        read_tensor(file)
    with pytest.raises(TensorError, match="no tensor 'three'"):
        read_tensor(file, "three")


@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.floats(-1e3, 1e3, width=32)))
@settings(max_examples=25, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, tensor):
    folder = tmp_path_factory.mktemp("tensors")
    np.save(folder / "a.npy", tensor)
    assert np.array_equal(read_tensor(folder / "a.npy"), tensor)
    assert np.array_equal(read_tensor(safetensors(folder / "a.safetensors", {"a": ("F32", tensor)})), tensor)


VALUES = np.array([[1, 2, 3], [100, 5, 6]])


@pytest.mark.parametrize("name", DTYPES)
def test_every_type_of_a_safetensors_file_is_read_in_its_place(tmp_path, name):
    if name == "BF16":  # the upper half of the bits of a float
        stored = (VALUES.astype("<f4").view("<u4") >> 16).astype("<u2")
    else:
        stored = VALUES.astype({"F": "<f", "I": "<i", "U": "<u"}[name[0]] + str(int(name[1:]) // 8))
    file = safetensors(tmp_path / "a.safetensors", {"other": ("U8", VALUES.astype("u1")), "one": (name, stored)})
    assert read_tensor(file, "one").tolist() == VALUES.tolist()
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(TensorError, match="cut off"):
        read_tensor(file, "one")


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "|u1", "<i2"])
def test_every_npy_file_of_numbers_is_read_in_its_order(tmp_path, version, order, dtype):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, np.array(VALUES, dtype, order=order), version=version)
    assert read_tensor(tmp_path / "a.npy").tolist() == VALUES.tolist()
    vector = np.arange(5, dtype=dtype)
    np.save(tmp_path / "b.npy", vector)
    assert read_tensor(tmp_path / "b.npy").tolist() == vector.tolist()


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([2**28], "'a' ends at byte 268,435,5"),
        ([2**14, 2**14 + 1], "'a' of shape 16384 x 16385 has 268,451,840|2.68e\\+08 weights, not 1 to 268,435,456"),
        ([2**14] * 8, r"shape (16384 x ){7}16384 has 5.19e\+33 weights"),
        ([2**14] * 9, "shape 9 dimensions has 8.51e\\+37 weights"),
        ([2**50] * 20, "has more than 1e300 weights"),
    ],
)
def test_tensors_up_to_the_greatest_are_read(tmp_path, shape, words):
    header = {"a": {"dtype": "U8", "shape": shape, "data_offsets": [0, 2**28]}}
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(TensorError, match=words):
        read_tensor(tmp_path / "a.safetensors")


def test_the_first_names_of_many_tensors_are_told(tmp_path):
    one = ("U8", np.ones(1, "u1"))
    for count, told in ((8, "t0, t1, t2, t3, t4, t5, t6, t7$"), (10, "t6, t7 and 2 more$")):
        file = safetensors(tmp_path / "a.safetensors", {f"t{i}": one for i in range(count)})
        with pytest.raises(TensorError, match=told):
            read_tensor(file)
        with pytest.raises(TensorError, match=f"no tensor 'u'; there are .*{told}"):
            read_tensor(file, "u")
    with pytest.raises(TensorError, match="holds no tensor"):
        read_tensor(safetensors(tmp_path / "a.safetensors", {}))


def test_files_cut_anywhere_are_refused(tmp_path, matrix):
    np.save(tmp_path / "whole.npy", matrix)
    safetensors(tmp_path / "whole.safetensors", {"one": ("F32", matrix)})
    for suffix in (".npy", ".safetensors"):
        whole, cut = (tmp_path / f"whole{suffix}").read_bytes(), tmp_path / f"cut{suffix}"
        for size in (0, 4, 20, 100, len(whole) // 2, len(whole) - 1):
            cut.write_bytes(whole[:size])
            with pytest.raises(TensorError):
                read_tensor(cut)


def test_sizes_of_a_file_at_half_sparsity(call, tmp_path, matrix):
    np.save(tmp_path / "a.npy", matrix)
    status, out, _ = call("compress", tmp_path / "a.npy", "--sparsity", 0.5, "--format", "json")
    assert status == 0
    result = {one["format"]: one for one in json.loads(out)["formats"]}
    scales = 16 / 128
    assert result["bitmap"]["stored_bits"] == 1 + 0.5 * 4 + scales
    assert result["bitmap"]["entropy_bound"] < 1 + 0.5 * 4
    assert result["group"]["stored_bits"] == 4 + scales
    assert result["nm_2of4"]["stored_bits"] == 3 + scales
    assert all(one["lossless"] and one["efficiency"] <= 1 + 1e-12 for one in result.values())
    assert result["xor_8x1"]["encoding_efficiency"] > result["xor_8x0"]["encoding_efficiency"]


def test_a_generated_tensor_is_printed_in_full(call):
    status, out, err = call("compress", "--shape", "64x256", "--sparsity", 0.8, "--rho", 0.1)
    assert (status, err) == (0, "")
    for word in ("bitmap", "xor_8x1", "rice", "csr16", "nm_2of4", "binary_coded", "correlation of nonzeros"):
        assert word in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sparsity", "-0.5"], "sparsity must be above 0"),
        (["--sparsity", "1"], "below 1"),
        (["--shape", "0x8"], "positive sizes"),
        (["--shape", "wide"], "two whole numbers"),
        (["--shape", "16x16", "--n-in", "99"], "n_in must be"),
        (["--shape", "16x16", "--only", "bitmop"], "'bitmop' is not a format"),
        (["--shape", "16x16", "--bits", "1"], "2 to 8 bits"),
        (["--shape", "16x16", "--pattern", "4:4"], "4 of 4"),
        (["--rho", "1"], "rho must be"),
        (["nowhere.npy"], "No such file"),
        (["table.csv"], "must be a .npy or .safetensors"),
    ],
)
def test_bad_arguments_end_with_a_line(call, arguments, words):
    status, out, err = call("compress", *arguments)
    assert (status, out) == (2, "")
    assert words in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (np.full((4, 4), np.nan), "must be finite"),
        (np.zeros((0, 4)), "has 0 weights"),
        (np.ones((4, 4), complex), "real numbers"),
    ],
)
def test_bad_tensors_end_with_a_line(call, tmp_path, tensor, words):
    np.save(tmp_path / "a.npy", tensor)
    status, out, err = call("compress", tmp_path / "a.npy")
    assert (status, out) == (2, "")
    assert words in err and "a.npy" in err


def test_a_code_that_stores_more_than_it_puts_out_is_refused():
    from cost_models.errors import CompressionError
    from dse.weight_codes.coding import XorCode

    with pytest.raises(CompressionError, match="n_in must not exceed n_out"):
        XorCode(8, 7)


def test_outputs_per_step_can_be_set(call, tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(64, 64)))
    one = ("--sparsity", "0.5", "--only", "xor_8x1", "--format", "json")
    result = [json.loads(call("compress", tmp_path / "a.npy", *one, *more)[1]) for more in ((), ("--n-out", "13"))]
    tight, slack = (record["formats"][0] for record in result)
    assert slack["stored_bits"] > tight["stored_bits"]
    assert slack["encoding_efficiency"] > tight["encoding_efficiency"]
    status, out, err = call("compress", tmp_path / "a.npy", "--sparsity", "0.5", "--n-in", "12", "--n-out", "8")
    assert (status, out) == (2, "")
    assert "n_in must not exceed n_out, got 12 and 8" in err


def test_formats_that_do_not_apply_are_listed_and_the_others_run(call, tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).standard_normal((16, 127)))
    status, out, _ = call("compress", tmp_path / "a.npy", "--format", "json")
    assert status == 0
    found = json.loads(out)
    why = {one["format"]: one["reason"] for one in found["not_applicable"]}
    assert {one["format"] for one in found["formats"]} >= {"group", "ans", "ans_bf16", "binary_coded"}
    assert "groups of 4" in why["nm_2of4"] and "no zero" in why["bitmap"] and "no zero" in why["xor_8x1"]
    # Pruned, only the odd rows are left as a reason.
    status, out, _ = call("compress", tmp_path / "a.npy", "--sparsity", 0.5)
    assert status == 0 and "Formats that do not apply" in out and "bitmap" in out
    status, out, err = call("compress", tmp_path / "a.npy", "--only", "bitmap")
    assert (status, out) == (2, "") and "no zero" in err


def test_the_display_counts_every_format_from_none_to_all(call, monkeypatch):
    told = []
    monkeypatch.setattr(
        "dse.render.terminal.counted_display", lambda what: contextlib.nullcontext(lambda *counts: told.append(counts))
    )
    assert call("compress", "--shape", "8x64", "--only", "bitmap", "--only", "group", "--sparsity", 0.5)[0] == 0
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_the_correlation_is_that_of_the_mask_that_is_stored(call, tmp_path):
    # Columns of eight times the scale in bands of 100: magnitude pruning keeps bands.
    scale = np.repeat(np.tile([1.0, 8.0], 4), 100)
    np.save(tmp_path / "a.npy", scale * np.random.default_rng(0).standard_normal((64, 800)))
    status, out, _ = call("compress", tmp_path / "a.npy", "--sparsity", 0.5, "--only", "bitmap")
    rho = float(out.split("pruned by magnitude:")[1].split()[0])
    assert status == 0 and 0.5 < rho < 1


def test_long_names_of_tensors_are_cut_where_they_are_listed(tmp_path):
    one = np.ones((2, 2), dtype="f4")
    file = safetensors(tmp_path / "long.safetensors", {"a" * 5000: ("F32", one), "w": ("F32", one)})
    with pytest.raises(TensorError, match=r"choose one with --tensor: a{40}, w$"):
        read_tensor(file)


def test_the_header_of_an_array_is_no_longer_than_what_is_read(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.arange(6.0))
    whole = (tmp_path / "a.npy").read_bytes()
    length = int.from_bytes(whole[8:10], "little")
    for most, fine in ((length, True), (length - 1, False)):
        monkeypatch.setattr(tensors, "MAX_HEADER_BYTES", most)
        if fine:
            assert read_tensor(tmp_path / "a.npy").tolist() == [0, 1, 2, 3, 4, 5]
        else:
            with pytest.raises(TensorError, match=r"is no \.npy file of numbers"):
                read_tensor(tmp_path / "a.npy")
    monkeypatch.undo()
    for place, octet in ((0, b"\x94"), (5, b"X"), (6, b"\4"), (6, b"\0")):
        (tmp_path / "b.npy").write_bytes(whole[:place] + octet + whole[place + 1 :])
        with pytest.raises(TensorError, match=r"is no \.npy file of numbers"):
            read_tensor(tmp_path / "b.npy")
    (tmp_path / "b.npy").write_bytes(whole[:8] + len(whole).to_bytes(2, "little") + whole[10:])
    with pytest.raises(TensorError, match="is cut off in its header"):
        read_tensor(tmp_path / "b.npy")
    one = safetensors(tmp_path / "a.safetensors", {"one": ("U8", np.ones(3, "u1"))})
    length = int.from_bytes(one.read_bytes()[:8], "little")
    monkeypatch.setattr(tensors, "MAX_HEADER_BYTES", length)
    assert read_tensor(one).tolist() == [1, 1, 1]
    monkeypatch.setattr(tensors, "MAX_HEADER_BYTES", length - 1)
    with pytest.raises(TensorError, match=r"is no \.safetensors file"):
        read_tensor(one)
    (tmp_path / "none.safetensors").write_bytes(bytes(8) + b"{}")
    with pytest.raises(TensorError, match=r"is no \.safetensors file"):
        read_tensor(tmp_path / "none.safetensors")


@pytest.mark.parametrize("places", [[0], [0, 2], [0, 4], [1, 3], [0, 3, 3]])
def test_the_bytes_of_a_tensor_are_those_of_its_shape(tmp_path, places):
    header = {"a": {"dtype": "U8", "shape": [3], "data_offsets": places}}
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(9))
    with pytest.raises(TensorError, match="is damaged: 'a' of U8 3 has other bytes than its shape"):
        read_tensor(tmp_path / "a.safetensors")
