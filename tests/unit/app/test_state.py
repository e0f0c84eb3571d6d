from hypothesis import given
from hypothesis import strategies as st

from segnets.app.read import Reader
from segnets.app.state import (
    AXES,
    LAYERS,
    METRICS,
    MOST_RANGES,
    MOST_SMOOTHING,
    ORDERS,
    PAGES,
    STATUS_FILTERS,
    WAYS,
    WINDOWS,
    Session,
    View,
    parse_address,
    query_of,
)

ids = st.from_regex(r"[a-z0-9_-]{1,40}", fullmatch=True)
curves = {
    "metric": st.sampled_from(METRICS),
    "axis": st.sampled_from(AXES),
    "shown_class": st.integers(0, 18),
    "smoothing": st.none() | st.integers(0, MOST_SMOOTHING),
}
trial_views = st.builds(
    View,
    page=st.just("trials"),
    grid=ids,
    status=st.sampled_from(["any", "done"]),
    sort=st.sampled_from(["miou", "-miou", "-s_" + 46 * "a", "s_loss__name"]),
    ticked=st.none() | st.lists(ids, unique=True, max_size=8).map(tuple),
    **curves,
    brush=st.lists(
        st.tuples(
            st.from_regex(r"[a-z0-9_.]{1,40}", fullmatch=True),
            st.integers(0, 49),
            st.integers(50, 100),
        ),
        max_size=MOST_RANGES,
        unique_by=lambda one: one[0],
    ).map(tuple),
)
hidden = st.sets(st.sampled_from([*range(19), 255])).map(sorted).map(tuple)
sample_views = st.builds(
    View,
    page=st.just("samples"),
    evaluation=ids,
    sample=st.text(min_size=1, max_size=60).map(str.strip).filter(bool),
    layer=st.sampled_from(LAYERS),
    opacity=st.integers(0, 100),
    hidden=hidden,
    order=st.sampled_from(ORDERS),
)
compare_views = st.builds(
    View,
    page=st.just("compare"),
    first=ids,
    second=ids,
    sample=st.text(min_size=1, max_size=60).map(str.strip).filter(bool),
    way=st.sampled_from(WAYS),
    mistake=st.just("") | st.builds("{}-{}".format, st.integers(0, 18), st.integers(0, 19)),
    opacity=st.integers(0, 100),
    **curves,
)
dataset_views = st.builds(View, page=st.just("dataset"), dataset=ids, clip=st.just("val/a b"))


run_views = st.builds(
    View,
    page=st.just("runs"),
    grid=ids,
    status=st.sampled_from(STATUS_FILTERS),
    window=st.sampled_from(WINDOWS),
    lane=st.integers(0, 999_999),
    trial=ids,
)
prediction_views = st.builds(
    View,
    page=st.just("pred"),
    run=ids,
    night=ids,
    frame=st.text(min_size=1, max_size=60).map(str.strip).filter(bool),
    layer=st.sampled_from(LAYERS),
    opacity=st.integers(0, 100),
    hidden=hidden,
    order=st.sampled_from(ORDERS),
)


@given(trial_views | sample_views | compare_views | dataset_views | run_views | prediction_views)
def test_an_address_gives_the_view_back_that_it_was_made_of(view):
    assert parse_address(view.address) == view


@given(st.text(max_size=200))
def test_any_address_gives_a_view_of_known_words(query):
    view = parse_address(query)
    assert view.page in PAGES
    assert view.way in WAYS
    assert view.layer in LAYERS
    assert 0 <= view.opacity <= 100
    assert 0 <= view.shown_class <= 18
    assert view.smoothing is None or 0 <= view.smoothing <= MOST_SMOOTHING
    assert "<" not in view.address


def test_no_ticked_trial_is_another_view_than_nobody_chose():
    assert parse_address("?p=trials&sel=").ticked == ()
    assert parse_address("?p=trials").ticked is None


def test_an_address_that_is_no_such_thing_keeps_the_defaults():
    assert parse_address("?p=nope&sort=<script>&grid=../x&o=900&layer=x&sel=a,<b>,c").ticked == (
        "a",
        "c",
    )
    assert parse_address("?p=nope&sort=<script>&grid=../x&o=900&layer=x&c=19&x=y&sm=") == View()
    assert parse_address("?c=-1&sm=96").smoothing == parse_address("?sm=x").shown_class == 0


def test_the_arguments_of_a_request_make_the_same_view_as_its_query():
    arguments = {"p": [b"samples"], "s": [b"val/a b&c"], "o": [b"20"]}
    assert parse_address(query_of(arguments)).sample == "val/a b&c"


def test_a_change_that_changes_nothing_tells_nobody(tmp_path):
    heard = []
    session = Session(Reader("x", lambda: None), listeners=[lambda *views: heard.append(views)])
    session.change(page="trials")
    session.change(page="samples")
    assert [now.page for _, now in heard] == ["samples"]
    session.reader.close()
