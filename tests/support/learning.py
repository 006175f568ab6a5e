"""A machine-learning development image, as people build it: a framework's image below, TensorBoard on its port."""

from __future__ import annotations

import shutil
from pathlib import Path

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""pip trusts what this machine trusts: a package index may have a certificate of its own."""

FRAMEWORK = """\
FROM debian
COPY ca.crt /usr/local/share/ca.crt
ENV PIP_CERT=/usr/local/share/ca.crt PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip && rm -rf /var/lib/apt/lists/*
"""
DEVELOPMENT = """\
FROM framework
WORKDIR /development
ADD . /development
RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*
RUN ["apt-get", "update"]
RUN ["apt-get", "install", "-y", "--no-install-recommends", "unzip"]
RUN pip install -r requirements.txt
EXPOSE 6006 8888
CMD ["/bin/bash"]
"""
REQUIREMENTS = "numpy\nscikit-learn\ntensorboard\nnotebook\n"
TRAIN = """\
import numpy, sklearn.linear_model
line = sklearn.linear_model.LinearRegression().fit(numpy.array([[1], [2], [3]]), [2, 4, 6])
print(f"{line.predict([[21]])[0]:.0f}")
"""
BOARD = ("tensorboard", "--logdir", "/development/logs", "--bind_all", "--port", "6006")


def contexts(place: Path) -> tuple[Path, Path]:
    """Directories to build the images `framework` and `development` from."""
    framework, development = place / "framework", place / "development"
    for directory, dockerfile in ((framework, FRAMEWORK), (development, DEVELOPMENT)):
        directory.mkdir()
        (directory / "Dockerfile").write_text(dockerfile)
    shutil.copy(CERTIFICATES, framework / "ca.crt")
    (development / "requirements.txt").write_text(REQUIREMENTS)
    (development / "train.py").write_text(TRAIN)
    return framework, development
