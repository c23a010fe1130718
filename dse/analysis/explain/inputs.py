"""What people can ask to have explained: a design of a run, a design file, chips of the library.

A design file is a sweep with one value per parameter, read by the same reader:

    name: my_chip
    workloads:
      chat: {model: llama2_70b, batch: 32}
    design: {node: samsung_4, memory: lpddr5x_9600, memory_devices: 16, macs: 131072}

``technology``, ``economics``, ``baselines``, ``constraints`` and ``library`` mean what they mean in a sweep; ``id``,
``reason``, ``feasible`` and ``metrics`` may stand there, as in a run's ``picks.yaml``, and change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cost_models.table import Setting, Table
from dse.analysis.explain.designs import explain_baseline, explain_designs
from dse.analysis.explain.records import Explanation
from dse.errors import NOWHERE, Issue, Place, RunError, SpecError
from dse.evaluator import Evaluator
from dse.number_texts import whole_number
from dse.results.picks import default_pick
from dse.results.store import StoredRun
from dse.sweep import FixedSpec, Spec
from dse.sweep.files import read_tree
from dse.sweep.hints import quoted, suggest
from dse.sweep.issues import unknown_key
from dse.sweep.library_additions import MODEL_FILES, model_stem, with_additions
from dse.sweep.reader import read_spec
from dse.yaml_positions import Node, node_of, parse_yaml

SECTIONS = (
    "name", "design", "workloads", "technology", "economics", "baselines", "deployment", "constraints", "library",
)  # fmt: skip
"""Keys of a design file that mean something."""

REMARKS = ("id", "reason", "feasible", "metrics")
"""Keys that a pick carries beside its design."""


def explain_run_row(run: StoredRun, row: int | str | None = None) -> Explanation:
    """Return the explanation of a design of a run.

    Args:
        run: the run.
        row: id of a kept design, name of a pick or name of a baseline; the knee, or else the first pick, where None.

    Raises:
        RunError: the run has nothing of that name, or did not keep that design.
    """
    evaluator = Evaluator(run.spec)
    picks = {str(pick["name"]): pick for pick in run.picks}
    if row is None:
        row = default_pick(picks)
        if row is None:
            raise RunError(f"{run.path}: has no picks; name a design by its id")
    text = str(row)
    if text in picks:
        return explain_designs(evaluator, Table.from_settings(picks[text]["design"]), name=f"{run.name}, {text}")
    if text in run.spec.baselines:
        return explain_baseline(evaluator, text)
    settings, name = design_of_run(run, text, others=run.spec.baselines)
    return explain_designs(evaluator, Table.from_settings(settings), name=name)


def design_of_run(
    run: StoredRun, row: int | str | None = None, *, others: Iterable[str] = ()
) -> tuple[dict[str, Setting], str]:
    """Return the settings of a design of a run, and what to call it.

    Args:
        run: the run.
        row: id of a kept design or name of a pick; the knee, or else the first pick, where None.
        others: further names that could have been meant.

    Raises:
        RunError: the run has nothing of that name, or did not keep that design.
    """
    picks = {str(pick["name"]): pick for pick in run.picks}
    text = str(row if row is not None else default_pick(picks) or "")
    if text in picks:
        return dict(picks[text]["design"]), f"{run.name}, {text}"
    if (number := whole_number(text)) is None:
        known = [*picks, *others]
        perhaps = suggest(text, known)
        hint = f"; perhaps {perhaps}" if perhaps else ""
        raise RunError(f"{run.path}: {quoted(text)} is not a design's id or one of {', '.join(known)}{hint}")
    return run.settings(number), f"{run.name}, design {number}"


def explain_design_file(
    path: Path | str, workloads: Sequence[str] = (), *, library: Sequence[Path] = ()
) -> Explanation:
    """Return the explanation of the design in a file.

    Args:
        path: the design file.
        workloads: further workloads, each like ``llama2_70b batch=32 prompt_tokens=1024``.
        library: directories of entries that are added to the library.

    Raises:
        SpecError: every issue of the file and the workloads.
        LibraryError: what is added to the library is at fault.
    """
    spec, settings = load_design(path, workloads, library=library)
    return explain_designs(Evaluator(spec), Table.from_settings(settings), name=spec.name)


def load_design(
    path: Path | str, workloads: Sequence[str] = (), *, library: Sequence[Path] = ()
) -> tuple[Spec, dict[str, Setting]]:
    """Return the sweep of one design that a design file describes, and the design's settings.

    Args:
        path: the design file.
        workloads: further workloads, as in `explain_design_file`.
        library: as in `explain_design_file`.

    Raises:
        SpecError: every issue of the file and the workloads.
        LibraryError: what is added to the library is at fault.
    """
    tree, text = read_tree(Path(path))
    if not isinstance(tree.value, dict):
        raise SpecError([Issue(tree.place, "", quoted(tree.plain()), f"a mapping with {', '.join(SECTIONS[:3])}")])
    if "space" in tree.value and "design" not in tree.value:
        # Every key of a sweep would be at fault, and none of that would say what to do.
        raise SpecError([Issue(tree.value["space"].key_place, "space", "is a sweep's: run it, and explain its run")])
    issues = list(_faults_of_keys(tree, tree.value))
    given, more = workload_nodes(workloads)
    issues += more
    parts = {key: node for key, node in tree.value.items() if key in SECTIONS}
    design = parts.pop("design", Node({}, tree.place))
    named = parts.get("workloads", Node({}, tree.place))
    if isinstance(named.value, dict):
        parts["workloads"] = replace(named, value={**named.value, **given})
    if not parts["workloads"].value:
        issues.append(Issue(tree.place, "workloads", "is missing; give them in the file or as --workload"))
    spec, result = read_parts({"name": Node("design", tree.place), **parts, "space": design}, tree.place, text, library)
    reported = {issue.path for issue in issues}
    issues += [issue for issue in result if issue.path not in reported]
    if issues or spec is None:
        raise SpecError(issues)
    return spec, {name: entry[0].value for name, entry in spec.space.items() if isinstance(entry[0], FixedSpec)}


def _faults_of_keys(tree: Node, keys: Mapping[str, Node]) -> Iterable[Issue]:
    for key, node in keys.items():
        if key not in SECTIONS and key not in REMARKS:
            yield unknown_key(key, SECTIONS, node.key_place, (key,))
    design = keys.get("design")
    if design is None:
        yield Issue(tree.place, "design", "is missing")
        return
    if not isinstance(design.value, dict):
        return
    for name, node in design.value.items():
        if isinstance(node.value, dict | list):
            yield Issue(node.place, f"design.{name}", quoted(node.plain()), "one value; a design varies nothing")


def read_parts(
    parts: Mapping[str, Node], place: Place, text: str, directories: Sequence[Path]
) -> tuple[Spec | None, list[Issue]]:
    """Return the sweep made of the parts, or its issues, named by what people wrote.

    Args:
        parts: sections of a sweep without objectives and search.
        place: where they stand.
        text: the file that they come from, "" for none.
        directories: of entries that are added to the library.
    """
    rest = {
        "objectives": node_of([{"metric": "tdp_w", "direction": "minimize"}]),
        "search": node_of({"sampler": "grid"}),
    }
    try:
        tree, library, additions = with_additions(Node({**parts, **rest}, place), directories)
        return read_spec(tree, text, library).model_copy(update={"library": additions}), []
    except SpecError as error:
        return None, [replace(issue, path=re.sub(r"^space\b", "design", issue.path)) for issue in error.issues]


def workload_nodes(texts: Sequence[str], option: str = "--workload ") -> tuple[dict[str, Node], list[Issue]]:
    """Return the workloads of the command line by name: the model's, or what ``name=`` says.

    Args:
        texts: each like ``llama2_70b batch=32 prompt_tokens=1024``.
        option: what stands before such a text on the command line.
    """
    nodes: dict[str, Node] = {}
    issues: list[Issue] = []
    for text in texts:
        place = Place(f"{option}{quoted(text)}")
        fields, result = read_settings(re.split(r"[,\s]+", text.strip()), place, first="model")
        issues += result
        named = fields.pop("name", fields.get("model", Node("workload", place)))
        stem = name = _identifier(str(named.value))
        for count in range(2, len(texts) + 2):
            if name not in nodes:
                break
            name = f"{stem}_{count}"
        nodes[name] = Node(fields, place, place)
    return nodes, issues


def _identifier(model: str) -> str:
    """Return a name for a workload on a model: letters, digits, _ and -, a letter first."""
    named = model_stem(Path(model)) if model.endswith(MODEL_FILES) else model.rpartition("/")[2]
    return re.sub(r"^[^A-Za-z]+", "", re.sub(r"[^A-Za-z0-9_-]+", "_", named)) or "workload"


def read_settings(words: Iterable[str], place: Place, *, first: str = "") -> tuple[dict[str, Node], list[Issue]]:
    """Return ``key=value`` words as nodes, and their issues; ``outer.key=value`` stands in a mapping.

    Args:
        words: the words.
        place: where they stand.
        first: the key of a first word that stands alone.
    """
    nodes: dict[str, Node] = {}
    issues: list[Issue] = []
    for count, word in enumerate(word for word in words if word):
        key, equals, value = word.partition("=")
        if not equals and first and count == 0:
            key, value = first, word
        elif not equals or not key or not value:
            issues.append(Issue(place, "", quoted(word), "of the form key=value"))
            continue
        parent, _, inner = key.rpartition(".")
        held = nodes.setdefault(parent, Node({}, place, place)).value if parent else nodes
        if not isinstance(held, dict) or inner in held:
            issues.append(Issue(place, "", f"{key} is given twice"))
        else:
            held[inner] = parse_yaml(value, place.file, fixed=place)
    return nodes, issues


def explain_library_chip(
    chips: str, workloads: Sequence[str], settings: Sequence[str] = (), *, library: Sequence[Path] = ()
) -> Explanation:
    """Return the explanation of chips of the library.

    Args:
        chips: how many of which, ``2x a100_80gb_sxm``.
        workloads: at least one, each like ``llama2_70b batch=32 prompt_tokens=1024``.
        settings: number formats and stack, ``weight_format=fp8``, ``kv_bits=8``, ``act_bits=16``,
            ``weight_execution=look_up``, ``serving_stack=...``; those of a baseline in a sweep where not given.
        library: directories of entries that are added to the library.

    Raises:
        SpecError: every issue of the arguments.
        LibraryError: what is added to the library is at fault.
    """
    spec = chips_spec(chips, workloads, settings, library=library)
    return replace(explain_baseline(Evaluator(spec), "chips"), name=spec.baselines["chips"].chips)


def chips_spec(
    chips: str, workloads: Sequence[str], settings: Sequence[str] = (), *, library: Sequence[Path] = ()
) -> Spec:
    """Return chips of the library as the baseline ``chips`` of a sweep (arguments as in `explain_library_chip`).

    Raises:
        SpecError: every issue of the arguments.
    """
    place = Place(chips)
    nodes, issues = workload_nodes(workloads)
    if not nodes:
        issues.append(Issue(NOWHERE, "--workload", "is missing; for example --workload 'llama2_70b batch=32'"))
        nodes = {"workload": node_of({"model": "llama2_70b"})}
    formats, result = read_settings(settings, place)
    issues += result
    baseline = Node({"chips": Node(chips, place, place), **formats}, place, place)
    parts = {
        "name": Node("chips", place),
        "workloads": Node(nodes, place),
        "baselines": Node({"chips": baseline}, place),
        "space": node_of({"kv_bits": 16}),
    }
    spec, result = read_parts(parts, place, "", library)
    issues += [replace(issue, path=issue.path.removeprefix("baselines.chips.")) for issue in result]
    if issues or spec is None:
        raise SpecError(issues)
    return spec
