"""The default configuration tree. Names and defaults are the field's; the few keys of our own are marked."""

from __future__ import annotations

from .node import CfgNode as CN

# Imagenet's channel statistics, the default of INPUT.PIXEL_*.
_IMAGENET_MEAN = [0.485, 0.456, 0.406]
_IMAGENET_STD = [0.229, 0.224, 0.225]


def _input() -> CN:
    return CN(
        {
            "SIZE": (224, 224),  # height, width in pixels
            "INTERPOLATION": "bilinear",  # bilinear, bicubic or nearest
            "TRANSFORMS": (),  # names of train transforms, see dassl.data.transforms
            "NO_TRANSFORM": False,  # hand out PIL images as they are
            "PIXEL_MEAN": list(_IMAGENET_MEAN),
            "PIXEL_STD": list(_IMAGENET_STD),
            "CROP_PADDING": 4,  # random_crop, pixels
            "RRCROP_SCALE": (0.08, 1.0),  # random_resized_crop, share of the area
            "CUTOUT_N": 1,
            "CUTOUT_LEN": 16,  # pixels
            "GN_MEAN": 0.0,  # gaussian_noise
            "GN_STD": 0.15,
            "RANDAUGMENT_N": 2,  # operations per image
            "RANDAUGMENT_M": 10,  # magnitude, 0 to 30
            "COLORJITTER_B": 0.4,
            "COLORJITTER_C": 0.4,
            "COLORJITTER_S": 0.4,
            "COLORJITTER_H": 0.1,
            "RGS_P": 0.2,  # randomgrayscale, probability
            "GB_P": 0.5,  # gaussian_blur, probability
            "GB_K": 21,  # gaussian_blur, kernel size in pixels
        }
    )


def _dataset() -> CN:
    return CN(
        {
            "ROOT": "",
            "NAME": "",
            "SOURCE_DOMAINS": (),
            "TARGET_DOMAINS": (),
            "NUM_LABELED": -1,
            "NUM_SHOTS": -1,  # training images per class; below 1: all
            "VAL_PERCENT": 0.1,
            "ALL_AS_UNLABELED": False,
            "STL10_FOLD": -1,
            "CIFAR_C_TYPE": "",
            "CIFAR_C_LEVEL": 1,
        }
    )


def _loader(sampler: str) -> dict:
    return {"SAMPLER": sampler, "BATCH_SIZE": 32, "N_DOMAIN": 0, "N_INS": 16}


def _dataloader() -> CN:
    return CN(
        {
            "NUM_WORKERS": 4,  # at most; never more than the CPUs this process may use
            "K_TRANSFORMS": 1,  # views per training image
            "RETURN_IMG0": False,  # also return the image without augmentation
            "TRAIN_X": _loader("RandomSampler"),
            "TRAIN_U": {"SAME_AS_X": True, **_loader("RandomSampler")},
            "TEST": {"SAMPLER": "SequentialSampler", "BATCH_SIZE": 32},
            # Ours: memory for decoded training images, in MB over all workers; 0 decodes anew each time.
            "CACHE_MB": 512,
            # Ours: a data set of fewer decoded MB than this is read without worker processes.
            "WORKERS_ABOVE_MB": 16,
        }
    )


def _model() -> CN:
    return CN(
        {
            "INIT_WEIGHTS": "",
            "BACKBONE": {"NAME": "", "PRETRAINED": True},
            "HEAD": {"NAME": "", "HIDDEN_LAYERS": (), "ACTIVATION": "relu", "BN": True, "DROPOUT": 0.0},
        }
    )


def _optim() -> CN:
    return CN(
        {
            "NAME": "adam",  # adam, amsgrad, sgd, rmsprop, radam, adamw
            "LR": 0.0003,
            "WEIGHT_DECAY": 5e-4,
            "MOMENTUM": 0.9,
            "SGD_DAMPNING": 0.0,
            "SGD_NESTEROV": False,
            "RMSPROP_ALPHA": 0.99,
            "ADAM_BETA1": 0.9,
            "ADAM_BETA2": 0.999,
            "EPS": 1e-8,  # ours: of the adam family and rmsprop
            "STAGED_LR": False,  # NEW_LAYERS at LR, all others at LR * BASE_LR_MULT
            "NEW_LAYERS": (),
            "BASE_LR_MULT": 0.1,
            "LR_SCHEDULER": "single_step",  # single_step, multi_step, cosine
            "STEPSIZE": (-1,),  # epochs; -1: MAX_EPOCH
            "GAMMA": 0.1,
            "MAX_EPOCH": 10,
            "MAX_STEPS": 0,  # ours: above 0, training ends after so many steps, whatever MAX_EPOCH says
            "LR_PER": "epoch",  # ours: epoch or step, how often the schedule moves
            "LR_MIN": 0.0,  # ours: where cosine ends
            "WARMUP_EPOCH": -1,  # above 0: warm-up epochs
            "WARMUP_TYPE": "linear",  # linear, constant
            "WARMUP_CONS_LR": 1e-5,
            "WARMUP_MIN_LR": 1e-5,
            "WARMUP_RECOUNT": True,  # the schedule counts from 0 after warm-up
        }
    )


def get_cfg_default() -> CN:
    """A fresh copy of the default configuration.

    Returns:
        The whole tree; methods and datasets add nodes of their own before files are merged.
    """
    cfg = CN()
    cfg.VERSION = 1
    cfg.OUTPUT_DIR = "./output"
    cfg.RESUME = ""  # folder of an earlier run to go on from
    cfg.SEED = -1  # 0 and up: fixed; negative: not seeded
    cfg.USE_CUDA = True  # False: CPU, whatever DEVICE says
    cfg.VERBOSE = True
    cfg.DEVICE = "auto"  # ours: auto, cpu, cuda, cuda:N, mps
    cfg.INPUT = _input()
    cfg.DATASET = _dataset()
    cfg.DATALOADER = _dataloader()
    cfg.MODEL = _model()
    cfg.OPTIM = _optim()
    cfg.TRAIN = CN({"CHECKPOINT_FREQ": 0, "PRINT_FREQ": 10, "COUNT_ITER": "train_x"})
    cfg.TEST = CN(
        {
            "EVALUATOR": "Classification",
            "PER_CLASS_RESULT": False,
            "COMPUTE_CMAT": False,
            "NO_TEST": False,
            "SPLIT": "test",
            "FINAL_MODEL": "last_step",  # last_step or best_val
            "SAVE_PREDICTIONS": False,  # ours: write predictions.csv
        }
    )
    cfg.TRAINER = CN({"NAME": ""})
    return cfg


def clean_cfg(cfg: CN, trainer: str) -> None:
    """Drop the nodes of all trainers but one, so that a printed config shows what is in use.

    Args:
        cfg: the tree, changed in place.
        trainer: the trainer's name; its node is its name in capitals.
    """
    for key in list(cfg.TRAINER.keys()):
        if key not in ("NAME", trainer.upper()):
            cfg.TRAINER.pop(key)
