"""The linear probe against scikit-learn used directly on features of OpenAI's modules."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from dassl.engine import build_trainer
from dassl.utils import set_random_seed
from tests.stubs import random_clip
from tests.trainers.conftest import SHAPE
from trainers.linear_probe import STRENGTHS


def features(model, trainer, items):
    images = torch.stack([trainer.dm.tfm_test(read(item)) for item in items])
    with torch.no_grad():
        return model.encode_image(images).double().numpy(), np.array([item.label for item in items])


def read(item):
    from dassl.utils import read_image

    return read_image(item.impath)


@pytest.mark.parametrize("classes", [2, 5])
def test_scores_are_those_of_scikit_learn(make_config, classes):
    set_random_seed(1)
    trainer = build_trainer(make_config("LinearProbe", "DATASET.NUM_SHOTS", 8))
    dataset = trainer.dm.dataset
    if classes == 2:  # one row of weights in scikit-learn
        for split in (dataset.train_x, dataset.val, dataset.test):
            split[:] = [item for item in split if item.label < 2]
        trainer.num_classes = 2
        trainer.learner.weight.data = trainer.learner.weight.data[:2]
        trainer.learner.bias.data = trainer.learner.bias.data[:2]
    trainer.train()

    model = random_clip(11, **SHAPE)
    x, y = features(model, trainer, dataset.train_x)
    x_val, y_val = features(model, trainer, dataset.val)
    fitted = [LogisticRegression(C=c, max_iter=1000).fit(x, y) for c in STRENGTHS]
    expected = fitted[int(np.argmax([each.score(x_val, y_val) for each in fitted]))]
    x_test, _ = features(model, trainer, dataset.test)
    with torch.no_grad():
        found = torch.from_numpy(x_test) @ trainer.learner.weight.double().t() + trainer.learner.bias
    agreement = (found.argmax(1).numpy() == expected.predict(x_test)).mean()
    assert agreement > 0.97
    probability = expected.predict_proba(x_test)
    np.testing.assert_allclose(found.softmax(1).numpy(), probability, atol=0.1)  # the optimum is flat


def test_it_serves_no_new_classes(make_config, tmp_path):
    set_random_seed(1)
    build_trainer(make_config("LinearProbe")).train()
    again = build_trainer(make_config("LinearProbe", out="again"))
    again.load_model(str(tmp_path / "run"))
    new = build_trainer(make_config("LinearProbe", "DATASET.SUBSAMPLE_CLASSES", "new", out="new"))
    with pytest.raises(ValueError, match="cannot serve new classes"):
        new.load_model(str(tmp_path / "run"))
