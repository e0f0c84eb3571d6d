import pytest

from segnets.data.cityscapes import index_clips, index_frames
from segnets.errors import DatasetError
from segnets.store.open import open_source


def clips_of(folder, **changes):
    options = {"clip_frames": 4, "stride": 1, "on_missing": "leave_out", **changes}
    return index_clips(open_source(str(folder.root)), **options)


def jobs_of(folder, **changes):
    options = {"frames": None, "split": None, "clip_frames": 4, "stride": 1, **changes}
    return index_frames(open_source(str(folder.root)), **options)


def test_a_clip_is_the_labelled_frame_and_those_before_it(folder):
    index = clips_of(folder)
    assert [(clip.split, clip.name) for clip in index.clips] == [
        ("test", "mainz_000000_000019"),
        ("train", "aachen_000000_000005"),
        ("train", "aachen_000000_000007"),
        ("train", "bonn_000001_000019"),
        ("val", "ulm_000000_000019"),
        ("val", "ulm_000001_000019"),
    ]
    clip = index.clips[1]
    assert [frame.frame for frame in clip.frame_ids] == [2, 3, 4, 5]
    assert clip.frame_keys[0] == (
        "leftImg8bit_sequence/train/aachen/aachen_000000_000002_leftImg8bit.png"
    )
    # the sequence has this frame too, and then its copy is used
    assert clip.frame_keys[3] == (
        "leftImg8bit_sequence/train/aachen/aachen_000000_000005_leftImg8bit.png"
    )
    assert index.copies == {"leftImg8bit/train/aachen/aachen_000000_000005_leftImg8bit.png"}
    assert index.copies <= set(index.files)
    assert clip.label_key == "gtFine/train/aachen/aachen_000000_000005_gtFine_labelIds.png"
    assert index.clips[0].label_key is None
    assert index.problems == ()


def test_without_a_split_level_everything_is_train(empty_folder):
    empty_folder.has_splits = False
    empty_folder.clip("train", "aachen", 0, 3)
    (clip,) = clips_of(empty_folder).clips
    assert (clip.split, clip.label_key) == (
        "train",
        "gtFine/aachen/aachen_000000_000003_gtFine_labelIds.png",
    )


def test_a_city_may_have_underscores(empty_folder):
    empty_folder.clip("train", "ulm_old_town", 0, 3)
    assert clips_of(empty_folder).clips[0].city == "ulm_old_town"


def test_the_stride_is_a_step_of_frame_numbers(empty_folder):
    empty_folder.clip("train", "aachen", 0, 9, past=9)
    (clip,) = clips_of(empty_folder, stride=3).clips
    assert [frame.frame for frame in clip.frame_ids] == [0, 3, 6, 9]
    assert len(clips_of(empty_folder, stride=4).short) == 1


def test_a_clip_that_lacks_earlier_frames_is_left_out_or_repeats_its_oldest(empty_folder):
    empty_folder.clip("train", "aachen", 0, 1)
    index = clips_of(empty_folder)
    assert (index.clips, len(index.short)) == ((), 1)
    (clip,) = clips_of(empty_folder, on_missing="repeat").clips
    assert [frame.frame for frame in clip.frame_ids] == [0, 0, 0, 1]


def test_a_gap_ends_the_past(empty_folder):
    empty_folder.clip("train", "aachen", 0, 9)
    empty_folder.path("leftImg8bit_sequence", "train", "aachen", 0, 7).unlink()
    (clip,) = clips_of(empty_folder, on_missing="repeat").clips
    assert [frame.frame for frame in clip.frame_ids] == [8, 8, 8, 9]


def test_another_sequence_is_never_the_past(empty_folder):
    empty_folder.clip("train", "aachen", 0, 9)
    empty_folder.put("leftImg8bit", "train", "aachen", 1, 10)
    assert [frame.seq for frame in clips_of(empty_folder).short] == [1]


@pytest.mark.parametrize(("split", "is_problem"), [("train", True), ("val", True), ("test", False)])
def test_a_missing_label_is_a_problem_but_not_in_test(folder, split, is_problem):
    folder.clip("test", "mainz", 1, 19)
    folder.clip(split, "kiel", 0, 19, has_label=False)
    index = clips_of(folder)
    assert [problem.kind for problem in index.problems] == ["missing_label"] * is_problem
    if is_problem:
        wanted = f"gtFine/{split}/kiel/kiel_000000_000019_gtFine_labelIds.png"
        assert index.problems[0].key == wanted


def test_a_split_without_any_label_gives_clips_without_labels(empty_folder):
    empty_folder.clip("val", "ulm", 0, 19, has_label=False)
    empty_folder.clip("train", "ulm", 0, 19)
    index = clips_of(empty_folder)
    assert index.problems == ()
    assert [clip.label_key is None for clip in index.clips] == [False, True]


def test_a_label_without_its_frame_is_a_problem(folder):
    folder.path("leftImg8bit", "val", "ulm", 0, 19).unlink()
    (problem,) = clips_of(folder).problems
    assert problem.kind == "missing_frame"


def test_labelled_frames_may_lie_in_the_sequence_only(empty_folder):
    empty_folder.clip("train", "aachen", 0, 5)
    frame = empty_folder.path("leftImg8bit", "train", "aachen", 0, 5)
    frame.rename(empty_folder.path("leftImg8bit_sequence", "train", "aachen", 0, 5))
    assert [clip.frame for clip in clips_of(empty_folder).clips] == [5]


def test_other_folders_and_files_are_left_alone(folder):
    folder.clip("train_extra", "kiel", 0, 5)
    (folder.root / "leftImg8bit" / "train" / "aachen" / "notes.txt").write_text("hello")
    (folder.root / "gtFine" / "train" / "aachen" / "a_000000_000001_gtFine_color.png").touch()
    assert len(clips_of(folder).clips) == 6


def test_an_empty_folder_is_said_to_be_empty(empty_folder):
    with pytest.raises(DatasetError, match=r"the folder is empty: .*street\. --data wants"):
        clips_of(empty_folder)


def test_a_folder_of_something_else_is_refused_with_what_was_seen(empty_folder):
    (empty_folder.root / "holiday.jpg").touch()
    with pytest.raises(DatasetError, match=r"Cityscapes layout here \(but holiday\.jpg\)"):
        clips_of(empty_folder)


def test_a_folder_half_with_splits_is_refused(folder):
    folder.has_splits = False
    folder.clip("train", "kiel", 0, 5)
    with pytest.raises(DatasetError, match="some files lie under train, val or test and some do"):
        clips_of(folder)


def test_a_name_that_is_not_utf8_is_refused_for_training_and_passed_over_at_night(folder, caplog):
    before = jobs_of(folder, frames="all")
    (picture,) = folder.root.glob("leftImg8bit/val/ulm/ulm_000000_000019_*")
    odd = folder.root / "leftImg8bit/val/k\udcf6ln/k\udcf6ln_000000_000019_leftImg8bit.png"
    odd.parent.mkdir()
    odd.write_bytes(picture.read_bytes())
    with pytest.raises(DatasetError, match=r"not UTF-8.*k\\udcf6ln.*Rename it"):
        clips_of(folder)
    assert [job.name for job in jobs_of(folder, frames="all")] == [job.name for job in before]
    assert "k\\udcf6ln" in caplog.text


def test_labelled_frames_are_predicted_by_default_and_all_on_request(folder):
    jobs = jobs_of(folder)
    assert len(jobs) == 6
    assert {len(job.frame_keys) for job in jobs} == {4}
    everything = jobs_of(folder, frames="all", split="train")
    assert [job.frame for job in everything if job.city == "aachen"] == [2, 3, 4, 5, 6, 7]
    first = everything[0]
    assert len(set(first.frame_keys)) == 1
    assert (first.split, first.label_key) == ("train", None)


def test_a_folder_of_sequences_alone_is_predicted_whole(empty_folder):
    empty_folder.has_splits = False
    for frame in range(3):
        empty_folder.put("leftImg8bit_sequence", "train", "ulm", 0, frame)
    jobs = jobs_of(empty_folder)
    assert [job.frame for job in jobs] == [0, 1, 2]
    assert jobs[0].split is None
    with pytest.raises(DatasetError, match="--frames all"):
        jobs_of(empty_folder, frames="labelled")


def test_a_split_without_frames_is_refused_by_name(folder):
    with pytest.raises(DatasetError, match="no frames in split night"):
        jobs_of(folder, split="night")
