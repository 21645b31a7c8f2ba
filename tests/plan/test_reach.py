"""Results that stay in their process, and consumers in another one."""

from __future__ import annotations

import pytest

from orchestrator_nb.errors import DefinitionError


class Model:
    """Something without a stored form."""


def fit() -> Model:
    return Model()


def count() -> int:
    return 1


def use(fit):
    return 1


@pytest.mark.parametrize(
    "consumer",
    [
        {"isolation": "process"},
        {"timeout": 5},
        {"environment": {"A": "1"}},
        {"cwd": "."},
        {"shell": ["echo", "${{ fit }}"]},
    ],
)
def test_a_consumer_in_another_process_is_refused_where_the_annotation_tells(planned, consumer):
    """Both are named, with the type and what to do, before anything runs."""
    functions = {"fit": fit} | ({} if "shell" in consumer else {"use": use})
    with pytest.raises(DefinitionError) as caught:
        planned({"fit": {}, "use": consumer}, functions=functions)
    (mistake,) = caught.value.mistakes
    assert mistake.path == "/commands/use"
    assert '"use" runs in a process of its own and asks for the result of "fit"' in mistake.message
    assert "Model" in mistake.message
    assert "skops" in (mistake.expected or "")


@pytest.mark.parametrize(
    ("producer", "consumer"),
    [
        (fit, {}),
        (fit, {"shell": ["echo", "done"], "after": ["fit"]}),
        (count, {"isolation": "process"}),
        (lambda: Model(), {"isolation": "process"}),  # noqa: PLW0108 - a function without annotations
    ],
)
def test_anything_else_is_not(planned, producer, consumer):
    """A consumer in a thread, one that does not ask for the result, a result that can be stored, no annotation."""
    functions = {"fit": producer} | ({} if "shell" in consumer else {"use": use})
    assert planned({"fit": {}, "use": consumer}, functions=functions).order == ("fit", "use")


def test_a_producer_that_has_its_result_does_not_trouble_a_settled_consumer(planned):
    """What will not run is not checked."""
    plan = planned({"fit": {}, "use": {"isolation": "process"}}, functions={"fit": fit, "use": use}, settled=("use",))
    assert plan.order == ("fit", "use")
