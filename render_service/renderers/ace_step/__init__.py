"""ACE-Step 1.5 through diffusers, for those who have its weights: another renderer behind the same protocol.

Read in this order: folder (what is loaded, and how it is checked), conditions (words and persona as the model reads
them), stack (the renderer). docs/checkpoint.md says what of a brief it honours. Needs the extra ``ace-step``.
"""
