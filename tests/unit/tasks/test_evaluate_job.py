from dataclasses import replace

from segnets.config.ids import eval_sha256
from tasks.evaluate import val_job

OWN = val_job("resnet_convlstm-0a0b0c0d", "1" * 64, "streets-1")


def test_on_its_own_dataset_the_digest_names_weights_dataset_split_and_settings():
    settings = {"min_confidence": 0.0, "sizes": ["network"]}
    assert OWN.sha256 == eval_sha256("1" * 64, "streets-1", "val", settings)


def test_scores_on_another_dataset_are_not_those_of_a_trial_at_home_there():
    """Frames are normalised as at home: the same weights from another home would give others."""
    guest = replace(OWN, home="streets-2")
    assert guest.id != OWN.id
    assert guest.id != replace(guest, home="streets-3").id
