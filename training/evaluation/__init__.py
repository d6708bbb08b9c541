"""The evaluation: what takes and stems sound like beside corpus audio and beside nulls, as one report.

Reading order: takes, judge, following, identity, words, vocoders, stems, pictures, report.
"""
