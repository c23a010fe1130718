"""One tree out of several files and arguments: ``extends`` and ``--set``.

Mappings are merged key by key and the extending file wins; lists and scalars are replaced; an
empty value (``null``) removes the key. What is declared anew replaces the old whole: a parameter
given with ``values``, or with both ``low`` and ``high``, and a ``search`` that names its ``sampler``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from dse.errors import Issue, Place, SpecError
from dse.number_texts import MOST_DIGITS, whole_number
from dse.plain import redacted
from dse.sweep.hints import quoted
from dse.yaml_positions import KeyPath, Node, parse_yaml, path_text, read_text

_INDEXED = re.compile(rf"([^\[\]]*)((?:\[[0-9]{{1,{MOST_DIGITS}}}\])*)")


def read_tree(path: Path) -> tuple[Node, str]:
    """Return the tree of a sweep file with everything it extends, and the text of the file itself.

    Raises:
        SpecError: a file cannot be read, is not YAML, or extends itself.
    """
    text = read_text(path)
    return _extended(parse_yaml(text, str(path)), path, (path.resolve(),)), text


def _extended(node: Node, path: Path, chain: tuple[Path, ...]) -> Node:
    """Return `node` merged over what it extends."""
    if not isinstance(node.value, dict) or "extends" not in node.value:
        return node
    named = node.value["extends"]
    if not isinstance(named.value, str):
        raise SpecError([Issue(named.place, "extends", quoted(named.plain()), "the path of one sweep file")])
    parent = path.parent / named.value
    if parent.resolve() in chain:
        circle = " -> ".join(step.name for step in (*chain, parent.resolve()))
        raise SpecError([Issue(named.place, "extends", f"goes round in a circle: {circle}")])
    if len(chain) > MAX_CHAIN:
        raise SpecError([Issue(named.place, "extends", f"is a chain of more than {MAX_CHAIN} files")])
    text = read_text(parent, asked_at=named.place)
    below = _extended(parse_yaml(text, str(parent)), parent, (*chain, parent.resolve()))
    if not isinstance(below.value, dict):
        raise SpecError([Issue(below.place, "", quoted(below.plain()), "a mapping, as a sweep is")])
    own = {key: inner for key, inner in node.value.items() if key != "extends"}
    return merge(below, Node(own, node.place, node.key_place))


MAX_CHAIN = 16
"""Most files that may extend one another."""


def merge(below: Node, above: Node, path: KeyPath = ()) -> Node:
    """Return two trees as one in which `above` wins, as the head of this module describes."""
    if not isinstance(below.value, dict) or not isinstance(above.value, dict) or _declares_anew(above.value, path):
        return above
    merged = dict(below.value)
    for key, inner in above.value.items():
        if inner.value is None and key in merged:
            del merged[key]
        else:
            merged[key] = merge(merged[key], inner, (*path, key)) if key in merged else inner
    return Node(merged, above.place, above.key_place)


def _declares_anew(value: Mapping[str, Node], path: KeyPath) -> bool:
    if path == ("search",):
        return "sampler" in value
    if len(path) == 2 and path[0] == "space":
        return "values" in value or ("low" in value and "high" in value)
    return False


def apply_overrides(tree: Node, overrides: Sequence[str], parameters: Collection[str]) -> Node:
    """Return the tree with ``a.b=c`` arguments put in, the later ones winning.

    A dotted path follows the keys that are there, the longest first, so that keys which hold dots themselves
    (``space.chat_70b.batch``, ``technology.tco.pue``) are found; list entries are ``constraints[0].max``.

    Args:
        tree: the sweep.
        overrides: the arguments; what follows ``=`` is YAML.
        parameters: dotted paths of the library's parameters, which are one key where a new one is made.

    Raises:
        SpecError: an argument is not of that form, or leads into a value that has no keys.
    """
    issues: list[Issue] = []
    for argument in overrides:
        place = Place(f"--set {redacted(argument)}")
        target, equals, text = argument.partition("=")
        try:
            if not equals or not target.strip():
                raise SpecError([Issue(place, "", quoted(redacted(argument)), "of the form a.b=value")])
            value = parse_yaml(text if text.strip() else "null", place.file, fixed=place)
            steps = _steps(target.strip(), place)
            _check_start(tree, steps, target.strip(), place)
            tree = _put(tree, steps, value, place, (), parameters)
        except SpecError as error:
            issues.extend(error.issues)
    if issues:
        raise SpecError(issues)
    return tree


def _check_start(tree: Node, steps: list[str | int], target: str, place: Place) -> None:
    """Refuse a path that begins below the top of the sweep, where its beginning stands in a section.

    Raises:
        SpecError: with the whole path.
    """
    top = tree.value if isinstance(tree.value, dict) else {}
    if steps[0] in top:
        return
    for section in ("workloads", "space", "baselines", "economics", "search"):
        node = top.get(section)
        if node is not None and isinstance(node.value, dict) and steps[0] in node.value:
            raise SpecError([Issue(place, "", f"{quoted(target)} is no key of a sweep", perhaps=f"{section}.{target}")])


def _steps(target: str, place: Place) -> list[str | int]:
    steps: list[str | int] = []
    for part in target.split("."):
        match = _INDEXED.fullmatch(part)
        if match is None or not part or not (match[1] or steps):
            must_be = "a dotted path such as search.seed or constraints[0].max"
            perhaps = ".".join(filter(None, target.split("."))) if match is not None and not part else ""
            raise SpecError([Issue(place, "", quoted(target), must_be, perhaps)])
        if match[1]:
            steps.append(match[1])
        steps.extend(int(index) for index in re.findall(r"[0-9]+", match[2]))
    return steps


def _put(
    node: Node, steps: list[str | int], value: Node, place: Place, path: KeyPath, parameters: Collection[str]
) -> Node:
    """Return `node` with `value` at the end of `steps`."""
    if not steps:
        return Node(value.value, place, place)
    if isinstance(node.value, list):
        index = whole_number(str(steps[0]))
        if index is None or index >= len(node.value):
            what = f"{steps[0]} is not an entry of {path_text(path)}, which has {len(node.value)}"
            raise SpecError([Issue(place, path_text(path), what)])
        items = list(node.value)
        items[index] = _put(items[index], steps[1:], value, place, (*path, index), parameters)
        return Node(items, node.place, node.key_place)
    if not isinstance(node.value, dict) or isinstance(steps[0], int):
        if path[:1] == ("space",) and len(path) == 2 and not isinstance(node.value, dict):
            # A fixed or listed parameter turned into a mapping by space.macs.low=1 space.macs.high=2.
            return _put(Node({}, place, place), steps, value, place, path, parameters)
        raise SpecError([Issue(place, path_text(path), f"{quoted(node.plain())} has no key {steps[0]}")])
    length = _key_length(node.value, steps, path, parameters)
    key = ".".join(str(step) for step in steps[:length])
    rest = steps[length:]
    items_of = dict(node.value)
    if not rest and value.value is None:
        if items_of.pop(key, None) is None:
            raise SpecError([Issue(place, path_text((*path, key)), "is not there, so it cannot be removed")])
        return Node(items_of, node.place, node.key_place)
    inner = node.value.get(key, Node({}, place, place))
    items_of[key] = _put(inner, rest, value, place, (*path, key), parameters)
    return Node(items_of, node.place, node.key_place)


def _key_length(
    keys: Mapping[str, Node], steps: Sequence[str | int], path: KeyPath, parameters: Collection[str]
) -> int:
    """Return how many steps make up the next key."""
    texts = [str(step) for step in itertools.takewhile(lambda step: isinstance(step, str), steps)]
    joined = [".".join(texts[:count]) for count in range(1, len(texts) + 1)]
    known = [count for count, key in enumerate(joined, 1) if key in keys]
    if known:
        return known[-1]
    if path in (("space",), ("technology",)):
        prefix = "technology." if path == ("space",) else ""
        parameter = [
            count for count, key in enumerate(joined, 1) if key.startswith(prefix) and key[len(prefix) :] in parameters
        ]
        if parameter:
            return parameter[-1]
        if path == ("technology",):
            return len(texts)
        if path == ("space",) and len(texts) > 1 and texts[1] not in _DECLARATION_KEYS:
            return len(texts) if texts[0] == "technology" else 2
    return 1


_DECLARATION_KEYS = ("values", "low", "high", "step", "log", "levels", "type", "when")
