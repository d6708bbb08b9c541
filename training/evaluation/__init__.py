"""The evaluation: takes and stems compared with corpus audio, an upper bound and nulls, as one report.

Reading order: takes, adherence, classifier, identity, prompt_words, diversity, vocoders, stems, pictures, report.
"""
