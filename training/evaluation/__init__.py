"""The evaluation: takes and stems compared with corpus audio, an upper bound and nulls, as one report.

Reading order: takes, adherence, pitches, strokes, spectrum, endings, classifier, identity, prompt_words, diversity, judge,
vocoders, stems, parts, pictures, report.
"""
