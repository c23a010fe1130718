"""What must hold between the parts of a sweep that are right by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cost_models.library import Library
from cost_models.performance.batching import CONTINUOUS
from cost_models.performance.metrics import OF_USERS
from cost_models.performance.waits import MOST_P95
from cost_models.quantities.columns import TECHNOLOGY_PREFIX
from cost_models.quantities.metrics import P_FEASIBLE
from cost_models.table import Setting
from cost_models.workload.param_count import attentions
from cost_models.workload.serving import KINDS, Layout
from cost_models.workload.speculation import MTP, NGRAM
from dse.errors import Issue
from dse.number_texts import counted
from dse.sweep.chips import BaselineSpec
from dse.sweep.goals import ConstraintSpec, ObjectiveSpec
from dse.sweep.hints import one_of, quoted, suggest
from dse.sweep.issues import places_of
from dse.sweep.parameters import ParameterSpec, RangeSpec
from dse.sweep.search import SearchSpec
from dse.sweep.user_model import BUILT_IN, ModelSpec
from dse.sweep.workloads import SessionsSpec, SpeculationSpec, WorkloadSpec
from dse.yaml_positions import KeyPath, Node, path_text

TRAFFIC_FIELDS = (
    "arrivals_per_s", "arrival_cv", "concurrency", "prompt_p95_tokens", "output_p95_tokens", "trace",
    "limit_percentile",
)  # fmt: skip
"""Fields of a workload that only requests batched continuously have."""

Declared = Mapping[str, Sequence[ParameterSpec]]


def issue_at(root: Node, path: KeyPath, what: str, must_be: str = "", perhaps: str = "") -> Issue:
    """Return an issue of what stands at `path`."""
    return Issue(places_of(root, path)[0], path_text(path), what, must_be, perhaps)


def check_repeats(
    root: Node, objectives: Mapping[int, ObjectiveSpec], constraints: Mapping[int, ConstraintSpec]
) -> Iterator[Issue]:
    """Yield an issue for every objective and constraint that stands twice."""
    first: dict[str, int] = {}
    for index, objective in objectives.items():
        if first.setdefault(objective.metric, index) != index:
            what = f"{objective.metric} is the metric of objectives[{first[objective.metric]}] already"
            yield issue_at(root, ("objectives", index, "metric"), what)
    seen: dict[str, int] = {}
    for index, constraint in constraints.items():
        if seen.setdefault(constraint.label, index) != index:
            yield issue_at(root, ("constraints", index), f"is the same as constraints[{seen[constraint.label]}]")


def check_chances(
    root: Node, objectives: Mapping[int, ObjectiveSpec], constraints: Mapping[int, ConstraintSpec]
) -> Iterator[Issue]:
    """Yield an issue for every use of ``p_feasible`` that the search cannot serve: it is known only after it."""
    for index, objective in objectives.items():
        if objective.metric == P_FEASIBLE:
            what = f"{P_FEASIBLE} is known after the search only and cannot steer it"
            yield issue_at(
                root,
                ("objectives", index, "metric"),
                what,
                perhaps=f"constraints: [{{metric: {P_FEASIBLE}, min: 0.8}}]",
            )
    last = max((index for index, one in constraints.items() if one.metric != P_FEASIBLE), default=-1)
    for index, constraint in constraints.items():
        if constraint.metric != P_FEASIBLE:
            continue
        if constraint.relative_to:
            yield issue_at(
                root, ("constraints", index, "relative_to"), f"{P_FEASIBLE} is a share of draws, not of a baseline"
            )
        if index < last:
            yield issue_at(
                root, ("constraints", index), f"a constraint on {P_FEASIBLE} is judged last and must stand last"
            )


def unlike_layout(count: int, what: str, layout: str) -> str:
    """Return that so many chips are not those of a layout."""
    return f"{counted(count, 'chip')} cannot share {what} as {layout}, which takes {Layout.of(layout).chips:g}"


def check_layouts(
    root: Node, workloads: Mapping[str, WorkloadSpec], baselines: Mapping[str, BaselineSpec], space: Declared
) -> Iterator[Issue]:
    """Yield an issue for every number of chips that is not what a layout takes."""
    for name, workload in workloads.items():
        if workload.parallelism not in KINDS and f"{name}.n_chips" in space:
            what = f"parallelism {workload.parallelism} states the number of chips"
            yield issue_at(root, ("space", f"{name}.n_chips"), what, perhaps=f"parallelism: {one_of(KINDS)}")
    for name, entry in baselines.items():
        for workload in workloads.values():
            layout = entry.parallelism or workload.parallelism
            if layout in KINDS or int(Layout.of(layout).chips) == entry.count:
                continue
            what = unlike_layout(entry.count, "a model", layout)
            perhaps = "" if entry.parallelism else f"parallelism: {KINDS[0]}"
            yield issue_at(root, ("baselines", name, "parallelism"), what, perhaps=perhaps)
            break


def check_traffic(
    root: Node, workloads: Mapping[str, WorkloadSpec], metrics: Mapping[KeyPath, str], space: Declared, library: Library
) -> Iterator[Issue]:
    """Yield an issue for traffic of a workload that is not batched continuously, and for traffic that cannot be."""
    mode = f"batching: {CONTINUOUS}"
    for name, one in workloads.items():
        given = [field for field in TRAFFIC_FIELDS if getattr(one, field) is not None or f"{name}.{field}" in space]
        places = {
            field: ("workloads", name, field) if f"{name}.{field}" not in space else ("space", f"{name}.{field}")
            for field in (*given, "batch")
        }
        if one.batching != CONTINUOUS:
            # What a trace tells is not the user's to take back.
            for field in given if one.trace is None else ("trace",):
                yield issue_at(root, places[field], f"{field} has no part in batching: {one.batching}", perhaps=mode)
            for path, metric in metrics.items():
                owner, _, bare = metric.rpartition(".")
                if owner == name and bare in OF_USERS:
                    what = f"{bare} needs requests that are batched continuously"
                    yield issue_at(root, path, what, perhaps=f"{mode} in workloads.{name}")
            continue
        if library.models[one.model].encoder:
            what = f"{one.model} has no decode steps that prompts could join"
            yield issue_at(root, ("workloads", name, "batching"), what, perhaps="batching: static")
        if one.batch != 1 or f"{name}.batch" in space:
            what = f"batch has no part in {mode}, where as many requests are served as come"
            yield issue_at(root, places["batch"], what, perhaps="concurrency")
        limited = one.ttft_limit_ms is not None or one.tpot_limit_ms is not None
        times = {f"{name}.ttft_ms", f"{name}.tpot_ms"}
        bounded = any(path[0] == "constraints" and metric in times for path, metric in metrics.items())
        if not ({"arrivals_per_s", "concurrency"} & {*given} or limited or bounded):
            what = f"{mode} needs a load, or limits that say how much of one is borne"
            perhaps = "arrivals_per_s, concurrency, ttft_limit_ms or tpot_limit_ms"
            yield issue_at(root, ("workloads", name, "batching"), what, perhaps=perhaps)
        if {"arrivals_per_s", "concurrency"} <= {*given}:
            what = "concurrency stands beside arrivals_per_s: requests arrive, or follow one another"
            yield issue_at(root, places["concurrency"], what)
        yield from _beyond_context(root, name, one, library)
        for kind in ("prompt", "output"):
            mean, high = getattr(one, f"{kind}_tokens"), getattr(one, f"{kind}_p95_tokens")
            if high is not None and not mean < high <= MOST_P95 * mean:
                must_be = f"above {kind}_tokens {mean} and at most {MOST_P95:.3g} times it, as of lognormal lengths"
                yield issue_at(root, ("workloads", name, f"{kind}_p95_tokens"), quoted(high), must_be)


def check_prefixes(
    root: Node, workloads: Mapping[str, WorkloadSpec], space: Declared, library: Library
) -> Iterator[Issue]:
    """Yield an issue for every cached prefix that is longer than its prompt, or that nothing could cache."""
    for name, one in workloads.items():
        path: KeyPath = ("workloads", name, "prefix_cached")
        if one.prefix_cached is None:
            continue
        if library.models[one.model].encoder:
            yield issue_at(root, path, f"{one.model} is an encoder, which caches nothing")
        elif one.prefix_cached > max(one.prompt_tokens, 1) and f"{name}.prompt_tokens" not in space:
            must_be = f"a share up to 1, or tokens up to prompt_tokens {one.prompt_tokens:g}"
            yield issue_at(root, path, quoted(one.prefix_cached), must_be)


def check_sessions(
    root: Node, workloads: Mapping[str, WorkloadSpec], space: Declared, library: Library, *, pools: bool
) -> Iterator[Issue]:
    """Yield an issue for conversations that cannot be, and for numbers of ones that are not there."""
    for name, one in workloads.items():
        path: KeyPath = ("workloads", name, "sessions")
        if one.sessions is None:
            for field in SessionsSpec.model_fields:
                if f"{name}.{field}" in space:
                    where: KeyPath = ("space", f"{name}.{field}")
                    yield issue_at(root, where, f"{name} has no sessions", perhaps=f"workloads.{name}.sessions")
            continue
        if one.batching != CONTINUOUS:
            what = f"sessions have no part in batching: {one.batching}"
            yield issue_at(root, path, what, perhaps=f"batching: {CONTINUOUS}")
        if pools:
            yield issue_at(root, path, "sessions stand beside a deployment of two pools, which keeps no histories")
        for field in ("trace", "prefix_cached"):
            if getattr(one, field) is not None:
                what = f"sessions stand beside {field}: what a prompt repeats is its history"
                yield issue_at(root, path, what)
        most = library.models[one.model].max_context
        whole = one.sessions.turns * (one.prompt_tokens + one.output_tokens)
        if most is not None and whole > most:
            what = f"the last turn has {whole:g} tokens, more than the context of {one.model}, {most}"
            yield issue_at(root, path, what, perhaps="fewer turns")


def check_speculation(
    root: Node, workloads: Mapping[str, WorkloadSpec], space: Declared, library: Library
) -> Iterator[Issue]:
    """Yield an issue for every draft that cannot be, and for numbers of one that is not there."""
    for name, one in workloads.items():
        model, path = library.models[one.model], ("workloads", name, "speculation")
        if one.speculation is None:
            for field in SpeculationSpec.model_fields:
                if f"{name}.{field}" in space:
                    where: KeyPath = ("space", f"{name}.{field}")
                    yield issue_at(root, where, f"{name} drafts nothing", perhaps=f"workloads.{name}.speculation")
        elif model.encoder:
            yield issue_at(root, path, f"{one.model} generates no tokens that could be drafted")
        elif one.speculation.draft == MTP and not attentions(model):
            what = f"{one.model} has no layer of attention that could draft"
            yield issue_at(root, (*path, "draft"), what, perhaps=NGRAM)
        elif one.speculation.draft in library.models and library.models[one.speculation.draft].encoder:
            yield issue_at(root, (*path, "draft"), f"{one.speculation.draft} generates no tokens")


def _beyond_context(root: Node, name: str, one: WorkloadSpec, library: Library) -> Iterator[Issue]:
    """Yield an issue where a trace has a request longer than what the model takes."""
    most = library.models[one.model].max_context
    if one.trace is not None and most is not None and one.trace.longest_tokens > most:
        where = f"{one.trace.file}:{one.trace.longest_line}"
        what = f"{where}: a request has {one.trace.longest_tokens:.0f} tokens, more than the context of {one.model}"
        yield issue_at(root, ("workloads", name, "trace"), f"{what}, {most}")


def check_enumerable(root: Node, space: Declared, search: SearchSpec) -> Iterator[Issue]:
    """Yield an issue for every range that `grid` cannot enumerate."""
    if "grid" not in search.stages:
        return
    for path, declaration in declarations(space):
        if isinstance(declaration, RangeSpec) and not declaration.is_finite:
            yield issue_at(root, path, "a range that the sampler grid cannot enumerate", perhaps="add step or levels")


def check_model(root: Node, model: ModelSpec | None) -> Iterator[Issue]:
    """Yield an issue for every section that has no part where a user-defined model evaluates designs."""
    if model is None:
        return
    if root.at(("robustness",)) is not None:
        yield issue_at(
            root, ("robustness",), "Monte Carlo samples are of parameters of the built-in evaluation, without model"
        )
    if any(root.at(("search", "options", *path)) is not None for path in (("prune",), ("grid", "prune"))):
        yield issue_at(root, ("search", "options"), "prune decides designs by the built-in evaluation, without model")
    for section in BUILT_IN if model.replace else ():
        if root.at((section,)) is not None:
            yield issue_at(root, (section,), "has no part where model.replace leaves the built-in evaluation out")


def check_conditions(root: Node, space: Declared) -> Iterator[Issue]:
    """Yield an issue for every condition that cannot be decided, and for alternatives that overlap."""
    yield from _unknown_conditions(root, space)
    yield from _circles(root, space)
    for name, alternatives in space.items():
        yield from _overlaps(root, name, alternatives)
        if name.startswith(TECHNOLOGY_PREFIX) and any(alternative.when for alternative in alternatives):
            yield issue_at(root, ("space", name), "a parameter has a value in every design: when does not go with it")


def values_of(alternatives: Sequence[ParameterSpec]) -> tuple[float | str, ...]:
    """Return every value that a parameter without ranges can take, in the order of the file."""
    values: dict[float | str, None] = {}
    for alternative in alternatives:
        assert not isinstance(alternative, RangeSpec), "a range has no list of values"
        values |= dict.fromkeys(alternative.values)
    return tuple(values)


def declarations(space: Declared) -> Iterator[tuple[KeyPath, ParameterSpec]]:
    """Yield every declaration of a space with its place in the file."""
    for name, alternatives in space.items():
        for index, alternative in enumerate(alternatives):
            yield (("space", name, index) if len(alternatives) > 1 else ("space", name)), alternative


def _unknown_conditions(root: Node, space: Declared) -> Iterator[Issue]:
    listed = [n for n, alternatives in space.items() if not any(isinstance(a, RangeSpec) for a in alternatives)]
    for path, declaration in declarations(space):
        for name, values in declaration.when.items():
            where = (*path, "when", name)
            if name not in space:
                if root.at(("space", name)) is None:
                    yield issue_at(root, where, quoted(name), "a parameter of this space", suggest(name, listed))
                continue
            if name not in listed:
                perhaps = f"{name}: {{values: [...]}}"
                yield issue_at(root, where, f"{name} is a range: a condition needs one with values", perhaps=perhaps)
                continue
            known = values_of(space[name])
            for value in values:
                if value not in known:
                    words = [quoted(one) for one in known]
                    must_be = one_of(words) if len(words) <= 8 else f"a value of {name}"
                    yield issue_at(root, where, quoted(value), must_be, _alike(value, known))


def _alike(value: Setting, known: Sequence[Setting]) -> str:
    """Return the value that was probably meant: the nearest number, or the most alike name."""
    numbers = [one for one in known if not isinstance(one, str)]
    if isinstance(value, str) or not numbers:
        return suggest(str(value), map(str, known))
    return quoted(min(numbers, key=lambda one: abs(one - value)))


def _circles(root: Node, space: Declared) -> Iterator[Issue]:
    """Yield one issue per circle of conditions."""
    needs = {name: {n for a in alternatives for n in a.when if n in space} for name, alternatives in space.items()}
    reported: set[frozenset[str]] = set()
    for start in needs:
        trail = _trail_back(start, needs)
        if trail and frozenset(trail) not in reported:
            reported.add(frozenset(trail))
            yield issue_at(root, ("space", start), f"its condition goes round in a circle: {' -> '.join(trail)}")


def _trail_back(start: str, needs: Mapping[str, set[str]]) -> list[str]:
    """Return the way from a parameter over its conditions back to itself, empty where there is none."""
    open_trails, seen = [[start]], set()
    while open_trails:
        trail = open_trails.pop()
        for name in sorted(needs[trail[-1]]):
            if name == start:
                return [*trail, start]
            if name not in seen:
                seen.add(name)
                open_trails.append([*trail, name])
    return []


def _overlaps(root: Node, name: str, alternatives: Sequence[ParameterSpec]) -> Iterator[Issue]:
    for index, one in enumerate(alternatives):
        for earlier, other in enumerate(alternatives[:index]):
            shared = set(one.when) & set(other.when)
            if not any(set(one.when[key]).isdisjoint(other.when[key]) for key in shared):
                what = f"may hold together with [{earlier}]: their when must exclude each other"
                yield issue_at(root, ("space", name, index), what)
