"""The text of a prompt as it is read, with the place in the prompt that each part of it comes from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

_NEGATED = re.compile(
    r"\b(?:no|not|without|minus|except)\b[^.,;:!?]*?(?=[.,;:!?]|\bbut\b|\bjust\b|\bonly\b|$)|\b\w+[\s-]free\b"
)
_CLAUSE_END = re.compile(r"[.,;:!?()\n]|\b(?:and|with|over|plus)\b")
_WORD = re.compile(r"\S+")
_MAX_BATCH = 48  # clauses times the words of the longest and its two ends: bounds the time of an admission
_LONGEST_CLAUSE = 16  # words


@dataclass(frozen=True)
class Clause:
    """Some words of a prompt as they are read, and ``quote``, the same words as they are written."""

    text: str
    quote: str


@dataclass(frozen=True)
class PromptText:
    """A prompt in lower case, without what is negated; ``origins`` has the index in the prompt of each character of ``text``."""

    prompt: str
    text: str
    origins: Sequence[int]

    @classmethod
    def of(cls, prompt: str) -> Self:
        """Read a prompt."""
        lower = prompt.lower()
        at = [index for index, character in enumerate(prompt) for _ in character.lower()]  # one can become two
        words = list(_WORD.finditer(lower))
        text = " ".join(word.group() for word in words)
        origins = [place for word in words for place in (*at[word.start() : word.end()], at[word.end() - 1])][:-1]
        kept, places, end = [], [], 0
        for negated in _NEGATED.finditer(text):
            kept += [text[end : negated.start()], " "]
            places += [*origins[end : negated.start()], origins[negated.start()]]
            end = negated.end()
        return cls(prompt, "".join([*kept, text[end:]]), [*places, *origins[end:]])

    def quote(self, start: int, end: int) -> str:
        """The part of the prompt from which ``text[start:end]`` was read; a negated part within it included."""
        return self.prompt[self.origins[start] : self.origins[end - 1] + 1]

    def clauses(self) -> list[Clause]:
        """The different clauses, as many as fit into :data:`_MAX_BATCH`; a long one is cut."""
        found: list[Clause] = []
        longest = 0
        for start, end in self._clause_spans():
            words = list(_WORD.finditer(self.text, start, end))[:_LONGEST_CLAUSE]
            longest = max(longest, len(words))
            if (len(found) + 1) * (longest + 2) > _MAX_BATCH:
                break
            if words:
                quote = self.quote(words[0].start(), words[-1].end())
                found.append(Clause(" ".join(word.group() for word in words), quote))
        return found

    def _clause_spans(self) -> list[tuple[int, int]]:
        """Where the different clauses are, in order."""
        spans: dict[str, tuple[int, int]] = {}
        start = 0
        for end, next_start in [*(match.span() for match in _CLAUSE_END.finditer(self.text)), (len(self.text),) * 2]:
            spans.setdefault(self.text[start:end].strip(), (start, end))
            start = next_start
        return list(spans.values())
