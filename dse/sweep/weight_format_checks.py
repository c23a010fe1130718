"""What a sweep sets of its weight formats must mean something in every format that it can meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cost_models.library import Library, WeightFormat
from cost_models.library.models import FREE_FIELDS
from cost_models.quantities.parameters import PARAMETERS
from cost_models.weights.chip_execution import chip_executions
from cost_models.weights.decoder import measured_codes, measured_loads
from cost_models.weights.execution import executions_of
from cost_models.weights.quality import methods_of
from dse.errors import Issue
from dse.sweep.checks import Declared, declarations, issue_at, values_of
from dse.sweep.chips import BaselineSpec
from dse.sweep.parameters import ParameterSpec, RangeSpec
from dse.yaml_positions import KeyPath, Node

FORMAT = "weight_format"
UNITS = "mac_format"
LOAD_SLACK = 1e-6


def check_storage(root: Node, space: Declared, library: Library) -> Iterator[Issue]:
    """Yield an issue for every parameter of formats that can meet a format without it, and for impossible pairs."""
    if any(isinstance(one, RangeSpec) for one in space.get(FORMAT, ())):
        return
    for path, declaration in declarations(space):
        name = str(path[1])
        forms = [library.weight_formats[key] for key in _met(declaration, space) if key in library.weight_formats]
        if name in FREE_FIELDS:
            yield from _free(root, path, name, forms, library)
        if name == "weight_method":
            yield from _methods(root, path, declaration, forms)
        if name == "weight_execution":
            yield from _executions(root, path, declaration, forms, library)
            yield from _units(root, path, declaration, space, library)
    yield from _patterns(root, space)
    wrong = list(_codes(root, space))
    yield from wrong or _loads(root, space)


def check_baselines(
    root: Node, baselines: Mapping[str, BaselineSpec], models: Iterable[str], library: Library
) -> Iterator[Issue]:
    """Yield an issue for every baseline that asks a chip for an execution that it cannot do of what it serves."""
    served = [library.models[name] for name in dict.fromkeys(models)]
    for name, entry in baselines.items():
        if entry.weight_execution is None:
            continue
        names = {str(entry.setup.named(model).weight_format) for model in served}
        for form in (library.weight_formats[one] for one in sorted(names)):
            yield from _execution_of_chip(root, name, entry, form, library)


def _execution_of_chip(
    root: Node, name: str, entry: BaselineSpec, form: WeightFormat, library: Library
) -> Iterator[Issue]:
    chip = library.chips[entry.chip]
    able = chip_executions(chip, form, act_bits=entry.act_bits, stored=entry.stored_bits)
    if entry.weight_execution not in able:
        what = f"{entry.weight_execution} of {form.key} with {entry.act_bits:g}-bit activations"
        must_be = f"what {entry.chip} can do: {' or '.join(able)}"
        yield issue_at(root, ("baselines", name, "weight_execution"), what, must_be)


def _units(root: Node, path: KeyPath, declaration: ParameterSpec, space: Declared, library: Library) -> Iterator[Issue]:
    """Yield an issue where units that multiply floating-point weights are to add bit planes."""
    if "bit_plane" not in values_of([declaration]) or any(isinstance(one, RangeSpec) for one in space.get(UNITS, ())):
        return
    met = declaration.when.get(UNITS) or (values_of(space[UNITS]) if UNITS in space else [PARAMETERS[UNITS].default])
    floats = [str(key) for key in met if (unit := library.mac_formats.get(str(key))) and unit.float_weights]
    if floats:
        integers = [key for key, unit in library.mac_formats.items() if not unit.float_weights]
        what = f"bit_plane needs units that multiply integer codes, {UNITS} {', '.join(floats)} does not"
        yield issue_at(root, path, what, perhaps=f"when: {{{UNITS}: [{', '.join(integers[:2])}]}}")


def _default() -> str:
    return str(PARAMETERS[FORMAT].default)


def _met(declaration: ParameterSpec, space: Declared, seen: frozenset[str] = frozenset()) -> list[str]:
    """Return the formats that a declaration can meet, directly or through the parameters it depends on."""
    formats = [str(value) for value in values_of(space[FORMAT])] if FORMAT in space else [_default()]
    if FORMAT in declaration.when:
        formats = [str(key) for key in declaration.when[FORMAT]]
    for name in declaration.when:
        if name != FORMAT and name in space and name not in seen:
            reached = {key for one in space[name] for key in _met(one, space, seen | {name})}
            formats = [key for key in formats if key in reached]
    return formats


def _free(root: Node, path: KeyPath, name: str, forms: Sequence[WeightFormat], library: Library) -> Iterator[Issue]:
    fixed = [form.key for form in forms if name not in form.free]
    if fixed:
        able = [key for key, form in library.weight_formats.items() if name in form.free]
        what = f"{name} is not free in weight_format {', '.join(fixed)}: it is in {', '.join(able)}"
        yield issue_at(root, path, what, perhaps=f"when: {{{FORMAT}: [{', '.join(able[:2])}]}}")


def _executions(
    root: Node, path: KeyPath, declaration: ParameterSpec, forms: Sequence[WeightFormat], library: Library
) -> Iterator[Issue]:
    for value in values_of([declaration]):
        unable = [form.key for form in forms if value not in executions_of(form)]
        if unable:
            able = ", ".join(executions_of(library.weight_formats[unable[0]]))
            what = f"{value} cannot execute weight_format {', '.join(unable)}; {unable[0]} takes {able}"
            yield issue_at(root, path, what)


def _methods(root: Node, path: KeyPath, declaration: ParameterSpec, forms: Sequence[WeightFormat]) -> Iterator[Issue]:
    """Yield an issue for every method that does not make the codes of a format that it can meet."""
    for value in values_of([declaration]):
        unable = [form for form in forms if value not in methods_of(form)]
        if unable:
            able = " or ".join(sorted(methods_of(unable[0])))
            why = "loses something" if value == "none" else f"is made by {able}"
            what = (
                f"{value} does not make weight_format {', '.join(form.key for form in unable)}: {unable[0].key} {why}"
            )
            fitting = [form.key for form in forms if form not in unable]
            perhaps = f"when: {{{FORMAT}: [{', '.join(fitting)}]}}" if fitting else able
            yield issue_at(root, path, what, perhaps=perhaps)


def _patterns(root: Node, space: Declared) -> Iterator[Issue]:
    """Yield an issue where more weights may be kept than there are."""
    if "nm_n" not in space and "nm_m" not in space:
        return
    for one in space.get("nm_n", ()) or (None,):
        kept = 2.0 if one is None else _ends(one)[1]
        beside = one.when.get("nm_m") if one is not None else None
        declared = [_ends(other)[0] for other in space.get("nm_m", ())]
        of = min(map(float, beside)) if beside else min(declared, default=4.0)
        if kept >= of:
            name = "nm_m" if one is None else "nm_n"
            yield issue_at(root, ("space", name), f"keeps up to {kept:g} of {of:g} weights: nm_n must be below nm_m")


def _codes(root: Node, space: Declared) -> Iterator[Issue]:
    """Yield an issue for sizes, sparsities and correlations of the XOR code that have not been measured."""
    names = ("n_in", "n_out", "shift_registers", "sparsity", "mask_correlation")
    met = [one for name in names for one in space.get(name, ())]
    if not any("xor" in _met(one, space) for one in met):
        return
    declared = {name: [one for one in space.get(name, ()) if "xor" in _met(one, space)] for name in names}
    inputs, registers = _whole(declared["n_in"], 8), _whole(declared["shift_registers"], 2)
    low, high = _span(declared["sparsity"], 0.5)
    most = _span(declared["mask_correlation"], 0.0)[1]
    measured = measured_codes()
    place = next(name for name in names if declared[name])
    for n_in in inputs:
        for kept in registers:
            code = f"n_in {n_in} with {kept} shift registers"
            if (n_in, kept) not in measured:
                known = ", ".join(f"{a} with {b}" for a, b in measured)
                what = f"the XOR code has not been measured for {code}: it has for n_in {known}"
                yield issue_at(root, ("space", place), what)
                return
            least, top, correlation = measured[n_in, kept]
            if low < least or high > top or most > correlation:
                bounds = f"sparsity from {least:g} to {top:g}, mask_correlation up to {correlation:g}"
                what = f"the XOR code, {code}, has not been measured beyond {bounds}"
                yield issue_at(root, ("space", place), what)
                return


def _loads(root: Node, space: Declared) -> Iterator[Issue]:
    """Yield an issue for outputs of the XOR code below its inputs, or at loads that have not been measured."""
    declared = {
        name: [one for one in space.get(name, ()) if "xor" in _met(one, space)]
        for name in ("n_in", "n_out", "shift_registers", "sparsity")
    }
    for one in declared["n_out"]:
        beside = {name: one.when[name] for name in ("n_in", "sparsity") if name in one.when}
        inputs = sorted(map(int, map(float, beside["n_in"]))) if "n_in" in beside else _whole(declared["n_in"], 8)
        given = [float(value) for value in beside.get("sparsity", ())]
        least, most = (min(given), max(given)) if given else _span(declared["sparsity"], 0.5)
        few, many = _ends(one)
        if few < inputs[-1]:
            what = f"n_out from {few:g} with n_in up to {inputs[-1]}"
            yield issue_at(root, ("space", "n_out"), what, "at least n_in: such a code stores more than it yields")
            return
        ends = [measured_loads(n_in, kept) for n_in in inputs for kept in _whole(declared["shift_registers"], 2)]
        low, high = max(end[0] for end in ends), min(end[1] for end in ends)
        loads = few * (1 - most) / inputs[-1], many * (1 - least) / inputs[0]
        if loads[0] < low - LOAD_SLACK or loads[1] > high + LOAD_SLACK:
            what = f"n_out {few:g} to {many:g} loads the XOR code, n_out (1 - sparsity) / n_in, by {loads[0]:.3g}"
            what += f" to {loads[1]:.3g}; it has been measured from {low:.3g} to {high:.3g}"
            yield issue_at(root, ("space", "n_out"), what, perhaps="a declaration per n_in and sparsity, with when")
            return


def _ends(declaration: ParameterSpec) -> tuple[float, float]:
    if isinstance(declaration, RangeSpec):
        return declaration.bounds
    return min(map(float, declaration.values)), max(map(float, declaration.values))


def _span(declarations: Sequence[ParameterSpec], default: float) -> tuple[float, float]:
    ends = [_ends(one) for one in declarations] or [(default, default)]
    return min(end[0] for end in ends), max(end[1] for end in ends)


def _whole(declared: Sequence[ParameterSpec], default: int) -> list[int]:
    """Return every whole number that a parameter can be."""
    result: set[int] = set()
    for one in declared:
        if isinstance(one, RangeSpec):
            result |= set(range(int(one.bounds[0]), int(one.bounds[1]) + 1))
        else:
            result |= {int(float(value)) for value in one.values}
    return sorted(result) or [default]
