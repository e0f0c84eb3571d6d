from uuid import uuid4

import pytest

from tasks.runs import is_scheduled


def test_a_command_is_started_by_hand():
    assert not is_scheduled()


@pytest.mark.parametrize("auto", [True, False])
def test_a_flow_run_says_whether_its_schedule_made_it(auto):
    from prefect.client.schemas.objects import FlowRun
    from prefect.context import FlowRunContext

    run = FlowRun(flow_id=uuid4(), auto_scheduled=auto)
    with FlowRunContext.model_construct(flow_run=run):
        assert is_scheduled() is auto
