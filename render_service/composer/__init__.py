"""The composer: writes the score of a take, every note with its exact time.

Reading order: style, style_words, habits, score, bars, form, drumming, bassline, accompaniment, melody, ending, compose, planner,
style_reader, rule_planner.
"""
